"""create_pool: statements of the pool itself answer, fail and run out of time as those of asyncpg's pool."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.both import Create, both, opened, outcome, until_size
from tests.support.databases import Database
from tests.support.pools import becomes, until, witness_of

CALLS: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("fetch", ("select 1 as n union all select 2",), {}),
    ("fetch", ("select $1::text as t", "x"), {"timeout": 5}),
    ("fetch", ("",), {}),
    ("fetch", (";",), {}),
    ("fetch", ("copy t to stdout",), {}),
    ("fetchval", ("select 1, 2",), {"column": 1}),
    ("fetchval", ("select 1 where false",), {}),
    ("fetchval", ("select 1", 2), {}),
    ("fetchval", ("select $1::int", "x"), {}),
    ("fetchval", ("select $1::text", "a\0b"), {}),
    ("fetchval", ("select $1::text", "\ud800"), {}),
    ("fetchval", ("select '\ud800'",), {}),
    ("fetchval", ("select 1/0",), {}),
    ("fetchval", ("select 1",), {"column": 3}),
    ("fetchval", ("select 1",), {"timeout": 0}),
    ("fetchval", ("select 1",), {"timeout": -1}),
    ("fetchval", ("select 1",), {"timeout": "soon"}),
    ("fetchval", ("select 1",), {"timeout": True}),
    ("fetchval", ("select pg_sleep(9)",), {"timeout": 0.1}),
    ("fetchval", ("insert into t select 5 returning n",), {}),
    ("fetchval", (None,), {}),
    ("fetchval", (b"select 1",), {}),
    ("fetchval", ("select 1; select 2",), {}),
    ("fetchrow", ("select 1 as a, 2 as b",), {}),
    ("fetchrow", ("select 1 where false",), {}),
    ("fetchmany", ("insert into t values ($1) returning n", [(6,), (7,)]), {}),
    ("fetchmany", ("select $1::int", [("x",)]), {}),
    ("execute", ("select 1; select 2 union all select 3",), {}),
    ("execute", ("insert into t values ($1)", 3), {}),
    ("execute", ("begin",), {}),
    ("execute", ("commit",), {}),
    ("execute", ("copy t to stdout",), {}),
    ("execute", ("vacuum t",), {}),
    ("execute", ("",), {}),
    ("execute", ("no sql at all",), {}),
    ("execute", ("select 'left open",), {}),
    ("execute", ("prepare p as select 1",), {}),
    ("executemany", ("insert into t values ($1)", [(1,), (2,)]), {}),
    ("executemany", ("insert into t values ($1)", [(1,), ("x",)]), {}),
    ("executemany", ("insert into t values ($1)", 3), {}),
    ("copy_records_to_table", ("t",), {"records": [(8,), (9,)], "columns": ["n"], "where": "n > 8"}),
    ("copy_records_to_table", ("t",), {"records": [("x",)]}),
    ("copy_to_table", ("nowhere",), {"source": io.BytesIO(b"1\n")}),
]


@both
async def test_every_call_has_the_outcome_that_asyncpgs_pool_gives(create: Create, database: Database) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # transactions left open are reported
    async with opened(asyncpg.create_pool, database) as theirs, opened(create, database) as ours:
        for name, args, options in CALLS:
            expected: list[Any] = []
            got: list[Any] = []
            for pool, seen in ((theirs, expected), (ours, got)):
                await theirs.execute("drop table if exists t; create table t (n int)")
                seen += [await outcome(getattr(pool, name)(*args, **options)) for _ in range(2)]
                seen.append(await theirs.fetchval("select array_agg(n order by n) from t"))
            assert got == expected, (name, args)


@both
async def test_the_same_on_the_way_that_its_connections_have_prepared(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        for _ in range(3):
            assert await pool.fetchval("select $1::int", 1) == 1
            assert await outcome(pool.fetchval("select $1::int", "x")) is asyncpg.DataError
            assert await outcome(pool.fetchval("select 1 / $1::int", 0)) is asyncpg.DivisionByZeroError
            assert await outcome(pool.fetchval("select 1 / $1::int", 0, timeout=3)) is asyncpg.DivisionByZeroError
            assert await pool.execute("select $1::int", 1) == "SELECT 1"


@both
async def test_copies_go_both_ways(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        await pool.execute("create table t (n int)")
        assert await pool.copy_to_table("t", source=io.BytesIO(b"1\n2\n")) == "COPY 2"
        assert await pool.copy_records_to_table("t", records=[(3,)]) == "COPY 1"
        for copy in (
            pool.copy_from_table("t", output=(out := io.BytesIO())),
            pool.copy_from_query("select n from t where n > $1", 0, output=(too := io.BytesIO())),
        ):
            assert await copy == "COPY 3"
        assert out.getvalue() == too.getvalue() == b"1\n2\n3\n"


@pytest.mark.parametrize("name", ["execute", "fetch", "fetchrow", "fetchval"])
@pytest.mark.parametrize("sql", ["copy t from stdin", "COPY t (n) FROM /* that */ STDIN", "copy t from stdout"])
async def test_a_copy_that_asyncpg_would_wait_on_for_ever_is_refused(database: Database, name: str, sql: str) -> None:
    async with opened(dbpool.create_pool, database) as pool:
        with pytest.raises(dbpool.StatementError, match="copy_to_table"):
            await getattr(pool, name)(sql)
        with pytest.raises(dbpool.StatementError, match="copy_to_table"):
            await pool.executemany(sql, [()])
        with pytest.raises(dbpool.StatementError, match="copy_to_table"):
            await pool.fetchmany(sql, [()])


@both
async def test_a_limit_is_for_the_statement_not_for_the_wait(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        async with pool.acquire():
            waiting = [asyncio.create_task(outcome(pool.fetchval("select 1", timeout=0.2))) for _ in range(3)]
            await asyncio.sleep(0.4)
            assert not any(task.done() for task in waiting)
        assert await asyncio.gather(*waiting) == [1, 1, 1]


@both
async def test_a_command_timeout_is_every_statements(create: Create, database: Database) -> None:
    async with opened(create, database, command_timeout=0.2) as pool:
        for _ in range(2):
            assert await outcome(pool.fetchval("select pg_sleep(5)")) is TimeoutError
            assert await outcome(pool.execute("select pg_sleep(5)")) is TimeoutError
            assert await outcome(pool.fetchval("select pg_sleep(0.3)", timeout=5)) is None
            assert await pool.fetchval("select 1") == 1
        pool.set_connect_args(database.dsn)
        await pool.expire_connections()
        assert await outcome(pool.fetchval("select pg_sleep(0.3)")) is None


@both
async def test_a_limit_of_its_own_counts_also_on_connections_opened_with_another_command_timeout(
    create: Create, database: Database
) -> None:
    sql = "select pg_sleep(0.4)"
    async with opened(create, database, 2, command_timeout=0.2) as pool:
        for _ in range(2):
            await outcome(pool.fetchval(sql, timeout=5))  # it is prepared now
        old = await pool.acquire()
        pool.set_connect_args(database.dsn)
        new = await pool.acquire()
        await pool.release(new)
        await pool.release(old)  # the next to be used
        assert await outcome(pool.fetchval(sql, timeout=5)) is None
        old = await pool.acquire()
        await pool.release(await pool.acquire())
        await pool.release(old)
        assert await outcome(pool.fetchval(sql)) is TimeoutError


@both
async def test_a_cancelled_statement_is_stopped_at_the_server(create: Create, database: Database) -> None:
    async with opened(create, database) as pool, witness_of(database) as witness:
        for _ in range(2):
            task = asyncio.create_task(pool.fetchval("select pg_sleep(30)"))
            await until(lambda: _is_running(witness, "pg_sleep"))
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await pool.fetchval("select 1") == 1
            assert not await _is_running(witness, "pg_sleep")


async def _is_running(witness: Any, text: str) -> bool:  # noqa: ANN401
    return any(text in row["query"] and row["state"] == "active" for row in await witness.backends())


@both
async def test_many_at_once_each_get_their_own_answer(create: Create, database: Database) -> None:
    async with opened(create, database, 3) as pool:
        answers = await asyncio.gather(*(pool.fetchval("select $1::int", number) for number in range(200)))
        assert answers == list(range(200))
        assert pool.get_size() <= 3


@both
async def test_a_changed_table_is_read_anew(create: Create, database: Database) -> None:
    async with opened(create, database) as pool:
        await pool.execute("create table t (n int); insert into t values (1)")
        assert dict(await pool.fetchrow("select * from t")) == {"n": 1}
        await pool.execute("alter table t add column m int default 2")
        assert dict(await pool.fetchrow("select * from t")) == {"n": 1, "m": 2}


async def test_what_only_our_pools_have_works_too(database: Database) -> None:
    async with opened(dbpool.create_pool, database, 2, init=_noop, setup=_noop) as pool:
        assert isinstance(pool, dbpool.DatabasePool)
        assert isinstance(pool, asyncpg.Pool)
        async with pool.transaction() as tx:
            await tx.execute("create table t (n int)")
            await tx.executemany("insert into t values ($1)", [(1,), (2,)])
        with pytest.raises(ZeroDivisionError):
            async with pool.transaction() as tx:
                await tx.execute("delete from t")
                raise ZeroDivisionError
        assert [row["n"] async for row in pool.stream("select n from t order by n")] == [1, 2]
        assert [tuple(row) for row in await pool.query("select count(*) from t")] == [(2,)]
        assert await pool.run(lambda tx: tx.fetchval("select sum(n) from t")) == 3
        async with pool.listen("news") as events:
            await pool.execute("notify news, 'hello'")
            async for event in events:
                assert event.payload == "hello"
                break
        assert "of 2 held" in repr(pool)
        async with pool.lane("batch", at_most=1).acquire() as connection:
            assert await connection.fetchval("select 1") == 1
            assert "test_create_pool_statements.py" in str(pool.report())
        assert pool.drain() == pool.get_size()
        await until_size(pool, 0)
        pool.resize(3)
        assert pool.get_max_size() == 3
        await pool.pause()
        pool.resume()
        async with pool.acquire(), pool.acquire():
            assert str(pool.report()).count("test_create_pool_statements.py") >= 2


async def test_a_pool_that_is_made_smaller_closes_what_is_idle(database: Database) -> None:
    async with dbpool.create_pool(database.dsn, min_size=0, init_size=4, max_size=4) as pool:
        assert pool.get_size() == 4
        pool.resize(2)
        await until_size(pool, 2)


async def _noop(_: object) -> None:
    pass


async def test_connections_are_handed_on_without_a_reset_between_proven_one_shots(database: Database) -> None:
    async with opened(dbpool.create_pool, database) as pool:
        await asyncio.gather(*(pool.fetchval("select $1::int", number) for number in range(50)))
        await becomes(lambda: pool.get_idle_size() == 1)
        assert pool.stats().resets_total == 0
        await pool.fetchval("select pg_backend_pid()")
        await pool.execute("set application_name = 'x'")
        assert pool.stats().resets_total == 1
