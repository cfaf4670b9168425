"""A sandbox is a pool in which nothing stays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import asyncpg
import pytest

from dbpool import DatabasePool, PoolDeadlock, QueryTimeout, TransactionRolledBack, UsageError
from dbpool.testing import FakePool, Sandbox, sandbox
from tests.support.databases import Database
from tests.support.pools import held, pool_of, settled


@pytest.fixture
async def db(database: Database) -> AsyncIterator[DatabasePool]:
    async with pool_of(database, 2) as db:
        await db.execute("create table t (a int primary key, b text)")
        yield db


@pytest.fixture
async def box(db: DatabasePool) -> AsyncIterator[Sandbox]:
    async with sandbox(db) as box:
        yield box
    assert await db.fetchval("select count(*) from t") == 0


async def keys(box: DatabasePool) -> list[int]:
    return [row["a"] for row in await box.fetch("select a from t order by a")]


async def insert(box: DatabasePool, key: int) -> None:
    await box.execute("insert into t values ($1, 'x')", key)


async def test_a_statement_that_fails_is_undone_alone(box: Sandbox) -> None:
    for _ in range(2):
        with pytest.raises(asyncpg.UniqueViolationError):
            await asyncio.gather(insert(box, 1), insert(box, 1))
        await settled(box)
    with pytest.raises(asyncpg.DataError):
        await box.execute("insert into t values ($1, 'x')", "two")
    assert await keys(box) == [1]


async def test_a_transaction_is_a_savepoint(box: Sandbox) -> None:
    async with box.transaction() as tx:
        await tx.execute("insert into t values (1)")
        with pytest.raises(ZeroDivisionError):
            async with tx.transaction() as inner:
                await inner.execute("insert into t values (2)")
                raise ZeroDivisionError
    with pytest.raises(ZeroDivisionError):
        async with box.transaction() as tx:
            await tx.execute("insert into t values (3)")
            raise ZeroDivisionError
    with pytest.raises(TransactionRolledBack):
        async with box.transaction() as tx:
            with pytest.raises(asyncpg.UniqueViolationError):
                await tx.execute("insert into t values (1)")
    assert await box.run(lambda tx: tx.fetchval("select count(*) from t")) == 1
    assert await keys(box) == [1]


async def test_a_connection_of_ones_own_behaves_as_outside_of_a_transaction(box: Sandbox) -> None:
    async with box.acquire() as connection:
        await connection.execute("insert into t values (1)")
        with pytest.raises(asyncpg.UniqueViolationError):
            await connection.execute("insert into t values (1)")
        assert not connection.is_in_transaction()
        async with connection.transaction():
            assert connection.is_in_transaction()
            await connection.execute("insert into t values (2)")
        await connection.copy_records_to_table("t", records=[(3, "y")])
        with pytest.raises(TimeoutError):
            await connection.fetch("select pg_sleep(9)", timeout=0.05)
        assert await connection.fetchval("select count(*) from t") == 3
        statement = await connection.prepare("select $1::int")
        assert await statement.fetchval(4) == 4
    assert await keys(box) == [1, 2, 3]


async def test_what_is_cut_short_is_undone(box: Sandbox) -> None:
    await insert(box, 1)

    async def in_a_transaction() -> None:
        async with box.transaction() as tx:
            await tx.execute("insert into t values (2)")
            await tx.execute("select pg_sleep(9)")

    async def on_a_connection() -> None:
        async with box.acquire() as connection:
            await connection.execute("with i as (insert into t values (3)) select pg_sleep(9)")

    for use in (in_a_transaction, on_a_connection, lambda: box.fetch("select pg_sleep(9)")):
        task: asyncio.Future[Any] = asyncio.ensure_future(use())
        await asyncio.sleep(0.1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(QueryTimeout):
        await box.fetch("select pg_sleep(9)", timeout=0.05)
    assert await keys(box) == [1]


async def test_helpers_for_many_rows_work(box: Sandbox) -> None:
    assert (await box.load("t", [(1, "a"), (2, "b")], columns=["a", "b"])).rows == 2
    await box.executemany("insert into t values ($1, $2)", [(3, "c"), (4, "d")])
    with pytest.raises(asyncpg.UniqueViolationError):
        await box.executemany("insert into t values ($1, $2)", [(5, "e"), (4, "d")])
    await box.upsert("t", [{"a": 4, "b": "z"}], key=["a"])
    assert [row.key async for row in box.map("select b from t where a = $1", [1, 4])] == [1, 4]
    assert [row["a"] async for row in box.stream("select a from t order by a")] == [1, 2, 3, 4]
    assert await box.fetch_all("select b from t where a = $1", [4]) == [[("z",)]]


async def test_a_lane_of_a_sandbox_is_a_name_alone(box: Sandbox) -> None:
    lane = box.lane("batch", at_most=4, reserved=2)
    await insert(lane, 1)  # type: ignore[arg-type] # which is a pool's lane
    assert await keys(box) == [1]


REFUSED: dict[str, Callable[[Sandbox], Any]] = {
    "COMMIT would begin or end": lambda box: box.execute("insert into t values (9); commit"),
    "ROLLBACK would begin or end": lambda box: box.execute("rollback; select 1"),
    "with the default isolation": lambda box: box.transaction(isolation="serializable"),
    "no listen()": lambda box: box.listen("orders"),
    "no job()": lambda box: box.job("nightly", "select 1", [1]),
    "no export()": lambda box: box.export("select 1", "t.csv"),
    "no pause()": lambda box: box.pause(),
    "no resize()": lambda box: box.resize(3),
    "no drain()": lambda box: box.drain(),
}


@pytest.mark.parametrize("sentence", REFUSED)
async def test_what_a_sandbox_cannot_do_is_refused(box: Sandbox, sentence: str) -> None:
    with pytest.raises(UsageError) as refusal:
        asked = REFUSED[sentence](box)
        if isinstance(asked, Awaitable):
            await asked
    assert sentence in str(refusal.value)
    await insert(box, 1)
    assert await keys(box) == [1]


async def test_a_second_connection_is_never_there(box: Sandbox) -> None:
    async with box.transaction():
        with pytest.raises(PoolDeadlock, match="sandbox of"):
            await box.fetch("select 1")


async def test_a_sandbox_may_have_another_isolation(db: DatabasePool) -> None:
    async with sandbox(db, isolation="serializable") as box, box.transaction(isolation="serializable") as tx:
        assert await tx.fetchval("show transaction_isolation") == "serializable"


async def test_a_sandbox_that_is_still_used_fails_with_the_report(db: DatabasePool) -> None:
    with pytest.raises(AssertionError, match=r"ended while it was used:\n.*1 of 1 permits held") as failure:
        async with sandbox(db) as box:
            holding = held(box)
            await holding.__aenter__()
    assert "hold" in str(failure.value)
    await holding.__aexit__(None, None, None)


async def test_a_lost_connection_ends_a_sandbox(box: Sandbox, db: DatabasePool) -> None:
    await insert(box, 1)
    pid = await box.fetchval("select pg_backend_pid()")
    await db.execute("select pg_terminate_backend($1)", pid)
    with pytest.raises(Exception, match=r"connection (of .* )?was lost"):
        for _ in range(2):
            await box.fetch("select 1", timeout=3)


async def test_a_fake_pool_has_no_sandbox() -> None:
    with pytest.raises(UsageError, match="a sandbox needs a real one"):
        async with sandbox(FakePool()):
            pass
