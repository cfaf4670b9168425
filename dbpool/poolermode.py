"""What kind of pooler is between a pool and its server."""

from __future__ import annotations

from enum import Enum

from dbpool.errors import SettingsError


class Pooler(Enum):
    """How long a connection has a session at the server of its own."""

    NONE = "none"  # it is a connection to the server
    SESSION = "session"  # until it is closed, as with PgBouncer's ``pool_mode = session``
    TRANSACTION = "transaction"  # for a transaction, or a statement outside of one


def pooler_named(value: object) -> Pooler | None:
    """What *value* stands for: a member, its value, or None. Raises: SettingsError: it is none of them."""
    if value is None:
        return None
    try:
        return Pooler(value)
    except ValueError:
        expected = "'transaction', 'session', 'none', or None to have it found out"
        raise SettingsError(f"pooler must be {expected}, not {value!r}") from None
