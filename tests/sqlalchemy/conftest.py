"""A pool beside SQLAlchemy's own engine, on one database with the same tables and rows."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from dbpool import DatabasePool
from tests.sqlalchemy.shop import ROWS, metadata, things
from tests.support.databases import Database
from tests.support.eachloop import pytest_asyncio_loop_factories as pytest_asyncio_loop_factories  # noqa: PLC0414 - a hook


@pytest.fixture
async def engine(database: Database) -> AsyncIterator[AsyncEngine]:
    """SQLAlchemy's own, over asyncpg: what it answers is what is right."""
    connect = partial(asyncpg.connect, database.dsn)
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, pool_size=1)
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
        for row in ROWS:
            await connection.execute(sa.insert(things), row)
    yield engine
    await engine.dispose()


@pytest.fixture
async def db(engine: AsyncEngine, database: Database) -> AsyncIterator[DatabasePool]:
    async with DatabasePool(database.dsn, max_connections=3) as db:
        yield db
    assert (db.held, db.waiting) == (0, 0)
