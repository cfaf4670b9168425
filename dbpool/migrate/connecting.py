"""One connection of SQLAlchemy's, at an address that asyncpg itself reads."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from dbpool import driver
from dbpool.dsn import Dsn
from dbpool.errors import InsecureConnection, MigrationError, SettingsError
from dbpool.faults import transport_remedy
from dbpool.finish import finish
from dbpool.looking import Session, look
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
        # as SQLAlchemy's users write it
        address = Dsn(dsn.replace("postgresql+asyncpg://", "postgresql://", 1))
    except SettingsError as error:
        raise MigrationError(f"cannot connect to migrate: the DSN cannot be read: {error}") from None
    try:
        engine = _engine_for(address)
    except ImportError as error:
        raise missing() from error
    try:
        connection = await engine.connect()
    except MigrationError:
        raise
    except Exception as error:
        remedy = transport_remedy(error, address.parameters)
        if isinstance(error, OSError | InsecureConnection | SettingsError) or sqlstate_of(error):
            told = f"cannot connect to migrate: {text_of(error)}{f'. {remedy}' if remedy else ''}"
            raise MigrationError(told) from error
        raise MigrationError("cannot connect to migrate: the driver cannot read the DSN") from None
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


def _engine_for(address: Dsn) -> AsyncEngine:
    from sqlalchemy.ext.asyncio import create_async_engine
    from sqlalchemy.pool import NullPool

    async def connect(**_: object) -> object:
        return await _session(address)

    # the engine's own URL stays empty, so that nothing of SQLAlchemy's can show the password
    return create_async_engine("postgresql+asyncpg://", poolclass=NullPool, connect_args={"async_creator_fn": connect})


async def _session(address: Dsn) -> Session:
    """A connection with a session of its own: locks, and what is set, last from one transaction to the next."""
    session = await driver.connect(address, timeout=CONNECT_TIMEOUT)
    try:
        route = await look(session, lambda: driver.connect(address, timeout=CONNECT_TIMEOUT), server_settings={})
    except BaseException:
        session.terminate()
        raise
    if route.shares_sessions:
        await finish(session.close(timeout=CLOSE_TIMEOUT))
        raise MigrationError(
            f"migrations need a session of their own, and this address goes through {route.mode}: give them the "
            f"server's own address."
        )
    return session
