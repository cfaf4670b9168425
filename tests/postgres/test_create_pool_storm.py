"""create_pool: whatever happens at once, no place in the pool is lost and no connection too many is opened."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Odd, opened, outcome, pids
from tests.support.databases import Database
from tests.support.pools import role_in, settled, witness_of

TOO_MANY = (asyncpg.TooManyConnectionsError, asyncpg.CannotConnectNowError)


def sometimes(chance: float, rng: random.Random) -> Any:  # noqa: ANN401 - a hook
    """A hook that mostly works, and else fails, hangs or closes its connection."""

    async def hook(connection: Any) -> None:  # noqa: ANN401
        if rng.random() < chance:
            match rng.randrange(4):
                case 0:
                    raise ValueError("on purpose")
                case 1:
                    raise Odd
                case 2:
                    await asyncio.sleep(0.1)
                case 3:
                    await connection.close()
        else:
            await connection.fetchval("select 1")

    return hook


async def use(pool: Any, rng: random.Random) -> None:  # noqa: ANN401
    match rng.randrange(6):
        case 0:
            await pool.fetchval("select $1::int", 1)
        case 1:
            await pool.fetchval("select pg_sleep(0.02)", timeout=rng.choice([0.01, 1]))
        case 2:
            async with pool.acquire(timeout=rng.choice([0.05, None])) as connection:
                await connection.execute("set application_name = 'mine'")
        case 3:
            async with pool.acquire() as connection, connection.transaction():
                await connection.fetch("select pg_sleep(0.01)")
        case 4:
            connection = await pool.acquire()
            if rng.random() < 0.5:
                connection.terminate()
            await pool.release(connection, timeout=0.05)
        case 5:
            await pool.expire_connections()
            await pool.execute("select 1")


@pytest.mark.parametrize("hooks", [(), ("init",), ("setup",), ("reset",), ("init", "setup", "reset")], ids="-".join)
async def test_every_place_comes_back(database: Database, hooks: tuple[str, ...]) -> None:
    rng = random.Random(7)

    async def caller() -> None:
        for _ in range(8):
            task = asyncio.create_task(use(pool, rng))
            if rng.random() < 0.3:
                await asyncio.sleep(rng.random() * 0.03)
                task.cancel()
            with suppress(BaseException):
                await task

    options: dict[str, Any] = {name: sometimes(0.2, rng) for name in hooks}
    async with opened(dbpool.create_pool, database, 4, min_size=1, max_queries=20, **options) as pool:
        await asyncio.gather(*(caller() for _ in range(30)))
        await settled(pool)
        assert pool.get_size() <= 4
        assert pool.get_idle_size() == pool.get_size()


async def test_the_server_never_sees_one_too_many(database: Database) -> None:
    """The role may have as many connections as the pool: one more would be refused."""
    rng = random.Random(11)
    refused: list[object] = []

    async def caller() -> None:
        for _ in range(15):
            result = await outcome(use_up(rng))
            if result in TOO_MANY:
                refused.append(result)

    async def use_up(rng: random.Random) -> None:
        if rng.random() < 0.1:
            await pool.expire_connections()
        if rng.random() < 0.5:
            await pool.execute("set application_name = 'mine'")
        else:
            connection = await pool.acquire()
            await pool.release(connection, timeout=rng.choice([None, 0.001]))

    async def reset(connection: Any) -> None:  # noqa: ANN401
        if rng.random() < 0.1:
            raise ValueError("on purpose")
        await connection.execute("select pg_sleep(0.002)")

    async with role_in(database, limit=3) as dsn:
        async with dbpool.create_pool(dsn, min_size=0, max_size=3, max_queries=30, reset=reset) as pool:
            await asyncio.gather(*(caller() for _ in range(20)))
            await settled(pool)
    assert refused == []


async def test_a_floor_and_a_crowd_share_the_places(database: Database) -> None:
    async with (
        opened(dbpool.create_pool, database, 3, min_size=2, max_inactive_connection_lifetime=0.01) as pool,
        witness_of(database) as witness,
    ):
        for _ in range(5):
            await asyncio.gather(*(pool.fetchval("select 1") for _ in range(20)))
            await witness.terminate(*await witness.pids())
            await asyncio.gather(*(outcome(pool.fetchval("select 1")) for _ in range(3)))  # it may hear of it only now
            assert len(await pids(pool, 3)) == 3
        await settled(pool)
