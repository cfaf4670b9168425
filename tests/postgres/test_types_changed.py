"""Types that are altered, or dropped and made anew, while a pool's connections know what they were."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import AsyncExitStack
from typing import Any

import asyncpg
import pytest

from dbpool import ConnectionLost, DatabasePool, ResultUnreadable, Transaction
from tests.support.databases import Database
from tests.support.pools import pool_of

MAKE = "create type pair as (a int, b int); create table t (i int, v pair)"
WIDER = "alter type pair add attribute c int"
INSERT = "insert into t values ($1, $2)"
NUMBERS = itertools.count()
READ = "select v from t order by i"


async def on_each(db: DatabasePool, connections: int, sql: str, *args: object) -> None:
    """Have every connection know *sql*."""
    async with AsyncExitStack() as stack:
        for each in [await stack.enter_async_context(db.acquire()) for _ in range(connections)]:
            await each.fetch(sql, *args)


async def pids(db: DatabasePool, connections: int) -> set[int]:
    async with AsyncExitStack() as stack:
        held = [await stack.enter_async_context(db.acquire()) for _ in range(connections)]
        return {await each.fetchval("select pg_backend_pid()") for each in held}


async def test_arguments_of_a_composite_that_gained_an_attribute_work_at_once(database: Database) -> None:
    async with pool_of(database, 3, min_connections=3) as db:
        await db.execute(MAKE)
        await on_each(db, 3, INSERT, 1, (1, 2))
        before = await pids(db, 3)
        await db.execute(WIDER)
        await asyncio.gather(*(db.execute(INSERT, 2, (1, 2, n)) for n in range(12)))
        assert await pids(db, 3) == before
        assert await db.fetchval("select count(*) from t where (v).c is not null") == 12
        db.drain()  # new connections know no better than old ones
        await db.execute(INSERT, 3, {"a": 1, "c": 3})
        assert [tuple(row[0]) for row in await db.fetch(READ)][-1] == (1, None, 3)


async def test_arguments_that_fit_what_the_type_was_are_the_callers_error_and_cost_nobody_else(
    database: Database,
) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 1, (1, 2))
        await db.execute(WIDER)
        before = await pids(db, 1)
        with pytest.raises(asyncpg.DatatypeMismatchError):
            await db.execute(INSERT, 2, (1, 2))
        with pytest.raises(asyncpg.DataError):
            await db.execute(INSERT, 2, ("one", 2, 3))
        await db.execute(INSERT, 2, {"a": 1, "b": 2})  # by name: what is missing is NULL
        assert await pids(db, 1) == before
        assert await db.fetchval("select count(*) from t") == 2


async def test_an_attribute_of_another_type_is_noticed(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create type pair as (a int, b int)")
        assert await db.fetchval("select ($1::pair).b", (1, 2)) == 2
        await db.execute("alter type pair drop attribute b; alter type pair add attribute b text")
        assert await db.fetchval("select ($1::pair).b", (1, "two")) == "two"
        await db.execute("alter type pair drop attribute b; alter type pair add attribute b int")
        assert await db.fetchval("select ($1::pair).b", (1, 2)) == 2


async def test_a_type_within_a_type_is_noticed(database: Database) -> None:
    async with pool_of(database, 2) as db:
        await db.execute("create type pair as (a int, b int); create type pairs as (n int, all_of pair[])")
        ask = "select ($1::pairs).all_of"
        await on_each(db, 2, ask, (1, [(1, 2)]))
        await db.execute(WIDER)
        assert [tuple(each) for each in await db.fetchval(ask, (1, [(1, 2, 3)]))] == [(1, 2, 3)]


async def test_a_read_of_a_composite_that_gained_an_attribute_is_not_noticed(database: Database) -> None:
    async with pool_of(database, 3) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 1, (1, 2))
        await on_each(db, 3, READ)
        before = await pids(db, 3)
        await db.execute(WIDER)
        for rows in await asyncio.gather(*(db.fetch(READ) for _ in range(9))):
            assert [tuple(row[0]) for row in rows] == [(1, 2, None)]
        async with db.transaction() as tx:
            assert [tuple(row[0]) for row in await tx.fetch(READ)] == [(1, 2, None)]
        assert await pids(db, 3) == before


async def test_a_read_in_a_transaction_is_not_noticed_either(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 1, (1, 2))
        await db.fetch(READ)
        await db.execute(WIDER)
        async with db.transaction() as tx:
            await tx.execute("update t set i = 7")
            assert [tuple(row[0]) for row in await tx.fetch(READ)] == [(1, 2, None)]
        assert await db.fetchval("select i from t") == 7


@pytest.mark.parametrize("in_line", [True, False])
async def test_a_write_whose_result_cannot_be_read_is_told_as_run_and_never_repeated(
    database: Database, in_line: bool
) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        text = "insert into t select $1, v from (select v from t limit 1) x returning v"
        await db.execute(INSERT, 0, (1, 2))
        await db.fetch(text, 1)
        before = await pids(db, 1)
        await db.execute(WIDER)
        if in_line:
            async with db.acquire():
                asked = asyncio.create_task(db.fetch(text, 2))
                await asyncio.sleep(0)
        else:
            asked = asyncio.create_task(db.fetch(text, 2))
        with pytest.raises(ResultUnreadable, match=r"was run.* pair .*do not repeat") as caught:
            await asked
        assert isinstance(caught.value.__cause__, asyncpg.OutdatedSchemaCacheError)
        assert not isinstance(caught.value, ConnectionLost)
        assert await db.fetchval("select count(*) from t where i = 2") == 1
        assert tuple(await db.fetchval(text, 3)) == (1, 2, None)
        assert await pids(db, 1) == before


async def test_many_writes_whose_results_cannot_be_read_are_stored_once(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 0, (1, 2))
        text = "insert into t select $1::int, v from (select v from t limit 1) x returning v"
        assert len([row async for row in db.map(text, [1, 2])]) == 2
        await db.execute(WIDER)
        ends = [error async for _, _, error in db.map(text, range(10, 20), on_error="collect")]
        assert {type(error) for error in ends} <= {ResultUnreadable, type(None)}
        assert await db.fetchval("select count(*) from t where i >= 10") == 10


async def test_a_transaction_that_is_run_again_never_fails_for_a_type_that_has_changed(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 0, (1, 2))
        text = "insert into t select $1, v from (select v from t limit 1) x returning v"
        await db.fetch(text, 1)
        await db.execute(WIDER)

        async def work(tx: Transaction) -> object:
            return await tx.fetchval(text, 2)

        assert await db.run(work) == (1, 2, None)
        assert await db.fetchval("select count(*) from t where i = 2") == 1


async def test_old_arguments_cost_one_transaction_and_the_next_one_works(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 0, {"a": 1, "b": 2})
        await db.execute(WIDER)
        with pytest.raises(asyncpg.DatatypeMismatchError):
            async with db.transaction() as tx:  # the driver knows no c yet, and the server has refused it by then
                await tx.execute(INSERT, 1, {"a": 1, "b": 2})
        async with db.transaction() as tx:
            await tx.execute(INSERT, 1, {"a": 1, "b": 2})
        assert await db.fetchval("select count(*) from t") == 2


async def test_a_stream_begins_again_where_no_row_was_read_yet(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(MAKE)
        await db.execute(INSERT, 0, (1, 2))
        assert [tuple(row[0]) async for row in db.stream(READ)] == [(1, 2)]
        await db.execute(WIDER)
        assert [tuple(row[0]) async for row in db.stream(READ)] == [(1, 2, None)]
        ask = "select ($1::pair).b"
        assert [row[0] async for row in db.stream(ask, (1, 2, 3))] == [2]
        await db.execute("alter type pair add attribute d int")
        assert [row[0] async for row in db.stream(ask, (1, 2, 3, 4))] == [2]


REMADE = {
    "enum": ("create type kind as enum ('x', 'y')", "x", "y"),
    "domain": ("create domain kind as text", "x", "y"),
    "composite": ("create type kind as (a text)", ("x",), ("y",)),
}


@pytest.mark.parametrize("kind", REMADE)
@pytest.mark.parametrize("form", ["$1::kind", "$1::kind::text", "$1::kind[]"])
async def test_a_type_that_was_dropped_and_made_anew_is_not_noticed(database: Database, kind: str, form: str) -> None:
    make, one, two = REMADE[kind]
    sql = f"select {form}"

    def value(of: object) -> object:
        return [of] if form.endswith("[]") else of

    async with pool_of(database, 2) as db:
        await db.execute(make)
        await on_each(db, 2, sql, value(one))
        before = await pids(db, 2)
        await db.execute(f"drop type kind; {make}")
        first = await asyncio.gather(*(db.fetchval(sql, value(two)) for _ in range(4)))
        assert len(set(map(str, first))) == 1
        async with db.transaction() as tx:
            assert await tx.fetchval(sql, value(two)) == first[0]
        assert await pids(db, 2) == before


async def test_a_type_made_anew_within_a_transaction_costs_it_and_run_runs_it_again(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create type kind as enum ('x'); create table t (k text)")
        insert = "insert into t values ($1::kind::text)"
        await db.execute(insert, "x")
        await db.execute("drop type kind; create type kind as enum ('x')")
        tries = []

        async def work(tx: Transaction) -> None:
            tries.append(1)
            await tx.execute(insert, "x")

        await db.run(work)
        assert len(tries) == 2
        assert await db.fetchval("select count(*) from t") == 2


async def test_executemany_loses_no_row_when_its_statement_must_be_prepared_anew(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table n (a int)")
        text = "insert into n values ($1) returning *"
        await db.executemany(text, [(1,), (2,)])
        await db.execute("alter table n add column b int")
        rows = iter([(3,), (4,), (5,)])
        try:
            await db.executemany(text, rows)
        except asyncpg.InvalidCachedStatementError:
            assert await db.fetchval("select count(*) from n") == 2
        else:
            assert await db.fetchval("select count(*) from n") == 5
        await db.executemany(text, [(6,)])
        assert await db.fetchval("select count(*) from n where a = 6") == 1


async def test_rows_from_an_iterator_are_never_lost_in_a_second_try(database: Database) -> None:
    text = "insert into n values ($1) returning *"
    async with pool_of(database, 1) as db:
        await db.execute("create table n (a int)")
        async with db.acquire() as connection:
            for many in connection.executemany, connection.fetchmany:
                await many(text, [(1,), (2,)])
                await add_column(connection)
                with pytest.raises(asyncpg.InvalidCachedStatementError):
                    await many(text, iter([(3,), (4,)]))
                assert await connection.fetchval("select count(*) from n where a > 2") == 0
                await many(text, [(5,), (6,)])
                await add_column(connection)
                await many(text, [(7,), (8,)])  # a list can be begun again
                assert await connection.fetchval("select count(*) from n where a > 4") == 4
                await connection.execute("delete from n")


async def add_column(connection: Any) -> None:  # noqa: ANN401 - a handle
    """The table has one more column, which those who have prepared the statement do not know."""
    await connection.execute(f"alter table n add column c{next(NUMBERS)} int")


async def test_a_plan_out_of_date_in_a_transaction_costs_it_and_run_runs_it_again(database: Database) -> None:
    async with pool_of(database, 2) as db:
        await db.execute("create table n (a int)")
        read, insert = "select * from n", "insert into n values (1)"
        await on_each(db, 2, read)
        await db.execute("alter table n add column b int")
        tries = []

        async def work(tx: Transaction) -> int:
            tries.append(1)
            await tx.execute(insert)
            return len(await tx.fetch(read))

        assert await db.run(work) == 1
        assert len(tries) == 2
        await on_each(db, 2, read)
        await db.execute("alter table n add column c int")
        with pytest.raises(asyncpg.InvalidCachedStatementError):
            async with db.transaction() as tx:
                await work(tx)
        async with db.acquire(), db.transaction() as tx:  # the other connection has been told, too
            assert await work(tx) == 2
