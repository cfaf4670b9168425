"""Whether two connections are to the same database, though their addresses differ."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from dbpool.migrate.connecting import connected

WITNESSED = """
SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 1
AND (classid::bigint << 32 | objid::bigint) = {key}
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@asynccontextmanager
async def witness(dsn: str) -> AsyncIterator[int]:
    """Hold an advisory lock of a random number on the database at *dsn*; ``WITNESSED`` looks for it.

    pg_locks shows every session's locks to every role; addresses would differ by a socket, a name, a proxy.

    Raises: MigrationError: no connection.
    """
    key = random.getrandbits(62)
    async with connected(dsn) as connection:
        await connection.exec_driver_sql(f"SELECT pg_advisory_lock({key})")
        await connection.rollback()
        yield key
