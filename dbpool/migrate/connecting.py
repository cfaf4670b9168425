"""One connection of SQLAlchemy's, at an address that asyncpg itself reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from dbpool.errors import MigrationError
from dbpool.finish import finish
from dbpool.migrate.patience import CONNECT_TIMEOUT

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

CLOSE_TIMEOUT = 5.0  # seconds: longer than a rollback takes


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[AsyncConnection]:
    """Hold one connection to *dsn*, which asyncpg itself reads, for SQLAlchemy to use.

    So a socket directory (``?host=/run/postgresql``), ``sslmode``, several hosts mean here what they mean to the pool.

    Raises:
        MigrationError: no connection; the message never holds the password.
        ImportError: alembic or SQLAlchemy is missing.
    """
    try:
        engine = _engine_for(dsn)
    except ImportError as error:
        raise missing() from error
    try:
        connection = await engine.connect()
    except Exception as error:
        if isinstance(error, OSError) or sqlstate_of(error):
            raise MigrationError(f"cannot connect to migrate: {text_of(error)}") from error
        # what cannot be read is quoted in the error, and a password with a "/" in it is what cannot be read
        raise MigrationError(
            "cannot connect to migrate: the DSN cannot be read. It looks like postgresql://user@host:5432/database; "
            "special characters of a password are written as %XX."
        ) from None
    try:
        yield connection
    finally:
        await finish(_close(connection))


def missing() -> ImportError:
    """What is raised where the extra is not installed."""
    return ImportError("migrations need alembic and SQLAlchemy: pip install 'dbpool[migrations]'")


def sqlstate_of(error: BaseException) -> str | None:
    """The server's five characters; None: the error is not the server's."""
    found = getattr(getattr(error, "orig", error), "sqlstate", None)
    return str(found) if found else None


def text_of(error: BaseException) -> str:
    """Return what went wrong, without the statement and the class's name that SQLAlchemy adds to it."""
    theirs = getattr(error, "orig", None) or error
    return str(theirs.__cause__ if theirs is not error and theirs.__cause__ else theirs) or type(theirs).__name__


async def _close(connection: AsyncConnection) -> None:
    # what was stored is stored, and a server that is gone has let go of the lock: neither is news worth an error
    with suppress(Exception):
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await connection.close()


def _engine_for(dsn: str) -> AsyncEngine:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    dsn = dsn.replace("postgresql+asyncpg://", "postgresql://", 1)  # as SQLAlchemy's users write it
    # the engine's own URL stays empty, so that nothing of SQLAlchemy's can show the password
    arguments = {"dsn": dsn, "timeout": CONNECT_TIMEOUT}
    return create_async_engine("postgresql+asyncpg://", poolclass=NullPool, connect_args=arguments)
