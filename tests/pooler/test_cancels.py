"""A request to cancel that goes through a pooler never meets the next statement."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from dbpool import AcquireTimeout, ConnectionLost, DatabasePool, QueryTimeout
from dbpool.events import ConnectionClosed, Event, Reason
from tests.support.latecancel import late_cancels
from tests.support.pgbouncer import PROGRAMS, bouncer
from tests.support.pools import becomes, pool_of
from tests.support.server import Server

LATE_S = 0.02


async def after_each_cancel(db: DatabasePool, times: int, takes_s: float) -> Counter[str]:
    """What becomes of the statement that comes next, after one that would have taken so long."""
    seen: Counter[str] = Counter()
    for _ in range(times):
        with pytest.raises(QueryTimeout):
            await db.fetchval("select pg_sleep($1)", takes_s, timeout=0.015)
        try:
            seen["right"] += await db.fetchval("select 1 from pg_sleep(0.03)")
        except Exception as error:
            seen[type(error).__name__] += 1
    return seen


async def test_one_that_arrives_late_kills_the_next_statement_where_no_pooler_is_said_to_be(server: Server) -> None:
    async with late_cancels(server.dsn(), LATE_S) as pooler, pool_of(pooler.dsn, 1, pooler="none") as db:
        assert (await after_each_cancel(db, 5, 0.03))["QueryCanceledError"] > 0


@pytest.mark.every_loop
@pytest.mark.parametrize("told", ["session", "transaction"])
async def test_one_that_arrives_late_kills_nothing_where_one_is(told: str, server: Server) -> None:
    async with late_cancels(server.dsn(), LATE_S) as pooler, pool_of(pooler.dsn, 1, pooler=told) as db:
        reasons: list[Reason] = []

        def note(event: Event) -> None:
            if isinstance(event, ConnectionClosed):
                reasons.append(event.reason)

        db.on_event(note)
        assert await after_each_cancel(db, 8, 0.5) == {"right": 8}
        await becomes(lambda: pooler.passed_on >= 8, 10)
    assert reasons.count(Reason.CANCELLED) == 8


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_transaction_goes_no_further_after_a_cancel(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler, pool_of(pooler.address, 2) as db:
        with pytest.raises(ConnectionLost, match="a statement was cancelled through a pooler"):
            async with db.transaction() as tx:
                with pytest.raises(QueryTimeout):
                    async with tx.transaction():
                        await tx.fetchval("select pg_sleep(60)", timeout=0.05)
                await tx.fetchval("select 1")
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_statement_that_is_cancelled_in_the_pooler_s_line_is_never_run(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program, default_pool_size=1) as pooler, pool_of(pooler.address, 3) as db:
        await db.execute("drop table if exists of_line; create table of_line (id int)")
        async with db.transaction() as tx:
            assert await tx.fetchval("select 1") == 1  # all that the pooler has
            with pytest.raises(QueryTimeout):
                await db.execute("insert into of_line values ($1)", 1, timeout=0.1)
            async with asyncio.timeout(5):  # while the line still stands: its permit is free
                while db.stats().held > 1:
                    await asyncio.sleep(0.01)
        assert await db.fetchval("select count(*) from of_line") == 0


@pytest.mark.every_loop
@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_storm_of_cancels_meets_no_innocent_statement(program: str, server: Server) -> None:
    chance = random.Random(54)
    seen: Counter[str] = Counter()
    done = asyncio.Event()

    async def stopped_by_the_clock(db: DatabasePool) -> None:
        for _ in range(25):
            try:
                await db.fetchval("select pg_sleep(5)", timeout=chance.uniform(0.002, 0.03))
            except (QueryTimeout, AcquireTimeout) as error:
                seen[type(error).__name__] += 1

    async def cancelled(db: DatabasePool) -> None:
        for _ in range(25):
            task = asyncio.create_task(db.fetchval("select count(*) from generate_series(1, 100000)"))
            await asyncio.sleep(chance.uniform(0, 0.01))
            task.cancel()
            await asyncio.wait([task])
            seen["cancelled" if task.cancelled() else "served"] += 1

    async def innocent(db: DatabasePool, number: int) -> None:
        while not done.is_set():
            assert await db.fetchval("select $1::int", number) == number
            async with db.transaction() as tx:
                assert await tx.fetchval("select $1::int + 1", number) == number + 1
            seen["innocent"] += 1

    async with (
        bouncer(server.dsn(), program, default_pool_size=3) as pooler,
        pool_of(pooler.address, 10, name="shop") as one,
        pool_of(pooler.address, 4, name="other") as other,
        asyncio.TaskGroup() as group,
    ):
        for number in range(4):
            group.create_task(innocent(one if number % 2 else other, number))
        await asyncio.gather(*(work(one) for work in (stopped_by_the_clock, cancelled) for _ in range(2)))
        done.set()
    assert seen["QueryTimeout"] > 10 < seen["cancelled"]
    assert seen["innocent"] > 10
