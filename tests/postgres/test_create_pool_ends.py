"""create_pool: connections end when asyncpg's pool ends them, by the calls that it makes, one each."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, Odd, both, opened, outcome, pids, until_size
from tests.support.databases import Database
from tests.support.pools import becomes, witness_of


class Told(asyncpg.Connection):
    """A class that notes how its connections are ended."""

    calls: list[str]

    async def close(self, *, timeout: float | None = None) -> None:
        self.calls.append("close")
        await super().close(timeout=timeout)

    def terminate(self) -> None:
        self.calls.append("terminate")
        super().terminate()


@both
async def test_a_class_of_connections_sees_one_call_for_each_end(create: Create, database: Database) -> None:
    calls = Told.calls = []
    seen: dict[str, list[str]] = {}
    async with opened(create, database, connection_class=Told, max_queries=1) as pool:
        await pool.execute("select 1")
        await until_size(pool, 0)
        seen["worn out"] = calls.copy()
        calls.clear()
    async with opened(create, database, connection_class=Told, max_inactive_connection_lifetime=0.05) as pool:
        await pool.execute("select 1")
        await until_size(pool, 0)
        seen["idle"] = calls.copy()
        calls.clear()
    async with opened(create, database, connection_class=Told) as pool:
        for _ in range(2):
            await pool.execute("select 1")
            await pool.expire_connections()
        await becomes(lambda: calls)
        seen["expired"] = calls.copy()
    calls.clear()
    async with opened(create, database, connection_class=Told, reset=_fail) as pool:
        assert await outcome(pool.execute("select 1")) is ValueError
        seen["not reset"] = calls.copy()
    assert seen == {"worn out": ["close"], "idle": ["terminate"], "expired": ["close"], "not reset": ["terminate"]}


async def _fail(_: object) -> None:
    raise ValueError("on purpose")


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


@pytest.mark.parametrize("call", [1, 2])
async def test_a_base_exception_in_init_leaves_an_open_pool(database: Database, call: int) -> None:
    # asyncpg's is as open, but loses the connection
    calls: list[int] = []

    async def init(_: object) -> None:
        calls.append(1)
        if len(calls) == call:
            raise Odd

    pool = dbpool.create_pool(database.dsn, min_size=0, init_size=2, max_size=2, init=init)
    assert await outcome(_opened(pool)) is Odd
    try:
        assert not pool.is_closing()
        assert await pool is pool
        assert await outcome(asyncio.gather(*(pool.fetchval("select 1") for _ in range(4)))) == [1] * 4
        await asyncio.wait_for(pids(pool, 2), 5)
        assert pool.get_size() == 2
    finally:
        await pool.close()


async def _opened(pool: Any) -> Any:  # noqa: ANN401
    return await pool
