"""Files and variables that the driver cannot read: its errors quote what they hold."""

from __future__ import annotations

from configparser import Error as ConfigParserError
from configparser import InterpolationError

import asyncpg

from dbpool.errors import DbPoolError, SettingsError


def unreadable_settings(error: Exception) -> SettingsError | None:
    """What to say for the driver's *error* where it cannot read a file or a variable, which it would quote; else None.

    Both its text and its parts may hold a password: the line of a file, or what is not UTF-8.
    """
    spoilt = next((each for each in (error.__cause__, error.__context__) if isinstance(each, UnicodeError)), error)
    if isinstance(spoilt, OSError | asyncpg.InterfaceError | DbPoolError):
        return None
    if isinstance(spoilt, InterpolationError):
        return SettingsError(
            "the file of services has a value with a '%', which the driver takes for more than a character: give this "
            "value elsewhere, a password by ~/.pgpass"
        )
    if not isinstance(spoilt, ValueError | ConfigParserError):
        return None
    return SettingsError(
        f"the driver cannot make out where to connect, or as whom ({type(spoilt).__name__}): look at the file of "
        f"services, the file of passwords, the host and the PG... variables, for what has no place there"
    )
