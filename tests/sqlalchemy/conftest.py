"""A pool beside SQLAlchemy's own engine, on one database with the same tables and rows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbpool import DatabasePool
from tests.sqlalchemy.shop import ROWS, metadata, things
from tests.support.databases import Database, administering, new_database
from tests.support.eachloop import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories  # noqa: PLC0414 - a hook
from tests.support.server import Server


@pytest.fixture(scope="session")
def filled(server: Server) -> Iterator[str]:
    """The name of a database with the tables and rows, to clone."""
    name = f"dbpool_things_{os.getpid()}"

    async def make() -> None:
        async with administering(server) as admin:
            await admin.execute(f'create database "{name}" template template0')
        engine = engine_on(server.dsn(name))
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
            for row in ROWS:
                await connection.execute(sa.insert(things), row)
        await engine.dispose()

    async def drop() -> None:
        async with administering(server) as admin:
            await admin.execute(f'drop database "{name}" with (force)')

    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, make()).result()
        yield name
        thread.submit(asyncio.run, drop()).result()


@pytest.fixture
async def things_database(server: Server, filled: str) -> AsyncIterator[Database]:
    async with new_database(server, filled) as database:
        yield database


@pytest.fixture
async def engine(things_database: Database) -> AsyncIterator[AsyncEngine]:
    """SQLAlchemy's own, over asyncpg: what it answers is what is right."""
    engine = engine_on(things_database.dsn)
    yield engine
    await engine.dispose()


def engine_on(dsn: str) -> AsyncEngine:
    return create_async_engine("postgresql+asyncpg://", async_creator=partial(asyncpg.connect, dsn), pool_size=1)


@pytest.fixture
async def db(things_database: Database) -> AsyncIterator[DatabasePool]:
    async with DatabasePool(things_database.dsn, max_connections=3) as db:
        yield db
    assert (db.held, db.waiting) == (0, 0)
