"""create_pool: nobody is called stuck while something outside could still free a connection."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Awaitable, Callable
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, both, opened, outcome
from tests.support.databases import Database
from tests.support.pools import witness_of


class Kept:
    """What refers to a connection, in one way or another."""

    def __init__(self, keep: Callable[[Any], Any], get: Callable[[Any], Any]) -> None:
        self.keep, self.get = keep, get


WAYS = {
    "a list": Kept(lambda one: [one], lambda kept: kept[0]),
    "a method": Kept(lambda one: one.terminate, lambda kept: kept.__self__),
    "a weak reference": Kept(weakref.ref, lambda kept: kept()),
    "a weak set": Kept(lambda one: weakref.WeakSet([one]), lambda kept: next(iter(kept))),
}


@both
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("hook", ["init", "connect"])
async def test_what_refers_to_a_connection_itself_can_free_it(
    create: Create, database: Database, way: str, hook: str
) -> None:
    kept: list[Any] = []

    async def init(connection: Any) -> None:  # noqa: ANN401
        kept.append(WAYS[way].keep(connection))

    async def connect(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        connection = await asyncpg.connect(*args, **options)
        await init(connection)
        return connection

    hooks: dict[str, Any] = {"init": init} if hook == "init" else {"connect": connect}
    async with opened(create, database, **hooks) as pool:
        await pool.acquire()
        asyncio.get_running_loop().call_later(0.3, lambda: WAYS[way].get(kept[0]).terminate())
        await pool.release(await pool.acquire())


@both
async def test_a_listener_can_release_the_connection_that_it_is_called_with(create: Create, database: Database) -> None:
    tasks: list[asyncio.Task[None]] = []

    async with opened(create, database) as pool, witness_of(database) as witness:

        def release(connection: Any, *_: object) -> None:  # noqa: ANN401
            tasks.append(asyncio.ensure_future(pool.release(connection)))

        connection = await pool.acquire()
        await connection.add_listener("done", release)
        del connection
        notify = asyncio.create_task(_later(witness.run("notify done")))
        with pytest.warns(asyncpg.InterfaceWarning):
            await pool.release(await pool.acquire())
        await notify


async def _later(work: Awaitable[None]) -> None:
    await asyncio.sleep(0.3)
    await work


@both
@pytest.mark.parametrize(
    "how", [{"server_settings": {"idle_session_timeout": "300"}}, "?idle_session_timeout=300", "options"]
)
async def test_the_server_can_end_a_session_that_does_nothing(create: Create, database: Database, how: Any) -> None:  # noqa: ANN401
    options = how if isinstance(how, dict) else {}
    if how == "options":
        options = {"server_settings": {"options": "-c idle_session_timeout=300"}}
    async with opened(create, database, **options) as pool:
        if isinstance(how, str) and how.startswith("?"):
            pool.set_connect_args(f"{database.dsn}{how.replace('?', '&' if '?' in database.dsn else '?')}")
        await pool.acquire()
        assert await outcome(pool.release(await pool.acquire())) is None


async def test_with_hooks_and_statements_that_let_nobody_else_have_it_a_deadlock_is_told(database: Database) -> None:
    async def look(connection: Any) -> None:  # noqa: ANN401
        await connection.fetchval("select 1")

    class Mine(asyncpg.Connection):
        pass

    async with opened(
        dbpool.create_pool, database, 2, init=look, setup=look, reset=look, connection_class=Mine
    ) as pool:
        await pool.fetchval("select 1")
        async with pool.acquire() as one, pool.acquire() as other:
            statement = await one.prepare("select $1::int")
            assert await statement.fetchval(1) == 1
            async with other.transaction():
                await other.execute("select 1")
                assert await outcome(pool.acquire(), within_s=5) is dbpool.PoolDeadlock
