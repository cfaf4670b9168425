"""One migrator of a database at a time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING

from dbpool.errors import MigrationError
from dbpool.migrate.patience import POLL

if TYPE_CHECKING:
    from sqlalchemy import Connection

LOCK = int.from_bytes(b"dbpool")  # the advisory lock that all migrators of one database agree on

# as pg_locks shows a lock that was taken with one 64-bit number
_HOLDER = """
SELECT a.pid, coalesce(a.application_name, ''), coalesce(host(a.client_addr), 'local')
FROM pg_locks l JOIN pg_stat_activity a USING (pid)
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND (l.classid::bigint << 32 | l.objid::bigint) = {lock}
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""

# alembic keeps its context and its operations in module globals, so two runs in one process must not overlap
_alembic_is_busy = threading.Lock()


@contextmanager
def alone(connection: Connection, deadline: float, pause: Callable[[float], None] = time.sleep) -> Iterator[None]:
    """Hold the lock for the length of the block, and beyond the transactions in it.

    Args:
        deadline: on ``time.monotonic()``.
        pause: waits for so many seconds; may raise, to end the waiting.

    Raises: MigrationError: another migrator did not let go of it in time.
    """
    _take(connection, deadline, pause)
    try:
        yield
    finally:
        if not connection.closed and not connection.invalidated:  # else the server has freed the lock
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK})")
            connection.commit()


def _take(connection: Connection, deadline: float, pause: Callable[[float], None]) -> None:
    while not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({LOCK})").scalar():
        # a waiter inside pg_advisory_lock() holds a snapshot, for which CREATE INDEX CONCURRENTLY would wait for ever
        connection.rollback()
        if time.monotonic() > deadline:
            holder = connection.exec_driver_sql(_HOLDER.format(lock=LOCK)).first()
            connection.rollback()
            who = "" if holder is None else f" (pid {holder[0]}, {holder[1] or 'unnamed'}, from {holder[2]})"
            raise MigrationError(f"another migrator{who} works on this database: wait for it, then try again.")
        pause(POLL)
    connection.commit()


@asynccontextmanager
async def alone_in_this_process(deadline: float) -> AsyncIterator[None]:
    """Have alembic to oneself for the length of the block; *deadline* is on ``time.monotonic()``.

    Raises: MigrationError: another run did not end in time.
    """
    while not _alembic_is_busy.acquire(blocking=False):  # the other run may be in another thread's event loop
        if time.monotonic() > deadline:
            raise MigrationError("another migration in this process did not end in time: wait for it, then try again.")
        await asyncio.sleep(POLL)
    try:
        yield
    finally:
        _alembic_is_busy.release()
