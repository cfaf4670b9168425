"""What is slow is told once, with the line that asked for it, whatever way it was sent."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from dbpool import DatabasePool, create_pool
from dbpool.events import SlowAcquire, SlowQuery
from dbpool.observing import Asked
from tests.docs.guide import ROOT
from tests.support.databases import Database
from tests.support.loops import cancel_at_suspension
from tests.support.observers import Notebook
from tests.support.pools import held, pool_of, settled

ANY = 1e-9  # seconds: everything takes longer


async def slow_in(db: DatabasePool, told: list[SlowQuery]) -> list[tuple[str, str]]:
    """SQL and function of each that was told since the last time."""
    await settled(db)
    found = [(event.sql, event.where.rpartition(" in ")[2]) for event in told]
    assert all(event.took_s > 0 and event.waited_s >= 0 for event in told)
    told.clear()
    return found


async def test_each_way_to_send_a_statement_is_told(database: Database) -> None:
    async with pool_of(database, 2, slow_query=ANY) as db:
        told: list[SlowQuery] = []
        db.on_event(lambda event: told.append(event) if isinstance(event, SlowQuery) else None)
        me = "test_each_way_to_send_a_statement_is_told"
        await db.execute("create table t (a int)")
        assert await slow_in(db, told) == [("create table t (a int)", me)]
        await db.executemany("insert into t values ($1)", [(1,), (2,)])
        assert await slow_in(db, told) == [("insert into t values ($1)", me)]
        async with db.transaction() as tx:
            await tx.execute("insert into t values (3)")
            await tx.executemany("insert into t values ($1)", [(4,)])
        assert await slow_in(db, told) == [("insert into t values (3)", me), ("insert into t values ($1)", me)]
        async with db.acquire() as connection:
            await connection.fetch("select 1")
            async with connection.transaction():
                await connection.execute("select 2")
            await connection.copy_records_to_table("t", records=[(5,)])
        assert await slow_in(db, told) == [("select 1", me), ("select 2", me), ("COPY t FROM STDIN", me)]
        assert len([value async for value in db.map_val("select a from t where a = $1", [1, 2])]) == 2
        assert await slow_in(db, told) == [("select a from t where a = $1", me)]
        await db.load("t", [(6,)])
        ((sql, where),) = await slow_in(db, told)
        assert (sql.partition(" ")[0], where) == ("COPY", me)


async def test_a_batch_of_callers_is_told_once(database: Database) -> None:
    async with pool_of(database, 1, coalesce=True, slow_query=ANY) as db:
        told: list[SlowQuery] = []
        sql = "select $1::int + 1"
        await asyncio.gather(*(db.fetchval(sql, n) for n in range(20)))  # finds its form
        await asyncio.sleep(0.2)
        db.on_event(lambda event: told.append(event) if isinstance(event, SlowQuery) else None)
        before = db.stats()
        await asyncio.gather(*(db.fetchval(sql, n) for n in range(50)))
        after = db.stats()
        together = after.coalesced_total - before.coalesced_total
        assert together > 20
        assert len(await slow_in(db, told)) == after.batches_total - before.batches_total + 50 - together


async def test_a_pool_with_asyncpgs_interface_is_told_of_too(database: Database) -> None:
    pool = create_pool(database.dsn, min_size=1, max_size=1)
    async with pool:
        notes = Notebook(pool)
        assert await pool.fetchval("select 1") == 1
        async with pool.acquire() as connection:
            await connection.fetchval("select 2")
        assert [operation.sql for operation in notes.operations] == ["select 1"]
        assert len(notes.waits) == len(notes.uses) == 2
        assert notes.operations[0].where.endswith("test_a_pool_with_asyncpgs_interface_is_told_of_too")


async def transact(db: DatabasePool) -> None:
    async with db.transaction() as tx:
        await tx.fetchval("select 1")
        async with tx.transaction():
            await tx.executemany("select $1::int", [(1,), (2,)])
    await db.executemany("select $1::int", [(1,), (2,)])
    assert len([row async for row in db.stream("select generate_series(1, 3)")]) == 3


async def test_whatever_is_cancelled_at_any_instant_ends_once(database: Database) -> None:
    async with pool_of(database, 1) as db:
        at, is_over = 0, False
        while not is_over:
            at += 1
            notes = Notebook(db)
            task = await cancel_at_suspension(transact(db), at)
            is_over = not task.cancelled()
            await settled(db)
            notes.remove()
            assert not notes.under_way, at
            assert len({id(operation) for operation in notes.operations}) == len(notes.operations)
            errors = [error for _, error in notes.ended_with if error is not None]
            assert set(errors) <= {asyncio.CancelledError}
            assert errors or is_over
        kinds = [asked for asked, _ in notes.ended_with]
        assert kinds == [
            *(Asked.STATEMENT, Asked.EXECUTEMANY, Asked.TRANSACTION, Asked.TRANSACTION),
            *(Asked.EXECUTEMANY, Asked.STREAM),
        ]


async def test_a_slow_acquire_is_told_of_a_connection_of_ones_own(database: Database) -> None:
    async with pool_of(database, 1, slow_acquire=0.01) as db:
        told: list[object] = []
        db.on_event(lambda event: told.append(event) if isinstance(event, SlowAcquire) else None)
        async with held(db):
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await asyncio.sleep(0.03)
        await waiting
        assert len(told) == 1


@pytest.mark.parametrize(
    ("hidden", "code", "extra"),
    [
        ("opentelemetry", "from dbpool.telemetry import instrument; instrument(db)", "otel"),
        ("prometheus_client", "import dbpool.telemetry.prometheus", "prometheus"),
    ],
)
def test_a_missing_extra_is_named(hidden: str, code: str, extra: str) -> None:
    program = f"""
import sys
from dbpool import DatabasePool, UsageError
assert not [name for name in sys.modules if name.startswith(("dbpool.telemetry", "opentelemetry", "prometheus"))]
sys.modules[{hidden!r}] = None
db = DatabasePool("postgresql://app@nowhere/shop")
try:
    {code}
except UsageError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"pip install 'dbpool[{extra}]'" in done.stdout
