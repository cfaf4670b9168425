"""create_pool: connections are lent, given back and lost as by asyncpg's pool."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest
from asyncpg.pool import PoolAcquireContext, PoolConnectionProxy

import dbpool
from tests.support.both import Create, both, opened, outcome, pids, until_size
from tests.support.databases import Database
from tests.support.pools import becomes, witness_of

RELEASED = "connection has been released back to the pool"


@both
async def test_acquire_is_awaited_or_entered_once(create: Create, database: Database) -> None:
    async with opened(create, database, 2) as pool:
        context = pool.acquire()
        assert type(context) is PoolAcquireContext
        async with context as connection:
            assert type(connection) is PoolConnectionProxy
            assert isinstance(connection, asyncpg.Connection)
            with pytest.raises(asyncpg.InterfaceError, match="already acquired"):
                await context.__aenter__()
        with pytest.raises(asyncpg.InterfaceError, match="already acquired"):
            await context.__aenter__()
        awaited = await pool.acquire()
        assert await awaited.fetchval("select 1") == 1
        assert await pool.release(awaited) is None


@both
async def test_a_released_connection_is_of_no_more_use(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        async with pool.acquire() as connection:
            statement = await connection.prepare("select 1")
            transaction = connection.transaction()
            async with connection.transaction():
                cursor = await connection.cursor("select 1")
        for use in (
            lambda: connection.fetch("select 1"),
            lambda: connection.execute("select 1"),
            connection.transaction,
            connection.is_closed,
            lambda: connection.cursor("select 1"),
            lambda: connection.copy_from_query("select 1", output=print),
        ):
            with pytest.raises(asyncpg.InterfaceError, match=RELEASED):
                await use()
        with pytest.raises(asyncpg.InterfaceError, match=RELEASED):
            await statement.fetch()
        with pytest.raises(asyncpg.InterfaceError, match=RELEASED):
            await cursor.fetchrow()
        with pytest.raises(asyncpg.InterfaceError, match=RELEASED):
            await transaction.start()
        assert "[released]" in repr(connection)


@both
async def test_releasing_twice_does_nothing(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        connection = await pool.acquire()
        await pool.release(connection)
        async with pool.acquire() as next_one:
            await pool.release(connection)
            assert await next_one.fetchval("select 1") == 1
        async with pool.acquire() as connection:
            await pool.release(connection)


async def test_releasing_at_the_same_time_as_somebody_else_does_nothing_more(database: Database) -> None:
    async with opened(dbpool.create_pool, database) as pool:
        connection = await pool.acquire()
        await asyncio.gather(*(pool.release(connection) for _ in range(3)))
        assert pool.get_idle_size() == 1


@both
async def test_only_a_connection_of_this_pool_can_be_released(create: Create, database: Database) -> None:
    async def init(connection: object) -> None:
        made.append(connection)

    made: list[object] = []
    async with opened(create, database, init=init) as pool, asyncpg.create_pool(database.dsn, min_size=1) as other:
        async with other.acquire() as foreign, pool.acquire():
            for wrong in (None, 3, foreign, made[0]):
                with pytest.raises(asyncpg.InterfaceError, match="is not a member of this pool"):
                    await pool.release(wrong)


@both
async def test_an_acquire_runs_out_of_time(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        async with pool.acquire():
            assert await outcome(pool.acquire(timeout=0.05)) is TimeoutError
            with pytest.raises(TimeoutError):
                async with pool.acquire(timeout=0.05):
                    pass
        assert await outcome(pool.acquire(timeout=0)) is TimeoutError
        await pool.release(await pool.acquire(timeout=float("inf") if create is dbpool.create_pool else None))


async def test_who_can_never_be_served_is_told(database: Database) -> None:
    async with opened(dbpool.create_pool, database) as pool:
        async with pool.acquire():
            assert await outcome(pool.acquire()) is dbpool.PoolDeadlock
            assert await outcome(pool.fetchval("select 1")) is dbpool.PoolDeadlock
            assert await outcome(pool.acquire(timeout=600)) is TimeoutError


@both
async def test_who_waits_gets_the_connection_that_is_released(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        first = await pool.acquire()
        waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(2)]
        await asyncio.sleep(0)
        await pool.release(first)
        second = await waiting[0]
        assert not waiting[1].done()
        await pool.release(second)
        await pool.release(await waiting[1])


@both
async def test_who_is_cancelled_in_line_takes_nothing_with_them(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        first = await pool.acquire()
        waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        waiting[1].cancel()
        await pool.release(first)
        await pool.release(await waiting[2])
        assert await pool.fetchval("select 1") == 1


@both
async def test_a_cancelled_release_releases_all_the_same(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        connection = await pool.acquire()
        task = asyncio.create_task(pool.release(connection))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await outcome(pool.fetchval("select 1")) == 1


@both
@pytest.mark.parametrize("how", ["close", "terminate", "server"])
async def test_a_connection_closed_while_held_frees_its_place_at_once(
    create: Create, database: Database, how: str
) -> None:
    async with opened(create, database) as pool, witness_of(database) as witness:
        held = await pool.acquire()
        told: list[object] = []
        held.add_termination_listener(told.append)
        if how == "close":
            await held.close()
        elif how == "terminate":
            held.terminate()
        else:
            await witness.terminate(held.get_server_pid())
        await until_size(pool, 0)
        with pytest.raises(asyncpg.InterfaceError, match=RELEASED):
            await held.fetchval("select 1")
        async with pool.acquire(timeout=5) as another:
            await pool.release(held)
            assert await another.fetchval("select 1") == 1
        await becomes(lambda: told)


@both
async def test_a_connection_lost_in_a_statement_is_told_as_asyncpg_tells_it(create: Create, database: Database) -> None:
    async with opened(create, database, 2) as pool, witness_of(database) as witness:
        one_shot = asyncio.create_task(outcome(pool.fetchval("select pg_sleep(30)")))
        async with pool.acquire() as held:
            sleeping = asyncio.create_task(outcome(held.fetchval("select pg_sleep(30)")))
            await becomes(lambda: pool.get_size() == 2)
            await asyncio.sleep(0.1)
            await witness.terminate(*await witness.pids())
            assert [await one_shot, await sleeping] == [asyncpg.ConnectionDoesNotExistError] * 2


@both
async def test_idle_connections_that_the_server_ended_are_replaced(create: Create, database: Database) -> None:
    async with opened(create, database, 2) as pool, witness_of(database) as witness:
        await witness.terminate(*await pids(pool, 2))
        await until_size(pool, 0)
        assert await pool.fetchval("select 1") == 1
        assert await pool.fetchval("select $1::int", 2) == 2


@both
async def test_listeners_left_behind_are_warned_about_and_removed(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        async with pool.acquire() as connection:
            await connection.add_listener("news", print)
            connection.add_log_listener(print)
            with pytest.warns(asyncpg.InterfaceWarning) as told:
                await pool.release(connection)
        kinds = ["active notification listener", "active log listener"]
        assert all(kind in str(warning.message) for kind, warning in zip(kinds, told, strict=True))
        async with pool.acquire() as connection:
            assert await connection.fetchval("select count(*) from pg_listening_channels()") == 0


@both
async def test_a_transaction_left_open_is_reported_and_rolled_back(create: Create, database: Database) -> None:
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    async with opened(create, database) as pool:
        await pool.execute("create table t (n int)")
        async with pool.acquire() as connection:
            await connection.execute("begin; insert into t values (1)")
        await pool.execute("begin")
        async with pool.acquire() as connection:
            await connection.transaction().start()
            await connection.execute("insert into t values (1)")
        assert await pool.fetchval("select count(*) from t") == 0
        assert len(reported) == 3
        assert all("Resetting connection with an active transaction" in line for line in reported)


@both
async def test_transactions_are_asyncpgs_own(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        await pool.execute("create table t (n int)")
        async with pool.acquire() as connection:
            assert type(connection.transaction()) is asyncpg.transaction.Transaction
            async with connection.transaction(isolation="serializable", readonly=False):
                await connection.execute("insert into t values (1)")
                with pytest.raises(ZeroDivisionError):
                    async with connection.transaction():
                        await connection.execute("insert into t values (2)")
                        raise ZeroDivisionError
        assert await pool.fetchval("select array_agg(n) from t") == [1]


@both
async def test_session_state_is_reset_as_asyncpg_resets_it(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        async with pool.acquire() as connection:
            await connection.execute("set search_path = nowhere; create temp table kept (n int)")
            await connection.execute("select pg_advisory_lock(1)")
        assert await pool.fetchval("show search_path") != "nowhere"
        locks = (
            "select count(*) from pg_locks join pg_database d on d.oid = database"
            " where locktype = 'advisory' and datname = current_database()"
        )
        assert await pool.fetchval(locks) == 0
        assert await pool.fetchval("select count(*) from pg_temp.kept") == 0
        await pool.execute("set search_path = nowhere")
        assert await pool.fetchval("show search_path") != "nowhere"
        await pool.fetch("select set_config('search_path', 'nowhere', false)")
        assert await pool.fetchval("show search_path") != "nowhere"


class Mine(asyncpg.Connection):
    """A class with slots, names and methods of its own."""

    __slots__ = ("at_work", "made", "settings")

    def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*args, **options)
        self.settings, self.at_work = "its own", "too"
        self.made = 1

    async def run(self) -> int:
        return 42

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        seen.append(query)
        return await super().fetchval(query, *args, **options)

    def get_reset_query(self) -> str:
        return super().get_reset_query() + "\nset application_name = 'reset'"


seen: list[str] = []


@both
async def test_a_class_of_connections_stays_what_it_is(create: Create, database: Database) -> None:
    made: list[Any] = []

    async def init(connection: Any) -> None:  # noqa: ANN401
        made.append(connection)

    seen.clear()
    async with opened(create, database, connection_class=Mine, init=init) as pool:
        async with pool.acquire() as connection:
            assert type(made[0]) is Mine
            assert (connection.settings, connection.at_work, connection.made) == ("its own", "too", 1)
            assert await connection.run() == 42
        assert await pool.fetchval("show application_name") == "reset"
        assert await pool.fetchval("show application_name") == "reset"
        assert seen == ["show application_name"] * 2


class MyRecord(asyncpg.Record):
    """A class of rows."""

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        return self[name]


@both
async def test_rows_are_of_the_class_asked_for(create: Create, database: Database) -> None:
    async with opened(create, database, record_class=MyRecord) as pool:
        for _ in range(2):
            assert (await pool.fetchrow("select 1 as n")).n == 1
            assert (await pool.fetch("select 1 as n"))[0].n == 1
            assert type((await pool.fetchmany("select $1::int as n", [(1,)]))[0]) is MyRecord
    async with opened(create, database) as pool:
        assert (await pool.fetchrow("select 1 as n", record_class=MyRecord)).n == 1
        assert (await pool.fetch("select 1 as n", record_class=MyRecord))[0].n == 1
        assert type(await pool.fetchrow("select 1 as n")) is asyncpg.Record


@both
async def test_an_async_generator_abandoned_half_way_gives_its_connection_back(
    create: Create, database: Database
) -> None:
    async def numbers() -> AsyncIterator[int]:
        async with pool.acquire() as connection, connection.transaction():
            async for row in connection.cursor("select generate_series(1, 1000)", prefetch=10):
                yield row[0]

    async with opened(create, database) as pool:
        async for number in numbers():
            if number == 3:
                break
        gc.collect()
        assert await outcome(pool.fetchval("select 1")) == 1
        rows = numbers()
        assert await anext(rows) == 1
        await rows.aclose()  # type: ignore[attr-defined]
        assert pool.get_idle_size() == 1


@both
async def test_a_pool_dropped_unclosed_is_warned_about(create: Create, database: Database) -> None:
    pool = await create(database.dsn, min_size=1, max_inactive_connection_lifetime=0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        del pool
        gc.collect()
    assert any("unclosed connection" in str(warning.message) for warning in told)
