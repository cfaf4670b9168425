"""create_pool: connections end when asyncpg's pool ends them, by the calls that it makes, one each."""

from __future__ import annotations

import pytest

import dbpool
from tests.support.both import Create, both, opened, pids
from tests.support.databases import Database
from tests.support.pools import becomes, witness_of


async def test_connections_that_the_server_ended_are_not_idle(database: Database) -> None:
    async with opened(dbpool.create_pool, database, 3) as pool, witness_of(database) as witness:
        await witness.terminate(*await pids(pool, 3))
        await becomes(lambda: pool.stats().idle == 0)
        assert pool.get_idle_size() == pool.get_size() == 0


@both
@pytest.mark.parametrize("use", ["acquire", "fetchval"])
async def test_one_use_after_an_expiry_replaces_one_connection(create: Create, database: Database, use: str) -> None:
    async with opened(create, database, 3) as pool:
        before = await pids(pool, 3)
        await pool.expire_connections()
        if use == "acquire":
            await pool.release(await pool.acquire())
        else:
            await pool.fetchval("select 1")
        assert pool.get_size() == 3
        assert not set(before) & set(await pids(pool, 3))
