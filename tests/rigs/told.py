"""What a caller was told of a write."""

from __future__ import annotations

import asyncio
from enum import Enum

import asyncpg

from dbpool import CommitOutcomeUnknown, ConnectionLost, DbPoolError, QueryTimeout


class Told(Enum):
    DONE = "done"
    NOT_DONE = "not done"
    UNKNOWN = "that nobody knows"
    BARE = "an error that is no answer"

    def fits(self, stored: int, rows: int) -> bool:
        """Whether a write of *rows*, of which *stored* are there, all or none, is what the caller was told."""
        match self:
            case Told.DONE:
                return stored == rows
            case Told.NOT_DONE:
                return stored == 0
            case _:
                return stored in (0, rows)


def told_by(error: BaseException, *, in_transaction: bool) -> Told:
    """What *error*, of a pool of ours, says of a write: only those that say so leave it unknown."""
    if isinstance(error, asyncio.CancelledError):
        return _told_by_cancellation(error, in_transaction=in_transaction)
    if isinstance(error, CommitOutcomeUnknown):
        return Told.UNKNOWN
    if isinstance(error, (ConnectionLost, QueryTimeout)):
        return Told.NOT_DONE if in_transaction else Told.UNKNOWN
    is_servers = isinstance(error, asyncpg.PostgresError) and error.severity is not None
    return Told.NOT_DONE if isinstance(error, DbPoolError) or is_servers else Told.BARE


def _told_by_cancellation(error: asyncio.CancelledError, *, in_transaction: bool) -> Told:
    notes: list[str] = getattr(error, "__notes__", [])
    fate = notes[-1].rpartition(" is ")[2] if notes else ""
    if fate == "committed":
        return Told.DONE
    return Told.NOT_DONE if in_transaction and fate in ("", "rolled back") else Told.UNKNOWN


def told_by_asyncpg(error: BaseException, *, in_transaction: bool) -> Told:
    """The same for a connection of one's own, whose errors are the driver's; which leaves open what became of a write.

    ``InternalClientError`` is what it says where a farewell came unasked.
    """
    if isinstance(error, asyncio.CancelledError):
        return Told.UNKNOWN
    if isinstance(error, asyncpg.PostgresError) and error.severity == "ERROR":
        return Told.NOT_DONE
    known = (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, DbPoolError)
    return Told.UNKNOWN if isinstance(error, known) else Told.BARE
