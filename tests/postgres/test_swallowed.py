"""A network that swallows, resets and dribbles, at what the pool sends beside its callers' statements."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

import dbpool
from dbpool import QueryTimeout
from dbpool.testing.proxying.messages import Way
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled, witness_of
from tests.support.proxy import proxy_before


@pytest.mark.every_loop
async def test_a_request_to_stop_that_is_taken_and_then_reset_costs_no_more_than_the_time_for_a_reset(
    database: Database,
) -> None:
    async with proxy_before(database.dsn) as proxy, witness_of(database) as witness, witness.holding():
        async with pool_of(proxy.dsn(database.dsn), 1, reset_timeout=0.1) as db:
            pid = await db.fetchval("select pg_backend_pid()")
            lost = proxy.cut(before="CancelRequest")
            with pytest.raises(QueryTimeout):
                await db.fetch("select pg_advisory_xact_lock(1)", timeout=0.1)
            await lost.wait()
            assert await db.fetchval("select pg_backend_pid()") != pid  # the driver takes the reset for an answer
            assert pid not in await witness.pids()


async def test_a_callback_that_hangs_while_the_network_swallows_all_is_bounded_and_so_is_the_close(
    database: Database,
) -> None:
    async with proxy_before(database.dsn) as proxy:

        async def setup(connection: asyncpg.Connection[asyncpg.Record]) -> None:
            if is_bad:
                proxy.stall()
                await connection.execute("select 1")

        is_bad = False
        pool = await dbpool.create_pool(proxy.dsn(database.dsn), min_size=1, max_size=1, setup=setup)
        is_bad = True
        async with asyncio.timeout(30):
            with pytest.raises(TimeoutError):
                await pool.acquire(timeout=0.3)
            is_bad = False
            proxy.resume()
            async with pool.acquire() as connection:
                assert await connection.fetchval("select 2") == 2
            await pool.close()


@pytest.mark.every_loop
async def test_an_answer_that_comes_byte_by_byte_is_whole(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        assert await db.fetchval("select 'first'") == "first"
        proxy.throttle(99.0, Way.TO_CLIENT)  # in pieces of a fiftieth of a second: one byte each
        rows = await db.fetch("select 'é' as a, 7 as b")
        assert [tuple(row) for row in rows] == [("é", 7)]
        proxy.throttle(None)
        await settled(db)
        await becomes(lambda: db.stats().idle == 1)
