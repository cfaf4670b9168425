"""How alembic reaches the database: over asyncpg, one migrator at a time.

Which database: ``alembic -x url=postgresql://...``, else the DATABASE_URL of the environment. From code, see
``dbpool.migrate``, or pass ``config.attributes["url"]`` or ``config.attributes["connection"]``.
"""

from __future__ import annotations

import asyncio
import os
import time

from alembic import context
from alembic.util import CommandError
from sqlalchemy import Connection, func, select
from sqlalchemy.util.concurrency import await_

from dbpool.errors import MigrationError
from dbpool.migrate import LOCK_TIMEOUT, POLL, connected

LOCK = int.from_bytes(b"dbpool")  # the advisory lock that all migrators of one database agree on


def migrate(connection: Connection) -> None:
    """Run the migrations asked for on *connection*, while no other migrator works on its database."""
    if connection.in_transaction():
        raise MigrationError("the connection given is in a transaction: each step needs one of its own.")
    wait_alone(connection)
    try:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    finally:
        if not connection.closed and not connection.invalidated:  # else the server has freed the lock
            connection.rollback()
            connection.scalar(select(func.pg_advisory_unlock(LOCK)))
            connection.commit()


def wait_alone(connection: Connection) -> None:
    """Take the lock for the session, so that it outlives the transactions of the single steps."""
    deadline = time.monotonic() + context.config.attributes.get("lock_timeout", LOCK_TIMEOUT)
    while not connection.scalar(select(func.pg_try_advisory_lock(LOCK))):
        # a waiter inside pg_advisory_lock() holds a snapshot, for which CREATE INDEX CONCURRENTLY would wait for ever
        connection.rollback()
        if time.monotonic() > deadline:
            raise MigrationError("another migrator works on this database: wait for it, then try again.")
        await_(asyncio.sleep(POLL))
    connection.commit()


async def migrate_at(dsn: str) -> None:
    """Run the migrations asked for on the database at *dsn*."""
    async with connected(dsn) as connection:
        await connection.run_sync(migrate)


def dsn() -> str:
    """Return where the database is, as the command line, the code or the environment says."""
    given = context.get_x_argument(as_dictionary=True).get("url") or context.config.attributes.get("url")
    if not (found := given or os.environ.get("DATABASE_URL")):
        raise MigrationError("which database? Say alembic -x url=postgresql://user@host/database, or set DATABASE_URL.")
    return str(found)


if context.is_offline_mode():
    context.configure(dialect_name="postgresql", literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
elif connection := context.config.attributes.get("connection"):
    migrate(connection)
else:
    try:
        asyncio.run(migrate_at(dsn()))
    except MigrationError as error:
        raise CommandError(str(error)) from error  # which the command line shows without a stack
