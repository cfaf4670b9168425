"""create_pool: hooks are called when asyncpg's pool calls them, and whatever they do costs no permit."""

from __future__ import annotations

import asyncio
from contextvars import ContextVar
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, Odd, both, opened, outcome, until_size
from tests.support.databases import Database
from tests.support.pools import becomes, witness_of

Hook = Any  # an async function of one connection
MOMENTS = ("init", "setup", "reset")


class Mine(asyncpg.Connection):
    """A class of a user's own."""


class Log(list[str]):
    """What was called, in order, with what kind of connection."""

    def hook(self, name: str) -> Hook:
        async def called(connection: Any) -> None:  # noqa: ANN401 - of the user's class, or a handle
            assert await connection.fetchval("select 1") == 1
            self.append(f"{name} {type(connection).__name__}")

        return called


def failing(error: BaseException) -> tuple[Hook, list[int]]:
    """A hook that fails the first time, and a list that is as long as it was called often."""
    calls: list[int] = []

    async def hook(_: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise error

    return hook, calls


@both
async def test_hooks_are_called_at_the_same_moments(create: Create, database: Database) -> None:
    log = Log()

    async def connect(*args: Any, **options: Any) -> Any:  # noqa: ANN401
        log.append(f"connect {options['connection_class'].__name__}")
        return await asyncpg.connect(*args, **options)

    hooks: dict[str, Any] = {name: log.hook(name) for name in MOMENTS}
    async with opened(create, database, connect=connect, connection_class=Mine, **hooks) as pool:
        await pool.fetchval("select 1")
        assert log == ["connect Mine", "init Mine", "setup PoolConnectionProxy", "reset Mine"]
        log.clear()
        async with pool.acquire() as connection:
            assert log == ["setup PoolConnectionProxy"]
            await connection.execute("select 1")
        assert log == ["setup PoolConnectionProxy", "reset Mine"]
        log.clear()
        await pool.execute("select 1")
        await pool.fetchrow("select 1")
        assert log == ["setup PoolConnectionProxy", "reset Mine"] * 2
        log.clear()
        await pool.expire_connections()
        await pool.fetch("select 1")
        assert log == ["connect Mine", "init Mine", "setup PoolConnectionProxy", "reset Mine"]


@both
@pytest.mark.parametrize("moment", MOMENTS)
async def test_each_hook_alone_is_called_for_a_one_shot_too(create: Create, database: Database, moment: str) -> None:
    log = Log()
    async with opened(create, database, **{moment: log.hook(moment)}) as pool:
        for _ in range(2):
            await pool.fetchval("select 1")
    assert len(log) == (1 if moment == "init" else 2)


@both
async def test_sizes_seen_by_hooks_are_the_same(create: Create, database: Database) -> None:
    def look(name: str) -> Hook:
        async def hook(_: object) -> None:
            seen.append((name, pool.get_size(), pool.get_idle_size()))

        return hook

    seen: list[tuple[str, int, int]] = []
    pool = create(database.dsn, min_size=1, max_size=1, **{name: look(name) for name in MOMENTS})
    async with pool:
        async with pool.acquire():
            pass
    assert seen == [("init", 0, 0), ("setup", 1, 1), ("reset", 1, 0)]


@both
async def test_hooks_see_the_callers_context(create: Create, database: Database) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    async def look(_: object) -> None:
        seen.append(tenant.get())

    async with opened(create, database, init=look, setup=look, reset=look) as pool:
        tenant.set("somebody")
        await pool.fetch("select 1")
    assert seen == ["somebody"] * 3


@both
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("error", [ValueError, asyncio.CancelledError, Odd, TimeoutError])
async def test_what_a_hook_raises_reaches_the_caller_and_costs_the_connection(
    create: Create, database: Database, moment: str, error: type[BaseException]
) -> None:
    if create is asyncpg.create_pool and error is Odd:
        pytest.skip("asyncpg loses the connection and its place")
    for use in ("acquire", "fetchval"):
        hook, calls = failing(error())
        async with opened(create, database, **{moment: hook}) as pool:
            assert await outcome(_used(pool, use)) is error
            await until_size(pool, 0)
            assert await outcome(_used(pool, use)) == 1
            assert len(calls) == 2


async def _used(pool: Any, how: str) -> Any:  # noqa: ANN401
    if how == "fetchval":
        return await pool.fetchval("select 1")
    async with pool.acquire() as connection:
        return await connection.fetchval("select 1")


async def test_a_place_is_not_lost_to_a_base_exception_in_a_hook(database: Database) -> None:
    for moment in MOMENTS:
        hook, _ = failing(Odd())
        async with opened(dbpool.create_pool, database, 2, **{moment: hook}) as pool:
            assert await outcome(pool.fetchval("select 1")) is Odd
            async with pool.acquire(timeout=5), pool.acquire(timeout=5):
                assert pool.get_size() == 2


@both
async def test_a_hook_that_fails_when_the_pool_is_opened_fails_it(create: Create, database: Database) -> None:
    hook, _ = failing(ValueError("on purpose"))
    pool = create(database.dsn, min_size=1, init=hook)
    with pytest.raises(ValueError, match="on purpose"):
        await pool
    assert (pool.is_closing(), pool.get_size()) == (True, 0)


@both
@pytest.mark.parametrize("moment", ["init", "setup"])
async def test_a_hook_that_hangs_is_bounded_by_the_acquire(create: Create, database: Database, moment: str) -> None:
    async with opened(create, database, **{moment: _hang_once()}) as pool:
        assert await outcome(pool.acquire(timeout=0.2)) is TimeoutError
        assert await outcome(_used(pool, "acquire")) == 1


@both
async def test_a_reset_that_hangs_is_bounded_by_the_release(create: Create, database: Database) -> None:
    async with opened(create, database, reset=_hang_once()) as pool:
        held = await pool.acquire()
        assert await outcome(pool.release(held, timeout=0.2)) is TimeoutError
        assert pool.get_size() == 0
        assert await outcome(_used(pool, "acquire")) == 1


@both
async def test_the_limit_of_an_acquire_is_also_that_of_its_release(create: Create, database: Database) -> None:
    async with opened(create, database, reset=_hang_once()) as pool:

        async def use() -> None:
            async with pool.acquire(timeout=1):
                pass

        assert await outcome(use()) is TimeoutError
        assert pool.get_size() == 0


def _hang_once() -> Hook:
    calls: list[int] = []

    async def hook(_: object) -> None:
        calls.append(1)
        if len(calls) == 1:
            await asyncio.Event().wait()

    return hook


@both
@pytest.mark.parametrize("moment", MOMENTS)
async def test_a_caller_may_be_cancelled_in_a_hook(create: Create, database: Database, moment: str) -> None:
    async def hook(_: object) -> None:
        entered.set()
        await may_go_on.wait()

    entered, may_go_on = asyncio.Event(), asyncio.Event()
    async with opened(create, database, **{moment: hook}) as pool:
        task = asyncio.create_task(_used(pool, "acquire"))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        may_go_on.set()
        assert await outcome(_used(pool, "acquire")) == 1


@both
@pytest.mark.parametrize("how", ["close", "terminate"])
async def test_a_connection_still_being_opened_when_the_pool_ends_is_closed(
    create: Create, database: Database, how: str
) -> None:
    async def init(connection: Any) -> None:  # noqa: ANN401
        made.append(connection)
        entered.set()
        await may_end.wait()

    made: list[Any] = []
    entered, may_end = asyncio.Event(), asyncio.Event()
    pool = await create(database.dsn, min_size=0, max_size=1, init=init)
    using = asyncio.create_task(outcome(_used(pool, "acquire")))
    await entered.wait()
    ending = asyncio.create_task(pool.close()) if how == "close" else pool.terminate()
    await becomes(pool.is_closing)
    may_end.set()
    assert await using is asyncpg.InterfaceError
    assert made[0].is_closed()
    if ending is not None:
        await ending


@both
async def test_close_waits_for_a_reset_under_way(create: Create, database: Database) -> None:
    async def reset(_: object) -> None:
        entered.set()
        await may_end.wait()

    entered, may_end = asyncio.Event(), asyncio.Event()
    pool = await create(database.dsn, min_size=1, max_size=1, reset=reset)
    using = asyncio.create_task(_used(pool, "acquire"))
    await entered.wait()
    closing = asyncio.create_task(pool.close())
    await becomes(pool.is_closing)
    assert not closing.done()
    may_end.set()
    await closing
    assert await using == 1


async def test_terminate_ends_a_reset_that_hangs(database: Database) -> None:
    async def reset(_: object) -> None:
        entered.set()
        await asyncio.Event().wait()

    entered = asyncio.Event()
    pool = await dbpool.create_pool(database.dsn, min_size=1, max_size=1, reset=reset)
    using = asyncio.create_task(outcome(_used(pool, "acquire")))
    await entered.wait()
    pool.terminate()
    assert await using is asyncpg.ConnectionDoesNotExistError
    assert pool.stats().held == 0


@both
async def test_a_hook_may_close_its_connection(create: Create, database: Database) -> None:
    async def close(connection: Any) -> None:  # noqa: ANN401
        await connection.close()

    async with opened(create, database, reset=close) as pool:
        assert await outcome(_used(pool, "acquire")) == 1
        assert pool.get_size() == 0
        assert await outcome(_used(pool, "fetchval")) == 1
    async with opened(create, database, init=close) as pool:
        assert await outcome(_used(pool, "fetchval")) is asyncpg.ConnectionDoesNotExistError


@both
@pytest.mark.parametrize("bad", [None, 3, "text", object()])
async def test_what_connect_returns_must_be_a_connection(create: Create, database: Database, bad: object) -> None:
    async def connect(*_: Any, **__: Any) -> object:  # noqa: ANN401
        return bad

    said = []
    for maker in (asyncpg.create_pool, create):
        async with opened(maker, database, connect=connect, connection_class=Mine) as pool:
            with pytest.raises(asyncpg.InterfaceError, match="expected pool connect callback to return") as raised:
                await pool.acquire()
            said.append(str(raised.value))
    assert said[0] == said[1]


@both
async def test_connect_may_take_no_notice_of_the_class(create: Create, database: Database) -> None:
    async def connect(*_: Any, **__: Any) -> Any:  # noqa: ANN401
        return await asyncpg.connect(database.dsn)

    async with opened(create, database, connect=connect, connection_class=Mine) as pool:
        assert await outcome(_used(pool, "acquire")) == 1
        assert await outcome(_used(pool, "fetchval")) == 1


@both
async def test_what_init_sets_in_the_session_lasts_until_the_first_reset(create: Create, database: Database) -> None:
    async def init(connection: Any) -> None:  # noqa: ANN401
        await connection.execute(
            "set application_name = 'mine'; "
            "create temp table kept (n int); grant select on kept to public; set role pg_monitor"
        )

    name = "select current_setting('application_name'), current_user"
    async with opened(create, database, init=init) as pool:
        assert tuple(await pool.fetchrow(name)) == ("mine", "pg_monitor")
        assert tuple(await pool.fetchrow(name)) == ("", "pg_monitor")
        await pool.execute("set application_name = 'yours'")
        assert tuple(await pool.fetchrow(name)) == ("", "pg_monitor")
        assert await pool.fetchval("select count(*) from kept") == 0


@both
async def test_a_reset_hook_takes_the_place_of_the_reset(create: Create, database: Database) -> None:
    async def reset(connection: Any) -> None:  # noqa: ANN401
        pass

    async with opened(create, database, reset=reset) as pool:
        await pool.execute("set application_name = 'mine'")
        assert await pool.fetchval("show application_name") == "mine"


@both
async def test_a_codec_set_by_init_serves_every_statement(create: Create, database: Database) -> None:
    async def init(connection: Any) -> None:  # noqa: ANN401
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=str, decoder=len)

    async with opened(create, database, init=init) as pool, witness_of(database):
        for _ in range(3):
            assert await pool.fetchval("""select '{"a": 1}'::jsonb""") == 8
            async with pool.acquire() as connection:
                assert await connection.fetchval("select '[]'::jsonb") == 2


@both
async def test_a_query_logger_added_by_init_hears_of_every_statement(create: Create, database: Database) -> None:
    async def init(connection: Any) -> None:  # noqa: ANN401
        connection.add_query_logger(lambda record: heard.append(record.query))

    heard: list[str] = []
    async with opened(create, database, init=init) as pool:
        for _ in range(3):
            await pool.fetchval("select 7")
        await becomes(lambda: heard.count("select 7") == 3)
