"""A transaction that nobody has any more is rolled back, and its connection comes back; not before."""

from __future__ import annotations

import asyncio
import gc
from contextlib import AsyncExitStack
from typing import Any

import pytest

from dbpool import DatabasePool, Transaction, UsageError
from dbpool.events import LeaseReclaimed
from tests.support.databases import Database
from tests.support.pools import pool_of, settled

pytestmark = pytest.mark.every_loop


async def begun(db: DatabasePool) -> Transaction:
    """Begin a transaction with a row in it; only the transaction itself is kept."""
    tx = await AsyncExitStack().enter_async_context(db.transaction())
    await tx.execute("insert into t values (1)")
    return tx


async def test_a_transaction_that_is_begun_and_forgotten_is_rolled_back_and_told(database: Database) -> None:
    async with pool_of(database, 1) as db:
        told: list[object] = []
        db.on_event(told.append)
        await db.execute("create table t (n int)")
        await asyncio.create_task(begun(db))
        gc.collect()
        assert await db.fetchval("select count(*) from t", timeout=5) == 0
        assert [type(event) for event in told].count(LeaseReclaimed) == 1


async def test_a_transaction_in_a_task_that_nobody_has_is_rolled_back(database: Database) -> None:
    async def work() -> None:
        async with db.transaction() as tx:
            await tx.execute("insert into t values (1)")
            has_it.set()
            await asyncio.Event().wait()

    async with pool_of(database, 1) as db:
        has_it = asyncio.Event()
        asyncio.get_running_loop().set_exception_handler(lambda *_: None)  # it tells of the task
        await db.execute("create table t (n int)")
        task = asyncio.create_task(work())
        await has_it.wait()
        del task
        gc.collect()
        assert await db.fetchval("select count(*) from t", timeout=5) == 0


@pytest.mark.parametrize("by", ["transaction", "savepoint", "stream"])
async def test_a_transaction_is_kept_by_all_that_can_use_it(database: Database, by: str) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (n int)")
        tx = await begun(db)
        inner = tx.transaction()
        await inner.start()
        kept: Any = {"transaction": tx, "savepoint": inner, "stream": tx.stream("select * from t")}[by]
        del tx, inner
        gc.collect()
        await asyncio.sleep(0)
        assert db.stats().held == 1
        if not isinstance(kept, Transaction):
            assert [row["n"] async for row in kept] == [1]
        else:
            assert await kept.fetchval("select count(*) from t") == 1
        del kept
        gc.collect()
        await settled(db)


async def test_a_block_keeps_a_transaction_that_it_gives_no_name_and_one_that_was_ended_by_hand(
    database: Database,
) -> None:
    async with pool_of(database, 1) as db:
        told: list[object] = []
        db.on_event(told.append)
        async with db.transaction():
            gc.collect()
            await asyncio.sleep(0)
            assert db.stats().held == 1
        async with db.transaction() as tx:
            await tx.commit()
            gc.collect()
            await asyncio.sleep(0)
            assert db.stats().held == 1
        await asyncio.sleep(0)
        assert not [event for event in told if isinstance(event, LeaseReclaimed)]


@pytest.mark.parametrize("fails", [False, True])
async def test_a_block_that_is_revived_when_its_lease_was_taken_back_touches_nothing(
    database: Database, fails: bool
) -> None:
    """Its end comes when another one has the connection, in a transaction of its own."""
    revived = []

    class Block:
        def __init__(self, db: DatabasePool) -> None:
            self.transacting, self.cycle = db.transaction(), self

        def __del__(self) -> None:
            revived.append(self.transacting)

    async with pool_of(database, 1) as db:
        block = Block(db)
        await block.transacting.__aenter__()
        del block
        gc.collect()
        await settled(db)
        error = ValueError() if fails else None
        async with db.transaction() as tx:
            await tx.execute("create table t (n int)")
            if fails:
                await revived[0].__aexit__(ValueError, error, None)
            else:
                with pytest.raises(UsageError, match="given back"):
                    await revived[0].__aexit__(None, None, None)
        assert await db.fetchval("select count(*) from t") == 0
