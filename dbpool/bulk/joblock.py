"""The advisory lock of a job: one session has it, and it ends with that session."""

from __future__ import annotations

from dbpool.bulk.jobs.ledger import asked
from dbpool.connection import PooledConnection
from dbpool.core.claims import lock_key

_PID = "SELECT pg_backend_pid()"
_TRY_LOCK = "SELECT pg_try_advisory_lock($1)"
_UNLOCK = "SELECT pg_advisory_unlock($1)"
# A lock on 64 bits stands there in halves, with a 1 for that.
_LOCKED = """
SELECT (classid::bigint << 32) | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


async def try_lock(connection: PooledConnection, name: str) -> bool:
    """Whether the session of *connection* has the lock now; never through a pooler, where a session is not one's own.

    A pooler shows its clients process ids that are not the server's.
    """
    with asked(connection):
        if await connection.fetchval(_PID) != connection.get_server_pid():
            return False
        return bool(await connection.fetchval(_TRY_LOCK, lock_key(name)))


async def unlock(connection: PooledConnection, name: str) -> None:
    """Give the lock up."""
    with asked(connection):
        await connection.fetchval(_UNLOCK, lock_key(name))


async def is_locked(connection: PooledConnection, name: str) -> bool:
    """Whether some session has the lock."""
    return lock_key(name) in await locked(connection)


async def locked(connection: PooledConnection) -> set[int]:
    """The keys of all advisory locks on 64 bits that are held in this database."""
    with asked(connection):
        return {row[0] for row in await connection.fetch(_LOCKED)}
