"""What a pool has to say of who holds its connections, and what callers who get none are told."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from typing import Any

import pytest

from dbpool import AcquireTimeout, Caller, DatabasePool, LineFull, Report
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of, witness_of

HERE = "postgres/test_report.py"
ON_LOCK = "select pg_advisory_xact_lock(1)"
SECRET = "swordfish-71c2"


def line() -> int:
    """Of whoever calls this."""
    return sys._getframe(1).f_lineno  # noqa: SLF001 - the public inspect.currentframe() gives this frame


def is_at(place: str, number: int) -> bool:
    """Whether *place* is that line of this file."""
    return place.startswith(f"{HERE}:{number} in ")


async def one_holder(db: DatabasePool, stands_at: int) -> Caller:
    """The only one there is, once it stands at that line of this file."""
    await becomes(lambda: [holder for holder in db.report().holders if is_at(holder.stack[-1], stands_at)])
    (holder,) = db.report().holders
    return holder


# Holders


async def test_a_lease_is_reported_with_its_task_place_sql_and_where_it_stands(database: Database) -> None:
    async def nightly() -> None:
        async with batch.acquire() as connection:
            await connection.fetchval("select $1::text", SECRET)
            await goes_home.wait()

    asked_at = nightly.__code__.co_firstlineno + 1
    goes_home = asyncio.Event()
    async with pool_of(database, 2) as db:
        batch = db.lane("batch", at_most=1)
        task = asyncio.create_task(nightly(), name="job 7")
        holder = await one_holder(db, asked_at + 2)
        assert (holder.lane, holder.task, holder.sql) == ("batch", "job 7", "select $1::text")
        assert not holder.in_transaction
        assert holder.doing == ""
        assert is_at(holder.where, asked_at)
        assert holder.where.endswith(".nightly")
        assert [frame for frame in holder.stack if HERE not in frame] == []
        assert 0 <= holder.seconds < 60
        report = db.report()
        assert (report.capacity, report.held, report.waiting) == (2, 1, 0)
        text = str(report)
        assert "by task 'job 7', for lane 'batch', from " in text
        assert f"now at {HERE}:{asked_at + 2} in " in text
        assert SECRET not in text
        goes_home.set()
        await task
        assert db.report().holders == ()


async def test_a_transaction_is_reported_as_one(database: Database) -> None:
    async def idles() -> None:
        async with db.transaction() as tx:
            await tx.execute("select 1")
            await goes_home.wait()

    goes_home = asyncio.Event()
    async with pool_of(database, 1) as db:
        task = asyncio.create_task(idles(), name="idler")
        holder = await one_holder(db, idles.__code__.co_firstlineno + 3)
        assert (holder.in_transaction, holder.sql, holder.lane) == (True, "select 1", "")
        assert is_at(holder.where, idles.__code__.co_firstlineno + 1)
        assert "in a transaction" in str(db.report())
        goes_home.set()
        await task


Use = Callable[[DatabasePool], Coroutine[Any, Any, object]]


async def by_fetch(db: DatabasePool) -> object:
    return await db.fetch(ON_LOCK)


async def by_execute(db: DatabasePool) -> object:
    return await db.execute(ON_LOCK)


async def by_stream(db: DatabasePool) -> object:
    async with aclosing(db.stream(ON_LOCK)) as rows:
        return [row async for row in rows]


async def by_run(db: DatabasePool) -> object:
    return await db.run(lambda tx: tx.fetch(ON_LOCK))


async def by_awaiting_acquire(db: DatabasePool) -> object:
    connection = await db.acquire()
    try:
        return await connection.fetch(ON_LOCK)
    finally:
        await db.release(connection)


async def by_executemany(db: DatabasePool) -> None:
    await db.executemany("select pg_advisory_xact_lock($1)", [(1,)])


USES = [by_fetch, by_execute, by_stream, by_run, by_awaiting_acquire, by_executemany]


@pytest.mark.parametrize("use", USES)
async def test_the_place_is_the_callers_own_line_whatever_the_pool_is_used_for(database: Database, use: Use) -> None:
    first = use.__code__.co_firstlineno + 1
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        async with witness.holding():
            task = asyncio.create_task(use(db))
            await witness.until_blocked()
            (holder,) = db.report().holders
            assert is_at(holder.where, first)
            assert holder.where.endswith(use.__name__)
            assert {HERE in frame for frame in holder.stack} == {True}  # none of this package's, nor of the driver's
            assert "pg_advisory_xact_lock" in (holder.sql or "")
        await task
        (place,) = db.report().sites
        assert (place.where, place.calls_total) == (holder.where, 1)


async def test_statements_gathered_are_reported_with_their_sql_from_where_they_are_called(database: Database) -> None:
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        async with witness.holding():
            calls = [db.fetch(ON_LOCK), db.fetchrow(ON_LOCK), db.fetchval(ON_LOCK), db.execute(ON_LOCK)]
            made = line() - 1
            gathered = asyncio.gather(*calls)
            await witness.until_blocked(2)
            await becomes(lambda: db.stats().waiting == 2)
            report = db.report()
            assert [caller.sql for caller in report.holders + report.waiters] == [ON_LOCK] * 4
            assert all(is_at(caller.where, made) for caller in report.holders + report.waiters)
            assert len({caller.task for caller in report.holders + report.waiters}) == 4
        await gathered


async def test_a_connection_that_is_reset_is_held_by_no_task(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        async with witness.holding():
            task = asyncio.create_task(db.fetch(ON_LOCK))
            (pid,) = await witness.until_blocked()
            task.cancel()
            await asyncio.wait([task])
            holders = db.report().holders
            assert all((holder.task, holder.stack) == ("", ()) for holder in holders)
            assert all(holder.doing == "its connection is being closed or reset" for holder in holders)
        await becomes(lambda: not db.report().holders)
        assert pid


async def test_a_lease_that_has_run_nothing_yet_has_no_sql_of_those_before_it(database: Database) -> None:
    async with pool_of(database, 1) as db:
        for _ in range(3):  # not prepared yet, then prepared
            await db.fetch("select 'of the caller before'")
        async with db.acquire() as connection:
            assert db.report().holders[0].sql is None
            await connection.fetch("select 2")
            assert db.report().holders[0].sql == "select 2"
        async with db.transaction():
            assert "of the caller before" not in str(db.report())
        async with db.acquire():
            assert db.report().holders[0].sql is None


# Waiters and places


async def test_those_who_wait_are_reported_with_lane_place_and_sql(database: Database) -> None:
    async def asks() -> object:
        return await lane.fetchval("select $1::text", SECRET)

    async def leases() -> None:
        async with db.acquire():
            pass

    async with pool_of(database, 1) as db:
        lane = db.lane("web")
        async with db.acquire():
            first = asyncio.create_task(asks(), name="web 1")
            second = asyncio.create_task(leases(), name="job 1")
            await becomes(lambda: db.stats().waiting == 2)
            report = db.report()
            by_task = {waiter.task: waiter for waiter in report.waiters}
            web, job = by_task["web 1"], by_task["job 1"]
            assert (web.lane, web.sql) == ("web", "select $1::text")
            assert (job.lane, job.sql, job.doing) == ("", None, "")
            assert is_at(web.where, asks.__code__.co_firstlineno + 1)
            assert is_at(job.where, leases.__code__.co_firstlineno + 1)
            assert [(use.name, use.held, use.waiting) for use in report.lanes] == [("web", 0, 1)]
            assert SECRET not in str(report)
        await asyncio.gather(first, second)


async def test_places_are_told_with_the_seconds_that_they_held(database: Database) -> None:
    async with pool_of(database, 2) as db:
        for _ in range(3):
            await db.fetchval("select 1")
        quick = line() - 1
        async with db.acquire() as connection:
            slow = line() - 1
            await connection.fetchval("select pg_sleep(0.2)")
        uses = db.report().sites
        assert [use.calls_total for use in uses] == [1, 3]
        assert is_at(uses[0].where, slow)
        assert is_at(uses[1].where, quick)
        assert uses[0].held_s_total >= 0.2
        assert uses[1].held_s_total > 0
        assert f"in 1 call from {HERE}:{slow} in " in str(db.report())


# What callers who get nothing are told


async def test_a_time_out_tells_who_holds(database: Database) -> None:
    async def forgets() -> None:
        async with db.transaction() as tx:
            await tx.fetchval("select $1::text", SECRET)
            await goes_home.wait()

    goes_home = asyncio.Event()
    async with pool_of(database, 1) as db:
        lane = db.lane("web")
        task = asyncio.create_task(forgets(), name="forgetful")
        await one_holder(db, forgets.__code__.co_firstlineno + 3)
        with pytest.raises(AcquireTimeout) as late:
            await lane.fetchval("select $1::text", SECRET, timeout=0.05)
        message, report = str(late.value), late.value.report
        assert isinstance(report, Report)
        assert [holder.task for holder in report.holders] == ["forgetful"]
        assert "task 'forgetful'" in message
        assert f"{HERE}:{forgets.__code__.co_firstlineno + 1} in " in message
        assert f"now at {HERE}:{forgets.__code__.co_firstlineno + 3} in " in message
        assert "in a transaction, SQL: select $1::text" in message
        assert "lane 'web' of pool" in message
        assert SECRET not in message + str(report) + repr(report)
        goes_home.set()
        await task


async def test_no_parameter_is_ever_shown(database: Database) -> None:
    async def leases(how: str) -> None:
        async with db.acquire() as connection:
            match how:
                case "fetch":
                    await connection.fetch("select $1::text, pg_advisory_xact_lock(1)", SECRET)
                case "executemany":
                    await connection.executemany("select $1::text, pg_advisory_xact_lock(1)", [(SECRET,)])

    async with pool_of(database, 3, max_waiting=2) as db, witness_of(database) as witness:
        async with witness.holding():
            works: list[Coroutine[Any, Any, object]] = [leases("fetch"), leases("executemany")]
            works.append(db.execute("select $1::text, pg_advisory_xact_lock(1)", SECRET))
            tasks = [asyncio.create_task(work) for work in works]
            await witness.until_blocked(3)
            calls = [db.fetch("select $1::text", SECRET, timeout=0.1 + 0.1 * number) for number in range(3)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert [type(end) for end in ends] == [AcquireTimeout, AcquireTimeout, LineFull]
            told = "".join(f"{end} {end!r} {getattr(end, 'report', '')!r}" for end in ends)
            told += f"{db.report()} {db.report()!r} {db!r} {db.stats()!r}"
            assert "$1::text" in told
            assert SECRET not in told
        await asyncio.gather(*tasks)


async def test_a_thousand_that_time_out_together_share_one_look(database: Database) -> None:
    async with pool_of(database, 1) as db:
        lanes = [db, db.lane("a"), db.lane("b")]
        async with held(db):
            calls = [lanes[number % 3].fetch("select 1", timeout=0.3) for number in range(1000)]
            ends = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(end) for end in ends} == {AcquireTimeout}
            looks = {id(end.report) for end in ends if isinstance(end, AcquireTimeout)}
            assert len(looks) <= 3  # one, unless the machine is slow: a look is good for a tenth of a second
        assert db.stats().timeouts_total == 1000


def test_with_uvloop_the_same_is_told(database_dsn: str) -> None:
    uvloop = pytest.importorskip("uvloop")

    async def nightly(db: DatabasePool) -> None:
        async with db.transaction() as tx:
            await tx.execute("select 1")
            await asyncio.sleep(60)

    async def main() -> None:
        async with pool_of(database_dsn, 1) as db:
            task = asyncio.create_task(nightly(db), name="job")
            holder = await one_holder(db, nightly.__code__.co_firstlineno + 3)
            assert (holder.task, holder.in_transaction, holder.sql) == ("job", True, "select 1")
            assert is_at(holder.where, nightly.__code__.co_firstlineno + 1)
            with pytest.raises(AcquireTimeout, match="task 'job'"):
                await db.fetch("select 1", timeout=0.05)
            gathered = await asyncio.gather(db.fetch("select 1", timeout=0.05), return_exceptions=True)
            assert isinstance(gathered[0], AcquireTimeout)
            task.cancel()
            await asyncio.wait([task])

    uvloop.run(main())


@pytest.fixture
def database_dsn(database: Database) -> str:
    return database.dsn
