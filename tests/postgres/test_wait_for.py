"""A caller's own ``wait_for``, which before Python 3.12 can lose a cancellation, loses no permit."""

from __future__ import annotations

import asyncio
import gc

import pytest

from dbpool import DatabasePool
from tests.support.databases import Database
from tests.support.pools import pool_of, settled

TURNS = 10


async def work(db: DatabasePool) -> None:
    connection = await asyncio.wait_for(db.acquire(), 5)
    try:
        await connection.fetchval("select 1")
    finally:
        await db.release(connection)


@pytest.mark.slow
@pytest.mark.parametrize("stands_in_line", [True, False])
async def test_an_acquire_in_wait_for_cancelled_in_any_turn_loses_no_permit(
    database: Database, stands_in_line: bool
) -> None:
    async with pool_of(database, 1) as db:
        for turns in range(TURNS):
            if stands_in_line:
                async with db.acquire():
                    task = asyncio.create_task(work(db))
                    await asyncio.sleep(0.001)
            else:
                task = asyncio.create_task(work(db))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
            assert task.cancelled() or task.exception() is None
            del task
            gc.collect()  # what wait_for has dropped comes back when nobody has it any more
            await settled(db)
            assert await db.fetchval("select 1") == 1


async def ask(db: DatabasePool) -> None:
    await asyncio.wait_for(db.fetchval("select 1"), 5)


async def test_statements_in_wait_for_cancelled_in_any_turn_lose_no_permit(database: Database) -> None:
    async with pool_of(database, 1) as db:
        for turns in range(TURNS):
            tasks = [asyncio.create_task(ask(db)) for _ in range(3)]
            for _ in range(turns):
                await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            await settled(db)
