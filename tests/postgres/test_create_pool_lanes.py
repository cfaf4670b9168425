"""create_pool: a lane lends connections as the pool does, by a line of its own."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

import dbpool
from tests.support.both import opened, outcome
from tests.support.databases import Database
from tests.support.pools import becomes


async def test_a_lanes_connection_is_released_by_its_block_by_the_lane_or_by_the_pool(database: Database) -> None:
    async with opened(dbpool.create_pool, database, 2) as pool:
        lane = pool.lane("batch", at_most=1)
        async with lane.acquire() as connection:
            assert await connection.fetchval("select 1") == 1
            assert lane.held == 1
        for release in (lane.release, pool.release):
            connection = await lane.acquire()
            await release(connection)
            with pytest.raises(asyncpg.InterfaceError):
                await connection.fetchval("select 1")
        assert lane.held == 0


async def test_a_lane_waits_in_its_own_line_as_long_as_it_may(database: Database) -> None:
    async with opened(dbpool.create_pool, database, 2) as pool:
        lane = pool.lane("batch", at_most=1)
        async with lane.acquire():
            assert await outcome(lane.acquire(timeout=0.05)) is TimeoutError
            waiting = asyncio.create_task(outcome(_used(lane)))
            await becomes(lambda: lane.waiting == 1)
            assert await _used(pool) == 1
        assert await waiting == 1


async def _used(lane: dbpool.DatabasePool) -> int:
    async with lane.acquire() as connection:
        number: int = await connection.fetchval("select 1")
        return number
