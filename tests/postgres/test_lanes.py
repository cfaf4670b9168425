"""Lanes of a pool on a real server: the same API, the same bound, shares that hold."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

import asyncpg
import pytest

from dbpool import (
    AcquireTimeout,
    DatabasePool,
    LineFull,
    PoolClosed,
    Rate,
    ServerUnavailable,
    SettingsError,
    StatementError,
    UsageError,
)
from dbpool.lane import Lane
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of, role_in, settled, witness_of
from tests.support.proxy import proxy_before

BOUND = 4
ON_LOCK = "select pg_advisory_xact_lock(1)"


async def test_a_lane_has_the_api_of_its_pool(database: Database) -> None:
    async with pool_of(database, 2) as db:
        batch = db.lane("batch", at_most=1)
        assert await batch.execute("create table t (n int)") == "CREATE TABLE"
        await batch.executemany("insert into t values ($1)", [(n,) for n in range(10)])
        assert [row["n"] for row in await batch.fetch("select n from t where n < $1 order by n", 3)] == [0, 1, 2]
        assert [row["n"] for row in await batch.query("select n from t where n = 9")] == [9]
        row = await batch.fetchrow("select n from t where n = $1", 4)
        assert row is not None
        assert row["n"] == 4
        assert await batch.fetchval("select count(*) from t") == 10
        async with aclosing(batch.stream("select n from t order by n", prefetch=3)) as rows:
            assert [row["n"] async for row in rows] == list(range(10))
        async with batch.transaction(isolation="serializable") as tx:
            await tx.execute("delete from t where n > 7")
        assert await batch.run(lambda tx: tx.fetchval("select count(*) from t")) == 8
        async with batch.acquire() as connection:
            assert await connection.fetchval("select 1") == 1
        connection = await batch.acquire()
        assert batch.held == 1
        await batch.release(connection)
        assert db.stats().lanes["batch"].granted_total == db.stats().granted_total == 11
        assert (batch.held, batch.waiting) == (0, 0)


async def test_what_was_acquired_by_a_lane_may_be_released_by_its_pool_and_once_only(database: Database) -> None:
    async with pool_of(database, 1) as db:
        lane = db.lane("a")
        connection = await lane.acquire()
        await db.release(connection)
        with pytest.raises(UsageError):
            await lane.release(connection)


async def test_a_lane_refuses_what_its_pool_refuses(database: Database) -> None:
    async with pool_of(database, 1) as db:
        lane = db.lane("a")
        with pytest.raises(StatementError, match="transaction"):
            await lane.execute("begin")
        with pytest.raises(asyncpg.UndefinedTableError):
            await lane.fetch("select * from nothing")
        with pytest.raises(SettingsError):
            await lane.fetch("select 1", timeout=-1)
        with pytest.raises(SettingsError, match="has a lane 'a' already"):
            db.lane("a")
        with pytest.raises(SettingsError, match="cannot reserve 1 of pool"):
            db.lane("b", reserved=1)
    with pytest.raises(PoolClosed):
        await lane.fetch("select 1")
    with pytest.raises(PoolClosed):
        async with lane.acquire():
            pass


@pytest.mark.parametrize("use", ["fetch", "stream", "transaction", "acquire", "run"])
async def test_whatever_a_lane_is_used_for_it_counts_for_its_share(database: Database, use: str) -> None:
    async def once() -> None:
        match use:
            case "fetch":
                await lane.fetch(ON_LOCK)
            case "stream":
                async with aclosing(lane.stream("select pg_advisory_xact_lock(1) from generate_series(1, 2)")) as rows:
                    async for _ in rows:
                        break
            case "transaction":
                async with lane.transaction() as tx:
                    await tx.execute(ON_LOCK)
            case "acquire":
                async with lane.acquire() as connection:
                    await connection.execute(ON_LOCK)
            case "run":
                await lane.run(lambda tx: tx.execute(ON_LOCK))

    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        lane = db.lane("batch", at_most=2)
        async with witness.holding():
            tasks = [asyncio.create_task(once()) for _ in range(5)]
            await witness.until_blocked(2)
            await becomes(lambda: lane.waiting == 3)
            assert len(await witness.until_blocked(2)) == 2
            assert lane.held == 2
            assert await db.fetchval("select 1") == 1  # others go by
        await asyncio.gather(*tasks)


async def test_what_a_lane_reserves_is_there_while_everybody_else_waits(database: Database) -> None:
    async with pool_of(database, 3) as db, witness_of(database) as witness:
        kept = db.lane("kept", reserved=1)
        async with witness.holding():
            tasks = [asyncio.create_task(db.fetch(ON_LOCK)) for _ in range(9)]
            await witness.until_blocked(2)
            assert await kept.fetchval("select 1") == 1
            stats = db.stats()
            assert (stats.held, stats.waiting, stats.lanes["kept"].reserved) == (2, 7, 1)
        await asyncio.gather(*tasks)


# The bound


async def one_shot(lane: Lane) -> None:
    await lane.fetchval("select 1")


async def lease(lane: Lane) -> None:
    async with lane.acquire() as connection:
        await connection.execute("set work_mem = '65kB'")


async def transaction(lane: Lane) -> None:
    async with lane.transaction() as tx:
        await tx.fetchval("select 2")


async def nap(lane: Lane) -> None:
    await lane.fetch("select pg_sleep(0.003)")


USES: list[Callable[[Lane], Coroutine[Any, Any, None]]] = [one_shot, lease, transaction, nap]


@pytest.mark.parametrize("trouble", ["none", "cancelled", "old"])
async def test_three_lanes_under_load_keep_to_the_bound_and_to_their_shares(database: Database, trouble: str) -> None:
    rng, loop = random.Random(1), asyncio.get_running_loop()
    lifetime = 0.05 if trouble == "old" else 3600.0
    async with role_in(database, limit=BOUND) as dsn, pool_of(dsn, BOUND, max_lifetime=lifetime) as db:
        kept = db.lane("kept", reserved=1)
        lanes = [db, kept, db.lane("most", at_most=2), db.lane("rate", rate=Rate(2000, burst=9))]
        tasks = [asyncio.create_task(rng.choice(USES)(rng.choice(lanes))) for _ in range(600)]
        if trouble == "cancelled":
            for task in rng.sample(tasks, 250):
                loop.call_later(rng.random() * 0.5, task.cancel)
        most_held = 0
        while not all(task.done() for task in tasks):
            stats = db.stats()
            assert stats.connections + stats.opening <= BOUND
            assert sum(lane.held for lane in lanes if lane is not kept) < BOUND, "a reserve was lent out"
            most_held = max(most_held, stats.lanes["most"].held)
            await asyncio.sleep(0.001)
        assert most_held <= 2
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        allowed = {type(None), asyncio.CancelledError} if trouble == "cancelled" else {type(None)}
        assert {type(end) for end in ends} <= allowed
        await settled(db)
        stats = db.stats()
        assert (stats.connect_failures_total, stats.last_connect_error) == (0, None)  # one more would be refused
        assert all((lane.held, lane.waiting) == (0, 0) for lane in stats.lanes.values())


async def test_a_saturated_pool_serves_every_lane_alike(database: Database) -> None:
    async def use(lane: Lane) -> None:
        while sum(len(times) for times in served.values()) < 300:
            await lane.fetchval("select 1")
            served[lane].append(1)

    async with pool_of(database, 2, min_connections=2) as db:  # who opens one holds its permit for long
        served: dict[Lane, list[int]] = {db.lane(name): [] for name in "abc"}
        crowds = [use(lane) for lane, callers in zip(served, (50, 20, 5), strict=True) for _ in range(callers)]
        await asyncio.gather(*crowds)
        shares = [lane.granted_total for lane in db.stats().lanes.values()]
        assert min(shares) >= 80  # of three hundred, and those that came meanwhile


async def test_the_stats_tell_of_every_lane(database: Database) -> None:
    async with pool_of(database, 2, acquire_timeout=0.05) as db:
        lane, other = db.lane("batch", at_most=1, max_waiting=1), db.lane("other", reserved=1)
        async with lane.acquire():
            waiting = asyncio.create_task(lane.fetch("select 1", timeout=10))
            await becomes(lambda: lane.waiting)
            with pytest.raises(LineFull) as full:
                await lane.fetch("select 1")
            assert (full.value.lane, full.value.held, full.value.waiting) == ("batch", 1, 1)
            assert "lane 'batch'" in str(full.value)
            stats = db.stats().lanes["batch"]
            assert (stats.at_most, stats.reserved, stats.held, stats.waiting, stats.refused_total) == (1, 0, 1, 1, 1)
        await waiting
        async with held(lane):
            with pytest.raises(AcquireTimeout, match=r"lane 'batch' of pool .*1 of its 1 by this lane") as late:
                async with lane.acquire():
                    pass
            assert late.value.lane == "batch"
        assert await other.fetchval("select 1") == 1
        stats = db.stats().lanes["batch"]
        assert (stats.granted_total, stats.waited_total, stats.timeouts_total) == (3, 1, 1)
        assert stats.waited_s_total > 0
        assert list(db.stats().lanes) == ["batch", "other"]
        assert "batch" in repr(lane)


async def test_a_lane_with_a_rate_is_granted_no_more_than_it_may(database: Database) -> None:
    async with pool_of(database, 3) as db:
        api = db.lane("api", rate=Rate(1, per=1000, burst=4))
        tasks = [asyncio.create_task(api.fetchval("select $1::int", n)) for n in range(6)]
        await becomes(lambda: sum(task.done() for task in tasks) == 4)
        assert await db.fetchval("select 1") == 1
        assert [task.done() for task in tasks] == [True] * 4 + [False] * 2
        assert db.stats().lanes["api"].granted_total == 4
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


# Before the pool is open


async def test_a_lane_declared_before_the_pool_is_open_works_once_it_is(database: Database) -> None:
    db = DatabasePool(database.dsn, 3, min_connections=3)
    lane = db.lane("kept", reserved=2)
    with pytest.raises(UsageError, match="not open"):
        await lane.fetch("select 1")
    async with db:
        assert db.stats().connections == 3
        assert await lane.fetchval("select 1") == 1
        async with lane.acquire(), lane.acquire(), lane.acquire():
            assert lane.held == 3
    assert (lane.held, lane.waiting) == (0, 0)


async def test_a_lane_works_after_an_open_that_failed_and_a_second_that_did_not(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        await proxy.refuse()
        db = DatabasePool(proxy.dsn(database.dsn), 2, outage_patience=0.1)
        lane = db.lane("kept", at_most=1, reserved=1)
        with pytest.raises(ServerUnavailable):
            await db.open()
        await proxy.listen()
        with pytest.raises(UsageError):
            await lane.fetch("select 1")
        async with db:
            assert await lane.fetchval("select 1") == 1
            async with held(lane):
                with pytest.raises(AcquireTimeout) as late:
                    await lane.fetch("select 1", timeout=0.05)
            assert late.value.lane == "kept"
            with pytest.raises(SettingsError, match="already"):
                db.lane("kept")
            assert db.stats().lanes["kept"].timeouts_total == 1
    assert (lane.held, lane.waiting) == (0, 0)
