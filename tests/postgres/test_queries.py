"""Every helper of a pool against a real server."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import asyncpg
import msgspec
import pydantic
import pytest

from dbpool import (
    AcquireTimeout,
    DatabasePool,
    LineFull,
    PoolClosed,
    QueryTimeout,
    RowMappingError,
    StatementError,
)
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of, settled, witness_of

ROOT = Path(__file__).parents[2]

PEOPLE = "select n as id, 'name ' || n as name from generate_series(1, 3) as n order by n"
BLOCKED = "select 7 from (select pg_advisory_xact_lock(1)) as it"


@dataclass
class DataPerson:
    id: int
    name: str


class TuplePerson(NamedTuple):
    id: int
    name: str


class StructPerson(msgspec.Struct):
    id: int
    name: str


class ModelPerson(pydantic.BaseModel):
    id: int
    name: str


async def test_fetch_returns_all_rows(database: Database) -> None:
    async with pool_of(database) as db:
        rows = await db.fetch("select n, n * $1::int as product from generate_series(1, 3) as n", 10)
    assert [dict(row) for row in rows] == [{"n": 1, "product": 10}, {"n": 2, "product": 20}, {"n": 3, "product": 30}]


async def test_query_is_fetch(database: Database) -> None:
    async with pool_of(database) as db:
        assert await db.query(PEOPLE) == await db.fetch(PEOPLE)


async def test_fetch_of_nothing_returns_an_empty_list(database: Database) -> None:
    async with pool_of(database) as db:
        assert await db.fetch("select 1 where false") == []
        assert await db.fetch("select 1 where false", into=DataPerson) == []


async def test_fetchrow_returns_the_first_row_or_none(database: Database) -> None:
    async with pool_of(database) as db:
        row = await db.fetchrow(PEOPLE)
        assert row is not None
        assert tuple(row) == (1, "name 1")
        assert await db.fetchrow("select 1 where false") is None
        assert await db.fetchrow("select 1 where false", into=DataPerson) is None


async def test_fetchval_returns_one_value_of_the_first_row(database: Database) -> None:
    async with pool_of(database) as db:
        assert await db.fetchval(PEOPLE) == 1
        assert await db.fetchval(PEOPLE, column=1) == "name 1"
        assert await db.fetchval("select 1 where false") is None
        assert await db.fetchval("select null::int") is None


async def test_a_write_asked_for_one_row_is_applied_to_all(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (a int)")
        for _ in "unprepared", "prepared":
            assert await db.fetchval("insert into t select n from generate_series(1, 3) as n returning a") == 1
        assert await db.fetchval("select count(*) from t") == 6


async def test_execute_returns_the_status_of_the_last_statement(database: Database) -> None:
    uses: list[tuple[str, str, tuple[object, ...]]] = [
        ("CREATE TABLE", "create table t (a int)", ()),
        ("INSERT 0 2", "insert into t values (1), (2)", ()),
        ("INSERT 0 1", "insert into t select $1::int", (3,)),
        ("UPDATE 3", "update t set a = a + $1", (1,)),
        ("SELECT 3", "select * from t", ()),
        ("DELETE 4", "insert into t values (1); update t set a = 5; delete from t", ()),
    ]
    async with pool_of(database) as db:
        for status, sql, args in uses:
            assert await db.execute(sql, *args) == status


async def test_a_prepared_statement_gives_the_same_status_again(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (a int)")
        assert [await db.execute("insert into t select $1::int", n) for n in range(3)] == ["INSERT 0 1"] * 3


async def test_a_script_is_all_or_nothing(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (a int)")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await db.execute("insert into t values (1); select 1/0")
        assert await db.fetchval("select count(*) from t") == 0


async def test_executemany_runs_a_statement_for_each(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (a int, b text)")
        await db.executemany("insert into t values ($1, $2)", ((n, f"row {n}") for n in range(1000)))
        assert await db.fetchval("select count(*) from t where b = 'row ' || a") == 1000


async def test_executemany_is_all_or_nothing(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (a int primary key)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await db.executemany("insert into t values ($1)", [(1,), (2,), (1,)])
        assert await db.fetchval("select count(*) from t") == 0


async def test_executemany_over_a_source_that_fails_stores_nothing(database: Database) -> None:
    def source() -> object:
        yield (1,)
        raise ValueError("the file ended")

    async with pool_of(database, 1) as db:
        await db.execute("create table t (a int)")
        with pytest.raises(ValueError, match="the file ended"):
            await db.executemany("insert into t values ($1)", source())  # type: ignore[arg-type]
        assert await db.fetchval("select count(*) from t") == 0


async def test_executemany_keeps_to_its_timeout(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, witness.holding():
        with pytest.raises(QueryTimeout):
            await db.executemany("select pg_advisory_xact_lock($1)", [(1,), (1,)], timeout=0.1)
        await settled(db)
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize("prefetch", [1, 7, 1000])
async def test_stream_gives_every_row_once_and_in_order(database: Database, prefetch: int) -> None:
    async with pool_of(database) as db:
        seen = [row["n"] async for row in db.stream("select generate_series(1, $1) as n", 50, prefetch=prefetch)]
        assert seen == list(range(1, 51))


async def test_stream_makes_rows_into_a_type(database: Database) -> None:
    async with pool_of(database) as db:
        assert [row async for row in db.stream(PEOPLE, into=DataPerson)] == [
            DataPerson(n, f"name {n}") for n in (1, 2, 3)
        ]


async def test_a_stream_left_early_gives_its_connection_back(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with aclosing(db.stream("select generate_series(1, 1000000)", prefetch=10)) as rows:
            async for _ in rows:
                break
        assert await db.fetchval("select 1") == 1


async def test_a_stream_holds_a_few_rows_only(database: Database) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run("create sequence fetched")
        sql = "select nextval('fetched') from generate_series(1, 100)"
        async with aclosing(db.stream(sql, prefetch=5)) as rows:
            async for _ in rows:
                break
        assert await witness.value("select last_value from fetched") == 5


@pytest.mark.parametrize("into", [DataPerson, TuplePerson, StructPerson, ModelPerson])
async def test_rows_become_the_callers_type(database: Database, into: type[DataPerson]) -> None:
    async with pool_of(database) as db:
        people = await db.fetch(PEOPLE, into=into)
        assert [type(person) for person in people] == [into] * 3
        assert [(person.id, person.name) for person in people] == [(n, f"name {n}") for n in (1, 2, 3)]
        first = await db.fetchrow(PEOPLE, into=into)
        assert first == people[0]


async def test_columns_that_do_not_fit_the_type_are_told(database: Database) -> None:
    async with pool_of(database) as db:
        with pytest.raises(RowMappingError, match="age"):
            await db.fetch("select 1 as id, 'x' as name, 3 as age", into=DataPerson)


async def test_a_statement_that_takes_too_long_is_cancelled(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, witness.holding():
        for _ in "unprepared", "prepared":
            with pytest.raises(QueryTimeout) as caught:
                await db.fetch(BLOCKED, timeout=0.1)
            assert caught.value.timeout_s == pytest.approx(0.1, abs=0.05)
            await settled(db)
            await witness.until_none_blocked()
        await witness.run("select pg_advisory_unlock(1)")
        assert await db.fetchval(BLOCKED) == 7
        await witness.run("select pg_advisory_lock(1)")
        with pytest.raises(QueryTimeout):
            await db.fetch(BLOCKED, timeout=0.1)


async def test_the_pools_query_timeout_holds_for_calls_without_one(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1, query_timeout=0.1) as db:
        async with witness.holding():
            with pytest.raises(QueryTimeout):
                await db.fetch(BLOCKED)
        assert await db.fetchval(BLOCKED) == 7
        async with witness.holding():
            with pytest.raises(QueryTimeout):
                await db.fetch(BLOCKED)


async def test_a_calls_timeout_counts_its_wait_in_line(database: Database) -> None:
    async with pool_of(database, 1) as db, held(db):
        with pytest.raises(AcquireTimeout) as caught:
            await db.fetch("select 1", timeout=0.05)
        assert (caught.value.capacity, caught.value.held, caught.value.waiting) == (1, 1, 0)
        assert 0.05 <= caught.value.waited_s < 1


async def test_the_time_left_after_the_wait_is_all_that_a_statement_gets(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, witness.holding():
        loop = asyncio.get_running_loop()
        async with db.acquire():
            started = loop.time()
            call = asyncio.create_task(db.fetch(BLOCKED, timeout=0.3))
            await becomes(lambda: loop.time() - started > 0.2)
        with pytest.raises(QueryTimeout):
            await call
        assert loop.time() - started < 0.5


async def test_a_full_line_refuses_at_once(database: Database) -> None:
    async with pool_of(database, 1, max_waiting=1) as db:
        async with db.acquire():
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await becomes(lambda: db.stats().waiting == 1)
            with pytest.raises(LineFull) as caught:
                await db.fetch("select 1")
            assert (caught.value.capacity, caught.value.held, caught.value.waiting) == (1, 1, 1)
        assert await waiting == 1


async def test_closing_fails_those_in_line_and_waits_for_those_who_hold(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            waiting = asyncio.create_task(db.fetch("select 1"))
            await becomes(lambda: db.stats().waiting == 1)
            closing = asyncio.create_task(db.close())
            with pytest.raises(PoolClosed):
                await waiting
            assert await connection.fetchval("select 1") == 1
            assert not closing.done()
        await closing


async def test_a_lease_that_outlasts_close_is_cut_off_and_its_permit_comes_back(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            await db.close(timeout=0.05)
            with pytest.raises(asyncpg.InterfaceError):
                await connection.fetchval("select 1")


async def test_a_connection_terminated_by_its_user_gives_its_permit_back(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            connection.terminate()
        assert await db.fetchval("select 1", timeout=5) == 1


async def test_a_connection_closed_by_its_user_gives_its_permit_back(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            await connection.close()
        assert await db.fetchval("select 1", timeout=5) == 1


async def test_repr_and_stats_tell_the_same_numbers(database: Database) -> None:
    async with pool_of(database, 2, name="shop") as db:
        assert repr(db) == "<DatabasePool shop: 0 of 2 held, 1 idle, 0 waiting>"
        async with db.acquire(), db.acquire():
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await becomes(lambda: db.stats().waiting == 1)
            assert repr(db).startswith("<DatabasePool shop: 2 of 2 held, 0 idle, 1 waiting (")
            stats = db.stats()
            assert (stats.held, stats.idle, stats.waiting, stats.connections, stats.capacity) == (2, 0, 1, 2, 2)
        await waiting
        assert db.stats().waited_total == 1
        assert db.stats().connects_total == 2
        assert db.stats().last_connect_error is None
    assert repr(db) == "<DatabasePool shop: closed>"


async def test_the_server_sees_the_pools_name(database: Database) -> None:
    async with pool_of(database, name="shop") as db:
        assert await db.fetchval("show application_name") == "dbpool shop"


async def test_a_statement_whose_plan_went_stale_is_prepared_again(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (a int); insert into t values (1)")
        assert [tuple(row) for row in await db.fetch("select * from t")] == [(1,)]
        await db.execute("alter table t add b text default 'x'")
        assert [tuple(row) for row in await db.fetch("select * from t")] == [(1, "x")]


# The end of the listing of Use Case 2, with our class in the place of its own.
LISTING = """
import asyncio
from dbpool import DatabasePool

