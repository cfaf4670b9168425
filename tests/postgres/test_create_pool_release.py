"""create_pool: a release returns when its own reset is over, with its own limit and its own error."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, both, opened, outcome
from tests.support.databases import Database
from tests.support.pools import settled, until, witness_of

Hook = Any  # an async function of one connection
MIDDLE = "connection was closed in the middle of operation"


def at_call(number: int, work: Hook) -> Hook:
    """A hook that does *work* when it is called for the *number*-th time."""
    calls: list[int] = []

    async def hook(connection: Any) -> None:  # noqa: ANN401 - a connection, or a handle
        calls.append(1)
        if len(calls) == number:
            await work(connection)

    return hook


async def _hang(_: object) -> None:
    await asyncio.Event().wait()


async def _fail_late(connection: Any) -> None:  # noqa: ANN401
    await connection.fetchval("select 1")
    raise ValueError("on purpose")


@both
async def test_a_second_release_in_the_same_turn_has_its_own_limit(create: Create, database: Database) -> None:
    async with opened(create, database, reset=at_call(2, _hang)) as pool:
        await pool.release(await pool.acquire())
        connection = await pool.acquire()
        assert await outcome(pool.release(connection, timeout=0.2)) is TimeoutError
        with pytest.raises(asyncpg.InterfaceError):
            await connection.fetchval("select 1")
        assert await pool.fetchval("select 1") == 1


@both
async def test_a_second_release_in_the_same_turn_has_its_own_error(create: Create, database: Database) -> None:
    async with opened(create, database, reset=at_call(2, _fail_late)) as pool:
        await pool.release(await pool.acquire())
        assert await outcome(pool.release(await pool.acquire())) is ValueError
        assert await pool.fetchval("select 1") == 1


@both
async def test_a_second_block_in_the_same_turn_ends_when_its_connection_is_idle(
    create: Create, database: Database
) -> None:
    async with opened(create, database) as pool:
        for _ in range(3):
            async with pool.acquire() as connection:
                pass
            assert pool.get_idle_size() == 1
            with pytest.raises(asyncpg.InterfaceError):
                await connection.fetchval("select 1")


@both
async def test_no_block_ends_before_its_own_reset(create: Create, database: Database) -> None:
    resets: list[int] = []

    async def reset(connection: Any) -> None:  # noqa: ANN401
        await connection.fetchval("select pg_sleep(0.05)")
        resets.append(1)

    async def use(number: int) -> None:
        async with pool.acquire():
            pass
        assert len(resets) >= number

    async with opened(create, database, reset=reset) as pool:
        await asyncio.gather(*(use(number) for number in (1, 2, 3)))


@both
@pytest.mark.parametrize("way", ["terminate", "close"])
async def test_a_release_under_way_when_the_pool_ends_is_told_that_its_connection_was_closed(
    create: Create, database: Database, way: str
) -> None:
    order: list[str] = []

    async def release(connection: Any) -> None:  # noqa: ANN401
        try:
            await pool.release(connection)
        finally:
            order.append("release")

    async def sleep(connection: Any) -> None:  # noqa: ANN401
        await connection.execute("select pg_sleep(20)")

    pool = await create(database.dsn, min_size=0, max_size=1, reset=at_call(1, sleep))
    async with witness_of(database) as witness:
        with pytest.raises(ExceptionGroup) as caught:
            async with asyncio.TaskGroup() as group:
                group.create_task(release(await pool.acquire()))
                await until(lambda: _sleeps(witness))
                if way == "terminate":
                    pool.terminate()
                else:
                    assert await outcome(pool.close(), within_s=0.2) is TimeoutError
                order.append("end")
        [error] = caught.value.exceptions
        assert isinstance(error, asyncpg.ConnectionDoesNotExistError)
        assert str(error) == MIDDLE
        assert order == ["end", "release"]
        await witness.terminate(*await witness.pids())  # the server has not noticed


async def _sleeps(witness: Any) -> bool:  # noqa: ANN401
    return any("pg_sleep" in row["query"] and row["state"] == "active" for row in await witness.backends())


@both
async def test_a_statement_whose_connection_another_task_releases_is_told_so(
    create: Create, database: Database
) -> None:
    async with opened(create, database) as pool, witness_of(database) as witness:
        connection = await pool.acquire()
        statement = asyncio.create_task(connection.execute("select pg_sleep(20)"))
        await until(lambda: _sleeps(witness))
        assert await outcome(pool.release(connection)) is asyncpg.InterfaceError
        with pytest.raises(asyncpg.ConnectionDoesNotExistError, match=MIDDLE):
            await statement
        assert pool.get_size() == 0
        await witness.terminate(*await witness.pids())  # asyncpg leaves it running
        assert await pool.fetchval("select 1") == 1


async def test_a_reset_that_is_cancelled_with_every_task_of_the_loop_frees_its_place(database: Database) -> None:
    async with opened(dbpool.create_pool, database) as pool:
        connection = await pool.acquire()
        release = asyncio.create_task(pool.release(connection))
        await asyncio.sleep(0)
        for task in asyncio.all_tasks() - {asyncio.current_task(), release}:
            task.cancel()
        assert await outcome(release) is asyncpg.ConnectionDoesNotExistError
        with pytest.raises(asyncpg.InterfaceError):
            await connection.fetchval("select 1")
        await settled(pool)
        assert await pool.fetchval("select 1") == 1
