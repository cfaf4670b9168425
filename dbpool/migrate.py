"""Alembic's commands from code, inside a running event loop.

Needs ``pip install 'dbpool[migrations]'``. The migrations are in ``migrations/`` beside this package in a clone, inside
the package once it is installed; their ``env.py`` takes the lock that keeps migrators of one database apart.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dbpool.errors import MigrationError
from dbpool.finish import finish

if TYPE_CHECKING:
    from alembic.config import Config
    from sqlalchemy import Connection
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

CONNECT_TIMEOUT = 10.0  # seconds: a migration is started by hand or by a deployment, which wants to hear soon
CLOSE_TIMEOUT = 5.0  # seconds: longer than a rollback takes
LOCK_TIMEOUT = 60.0  # seconds: longer than any migration that is not meant for a maintenance window
POLL = 0.05  # seconds between two looks at a lock; a migration takes longer

# alembic keeps its context and its operations in module globals, so two runs in one process must not overlap
_alembic_is_busy = threading.Lock()


async def upgrade(dsn: str, revision: str = "head", *, lock_timeout: float = LOCK_TIMEOUT) -> None:
    """Bring the database at *dsn* up to *revision*; nothing happens where it is there already.

    Args:
        lock_timeout: seconds to wait for other migrators of this database, or in this process.

    Raises:
        MigrationError: no connection, no lock in time, or a step failed; the steps before it stay applied.
        ImportError: alembic or SQLAlchemy is missing.
    """
    await _migrate(dsn, "upgrade", revision, lock_timeout)


async def downgrade(dsn: str, revision: str, *, lock_timeout: float = LOCK_TIMEOUT) -> None:
    """Take the database at *dsn* back to *revision*; "base" removes everything that migrations made.

    Arguments and errors are those of ``upgrade``.
    """
    await _migrate(dsn, "downgrade", revision, lock_timeout)


async def current(dsn: str) -> str | None:
    """Return the revision that the database at *dsn* is at, or None if it was never migrated."""

    def read(connection: Connection) -> str | None:
        from alembic.runtime.migration import MigrationContext

        return MigrationContext.configure(connection).get_current_revision()

    async with connected(dsn) as connection:
        return await connection.run_sync(read)


@asynccontextmanager
async def connected(dsn: str) -> AsyncIterator[AsyncConnection]:
    """Hold one connection to *dsn*, which asyncpg itself reads, for SQLAlchemy to use.

    So a socket directory (``?host=/run/postgresql``), ``sslmode``, several hosts mean here what they mean to the pool.

    Raises:
        MigrationError: no connection; the message never holds the password.
    """
    try:
        import alembic  # noqa: F401 - asked for early, to say clearly that it is missing

        engine = _engine_for(dsn)
    except ImportError as error:
        raise ImportError("migrations need alembic and SQLAlchemy: pip install 'dbpool[migrations]'") from error
    try:
        connection = await engine.connect()
    except Exception as error:
        if isinstance(error, OSError) or _sqlstate_of(error):
            raise MigrationError(f"cannot connect to migrate: {_text_of(error)}") from error
        # what cannot be read is quoted in the error, and a password with a "/" in it is what cannot be read
        raise MigrationError(
            "cannot connect to migrate: the DSN cannot be read. It looks like postgresql://user@host:5432/database; "
            "special characters of a password are written as %XX."
        ) from None
    try:
        yield connection
    finally:
        await finish(_close(connection))


async def _migrate(dsn: str, action: Literal["upgrade", "downgrade"], revision: str, lock_timeout: float) -> None:
    clock = asyncio.get_running_loop().time
    deadline = clock() + lock_timeout

    def run(connection: Connection) -> None:
        from alembic import command

        config = _config()
        config.attributes["connection"] = connection
        config.attributes["lock_timeout"] = deadline - clock()
        (command.upgrade if action == "upgrade" else command.downgrade)(config, revision)

    async with connected(dsn) as connection, _alone_in_this_process(deadline):
        try:
            await connection.run_sync(run)
        except MigrationError:
            raise
        except Exception as error:
            raise MigrationError(f"{action} to {revision!r} failed: {_text_of(error)}") from error


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


@asynccontextmanager
async def _alone_in_this_process(deadline: float) -> AsyncIterator[None]:
    clock = asyncio.get_running_loop().time
    while not _alembic_is_busy.acquire(blocking=False):  # the other run may be in another thread's event loop
        if clock() > deadline:
            raise MigrationError("another migration in this process did not end in time: wait for it, then try again.")
        await asyncio.sleep(POLL)
    try:
        yield
    finally:
        _alembic_is_busy.release()


def _config() -> Config:
    from alembic.config import Config

    installed, clone = Path(__file__).with_name("_migrations"), Path(__file__).parents[1] / "migrations"
    config = Config()
    config.set_main_option("script_location", str(installed if installed.is_dir() else clone).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _sqlstate_of(error: Exception) -> str | None:
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def _text_of(error: Exception) -> str:
    """Return what went wrong without the statement that SQLAlchemy adds to it."""
    return str(getattr(error, "orig", error)) or type(error).__name__