async def main():
    db = DatabasePool("postgresql://user:password@localhost/database")
    await db.init_pool()

    tasks = [db.query("SELECT * FROM users WHERE id = $1", i) for i in range(1, 11)]
    results = await asyncio.gather(*tasks)

    await db.close()

asyncio.run(main())
"""


async def test_the_articles_listing_runs_as_it_is(database: Database) -> None:
    async with witness_of(database) as witness:
        await witness.run("create table users as select id, 'user ' || id as name from generate_series(1, 10) as id")
    source = LISTING.replace("postgresql://user:password@localhost/database", database.dsn)
    source = source.replace("await db.close()", "await db.close()\n    print([rows[0]['name'] for rows in results])")
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-X", "dev", "-W", "error", "-c", source],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == str([f"user {n}" for n in range(1, 11)])


async def test_a_statement_error_is_not_the_servers(database: Database) -> None:
    async with pool_of(database) as db:
        with pytest.raises(StatementError):
            await db.fetch("select 1; select 2")
        with pytest.raises(asyncpg.PostgresSyntaxError):
            await db.fetch("selec 1")


async def test_opening_twice_is_opening_once(database: Database) -> None:
    async with pool_of(database) as db:
        assert await db.open() is db
        assert await db.init_pool() is db
        assert db.stats().connects_total == 1


async def test_a_pool_can_be_awaited_and_closed_twice(database: Database) -> None:
    db = await DatabasePool(database.dsn)
    assert await db.fetchval("select 1") == 1
    await db.close()
    await db.close()
    assert (db.stats().held, db.stats().waiting, db.stats().connections) == (0, 0, 0)


async def test_min_connections_are_open_from_the_start(database: Database) -> None:
    async with pool_of(database, 4, min_connections=3) as db:
        await becomes(lambda: db.stats().idle == 3)
        assert db.stats().connections == 3
