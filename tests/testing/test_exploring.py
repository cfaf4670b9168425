"""The explorer of cancellations finds what is wrong, says where, and leaves alone what is right."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from dbpool import DatabasePool, UsageError
from dbpool.testing import BrokenBySuspension, FakePool, FaultProxy, cancel_everywhere, virtual_time
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled, witness_of

ADD = "update books set balance = balance + $2 where id = $1"


async def transfer(db: DatabasePool) -> None:
    async with db.transaction() as tx:
        await tx.execute(ADD, 1, -10)
        await tx.execute(ADD, 2, 10)


async def transfer_by_halves(db: DatabasePool) -> None:
    await db.execute(ADD, 1, -10)
    await db.execute(ADD, 2, 10)


@pytest.fixture
async def db(database: Database) -> AsyncIterator[DatabasePool]:
    async with pool_of(database, 2) as db:
        await db.execute("create table books (id int primary key, balance int)")
        await db.execute("insert into books values (1, 0), (2, 0)")
        yield db


@pytest.fixture
async def fake() -> AsyncIterator[FakePool]:
    with virtual_time():
        async with FakePool(2, strict=False) as fake:
            yield fake


def balanced(db: DatabasePool) -> Callable[[], Coroutine[Any, Any, None]]:
    async def check() -> None:
        assert await db.fetchval("select sum(balance) from books") == 0, "the books do not balance"

    return check


@pytest.mark.parametrize("by", ["cancel", "timeout"])
async def test_a_transaction_survives_a_cancellation_anywhere(db: DatabasePool, by: str) -> None:
    explored = await cancel_everywhere(lambda: transfer(db), pool=db, check=balanced(db), by=by)
    assert explored.is_complete
    assert explored.suspensions >= 4
    assert explored.disturbed_total >= explored.suspensions


async def test_two_statements_do_not_and_the_place_is_told(db: DatabasePool) -> None:
    with pytest.raises(BrokenBySuspension, match="the books do not balance") as failure:
        await cancel_everywhere(lambda: transfer_by_halves(db), pool=db, check=balanced(db))
    assert "in transfer_by_halves" in failure.value.stack[0]
    assert f"cancelled at suspension {failure.value.at}" in str(failure.value)
    assert isinstance(failure.value.__cause__, AssertionError)


async def test_a_lease_that_a_cancellation_loses_is_found_with_the_report(fake: FakePool) -> None:
    kept = []

    async def careless() -> None:
        connection = await fake.acquire()
        kept.append(connection)
        await connection.execute("select 1")  # cancelled here, nobody releases it
        await fake.release(connection)

    with pytest.raises(BrokenBySuspension, match="left something in the pool") as failure:
        await cancel_everywhere(careless, pool=fake, within=2)
    assert "1 of 2 permits held" in str(failure.value)
    assert any("careless" in frame for frame in failure.value.stack)
    await fake.release(kept[-1])


async def test_only_a_second_cancellation_finds_a_cleanup_that_is_cut_short(fake: FakePool) -> None:
    state = {"is_clean": True}

    async def cleans_up_badly() -> None:
        state["is_clean"] = False
        try:
            await asyncio.sleep(1)
        finally:
            await asyncio.sleep(1)
            state["is_clean"] = True

    def check() -> None:
        assert state["is_clean"]

    explored = await cancel_everywhere(cleans_up_badly, again=False, check=lambda: None)
    assert (explored.suspensions, explored.runs, explored.is_complete) == (2, 4, True)
    with pytest.raises(BrokenBySuspension) as failure:
        await cancel_everywhere(cleans_up_badly, check=check)
    assert (failure.value.at, failure.value.again) in {(1, 2), (2, None)}


async def test_whatever_is_asked_for_happens_at_each_suspension(fake: FakePool) -> None:
    async def reads() -> None:
        await fake.fetchval("select 1")

    explored = await cancel_everywhere(reads, pool=fake, by=fake.lose_connections)
    assert explored.disturbed_total >= explored.suspensions == 1


async def test_a_network_that_is_cut_anywhere_leaves_the_books_balanced(
    dbpool_proxy: FaultProxy, dbpool_database: str
) -> None:
    async with (
        witness_of(dbpool_database) as witness,
        pool_of(dbpool_proxy.dsn(), 2, reset_timeout=0.5, quarantine_timeout=0.5) as db,
    ):
        await witness.run("create table books (id int primary key, balance int)")
        await witness.run("insert into books values (1, 0), (2, 0)")

        async def check() -> None:
            assert await witness.value("select sum(balance) from books") == 0

        explored = await cancel_everywhere(lambda: transfer(db), pool=db, check=check, by=dbpool_proxy.end_all)
    assert explored.is_complete


async def test_what_never_ends_is_told(fake: FakePool) -> None:
    async def stubborn() -> None:
        with pytest.raises(asyncio.CancelledError):
            await asyncio.sleep(1)
        await asyncio.sleep(1e6)

    with pytest.raises(BrokenBySuspension, match="a run did not end in 5 s"):
        await cancel_everywhere(stubborn, within=5)


@pytest.mark.parametrize("times", [1, 2])
async def test_who_cancels_it_ends_the_run_under_way_with_its_cleanup(fake: FakePool, times: int) -> None:
    state = "not begun"

    async def long() -> None:
        nonlocal state
        state = "at work"
        async with fake.acquire():
            try:
                await asyncio.sleep(1e6)
            finally:
                state = "cleaning up"
                await asyncio.sleep(1)
                state = "cleaned up"

    exploring = asyncio.create_task(cancel_everywhere(long, pool=fake, within=5))
    await becomes(lambda: state == "at work" and fake.stats().held)
    exploring.cancel()
    if times == 2:
        await becomes(lambda: state == "cleaning up")
        exploring.cancel()
    await asyncio.wait([exploring], timeout=60)
    assert (exploring.cancelled(), state) == (True, "cleaned up")
    await settled(fake)


async def test_who_cancels_it_does_not_wait_for_ever_for_a_run_that_does_not_end(fake: FakePool) -> None:
    state = "not begun"
    may_end = asyncio.Event()

    async def stubborn() -> None:
        nonlocal state
        state = "at work"
        while not may_end.is_set():
            try:
                await may_end.wait()
            except asyncio.CancelledError:
                state = "cancelled, and goes on"
        state = "ended"

    exploring = asyncio.create_task(cancel_everywhere(stubborn, within=5))
    try:
        await becomes(lambda: state == "at work")
        exploring.cancel()
        await asyncio.wait([exploring], timeout=60)
        assert (exploring.cancelled(), state) == (True, "cancelled, and goes on")
    finally:
        may_end.set()
    await becomes(lambda: state == "ended")


async def test_the_limit_ends_it_and_progress_is_told(fake: FakePool) -> None:
    told: list[str] = []

    async def long() -> None:
        for _ in range(100):
            await asyncio.sleep(0.01)

    explored = await cancel_everywhere(long, again=False, limit=100, progress=told.append)
    assert (explored.runs, explored.is_complete) == (100, False)
    assert told == ["cancel_everywhere: 100 runs, at suspension 99 now"]
    assert str(explored) == "100 suspensions, 100 runs; stopped by the limit, so some were not tried"


async def test_what_cannot_be_explored_is_refused() -> None:
    async def instant() -> None:
        pass

    with pytest.raises(UsageError, match="never suspends"):
        await cancel_everywhere(instant)
    with pytest.raises(UsageError, match="makes coroutines"):
        await cancel_everywhere(lambda: 7)  # type: ignore[arg-type,return-value]
    with pytest.raises(UsageError, match="by must be"):
        await cancel_everywhere(instant, by="throw")
