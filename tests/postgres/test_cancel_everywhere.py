"""A caller cancelled at any of its suspensions, once or again and again: nothing is lost, and nobody is lied to."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, nullcontext, suppress
from typing import Any

import pytest

from dbpool import AcquireTimeout, DatabasePool, QueryTimeout, UsageError
from dbpool.testing.suspensions import awaited
from tests.support.databases import Database
from tests.support.pools import Witness, becomes, pool_of, settled, until, witness_of

BOUND = 2
MOST_SUSPENSIONS = 60  # more than any of the uses below has


class Trial:
    """One run of something, cancelled at its suspension *at*, and *times* in all."""

    def __init__(self, number: int, at: int, times: int) -> None:
        self.number, self.at, self.times = number, at, times
        self.suspensions = 0

    async def run(self, work: Coroutine[Any, Any, object]) -> asyncio.CancelledError | None:
        """Return what it was told when it was cancelled, None if it came to its end."""
        task = asyncio.create_task(awaited(work, lambda: self._suspended(task)))
        await asyncio.wait([task], timeout=10)
        assert task.done(), f"hangs: {vars(self)}"
        try:
            await task
        except asyncio.CancelledError as error:
            return error
        return None

    def _suspended(self, task: asyncio.Task[object]) -> None:
        self.suspensions += 1
        if self.at <= self.suspensions < self.at + self.times:
            asyncio.get_running_loop().call_soon(task.cancel)


def trials() -> Iterator[Trial]:
    """A trial for each suspension that a run has, cancelled once, then the same three times over."""
    numbers = itertools.count(1)
    for times in (1, 3):
        at = 0
        trial = None
        while trial is None or trial.suspensions >= at:
            at += 1
            assert at < MOST_SUSPENSIONS, "it never comes to its end"
            trial = Trial(next(numbers), at, times)
            yield trial
        assert at > 1, "it was never suspended"


async def acquired(db: DatabasePool, number: int) -> None:
    async with db.acquire() as connection:
        await connection.execute("set work_mem = '65kB'")
        await connection.fetchval("select $1::int", number)


async def acquired_and_released(db: DatabasePool, number: int) -> None:
    connection = await db.acquire()
    try:
        await connection.fetchval("select $1::int", number)
    finally:
        await db.release(connection)


async def fetched(db: DatabasePool, number: int) -> None:
    await db.fetchval("select $1::int", number)


async def fetched_and_owing(db: DatabasePool, number: int) -> None:
    await db.fetchval("select set_config('app.leak', $1, false)", str(number))


async def streamed(db: DatabasePool, number: int) -> None:
    async with aclosing(db.stream("select generate_series(1, $1)", 10, prefetch=3)) as rows:
        async for _ in rows:
            pass


async def stored_many(db: DatabasePool, number: int) -> None:
    await db.executemany("select $1::int", [(n,) for n in range(number)])


async def inserted(db: DatabasePool, number: int) -> None:
    async with db.transaction(traceable=True) as tx:
        await tx.execute("insert into t values ($1)", number)


async def inserted_within(db: DatabasePool, number: int) -> None:
    async with db.transaction() as tx:
        async with tx.transaction() as inner:
            await inner.execute("insert into t values ($1)", number)


async def inserted_on_a_connection(db: DatabasePool, number: int) -> None:
    async with db.acquire() as connection, connection.transaction():
        await connection.execute("insert into t values ($1)", number)


async def run_again(db: DatabasePool, number: int) -> None:
    await db.run(lambda tx: tx.execute("insert into t values ($1)", number))


READS = [acquired, acquired_and_released, fetched, fetched_and_owing, streamed, stored_many]
WRITES = [inserted, inserted_within, inserted_on_a_connection, run_again]
Use = Callable[[DatabasePool, int], Coroutine[Any, Any, None]]


async def check_harmless(db: DatabasePool, witness: Witness) -> None:
    """All is as if nobody had been here."""
    await settled(db)
    await becomes(lambda: not db.stats().opening)  # a connection that nobody waits for any more becomes a spare
    backends = await witness.backends()
    assert len(backends) <= BOUND
    assert {row["state"] for row in backends} <= {"idle", None}, backends  # None: it has just begun
    assert await db.fetchval("select current_setting('work_mem') <> '65kB'")
    assert await db.fetchval("select coalesce(current_setting('app.leak', true), '') = ''")


@pytest.mark.parametrize("use", READS)
async def test_a_caller_cancelled_anywhere_leaves_a_pool_that_works(database: Database, use: Use) -> None:
    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        for trial in trials():
            await trial.run(use(db, trial.number))
            await check_harmless(db, witness)


@pytest.mark.parametrize("use", [fetched, acquired, inserted])
async def test_a_caller_cancelled_anywhere_in_a_pool_without_a_connection_leaves_a_pool_that_works(
    database: Database, use: Use
) -> None:
    async with witness_of(database) as witness:
        await witness.run("create table t (a int primary key)")
        for trial in trials():
            async with pool_of(database, BOUND) as db:
                await witness.terminate(*await witness.pids())
                await becomes(lambda: db.stats().connections == 0)
                await trial.run(use(db, trial.number))
                await check_harmless(db, witness)


async def test_opening_a_pool_cancelled_anywhere_leaves_nothing_open(database: Database) -> None:
    async with witness_of(database) as witness:
        for trial in trials():
            db = DatabasePool(database.dsn, BOUND)
            if await trial.run(db.open()):
                with pytest.raises(UsageError, match="open"):
                    await db.fetchval("select 1")
                await until(lambda: none_there(witness))
                await db.open()
            assert await db.fetchval("select 1") == 1
            await db.close()
            assert (db.stats().held, db.stats().waiting, db.stats().connections) == (0, 0, 0)


async def test_closing_a_pool_cancelled_anywhere_still_closes_it(database: Database) -> None:
    async with witness_of(database) as witness:
        for trial in trials():
            db = await DatabasePool(database.dsn, BOUND).open()
            await asyncio.gather(db.fetch("select 1"), db.fetch("select 2"))
            await trial.run(db.close())
            await db.close()
            await until(lambda: none_there(witness))
            assert (db.stats().held, db.stats().waiting, db.stats().connections) == (0, 0, 0)


async def none_there(witness: Witness) -> bool:
    return not await witness.backends()


@pytest.mark.parametrize("use", WRITES)
async def test_what_a_cancelled_writer_is_told_is_what_is_stored(database: Database, use: Use) -> None:
    """Told that it committed: stored. Told nothing but that it was cancelled: not stored."""
    told: dict[int, str] = {}
    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        await witness.run("create table t (a int primary key)")
        for trial in trials():
            told[trial.number] = outcome_told(await trial.run(use(db, trial.number)))
            await check_harmless(db, witness)
        stored = {number for (number,) in await witness.rows("select a from t")}
    claims = {number for number, what in told.items() if what == "committed"}
    assert claims <= stored
    assert stored - claims <= {number for number, what in told.items() if what == "of unknown outcome"}
    assert "rolled back" in told.values()


def outcome_told(error: asyncio.CancelledError | None) -> str:
    if error is None:
        return "committed"
    notes: list[str] = getattr(error, "__notes__", [])
    return notes[-1].rpartition(" is ")[2] if notes else "rolled back"


@pytest.mark.parametrize("waits_in_line", [False, True])
async def test_a_cancelled_statement_ends_on_the_server_too(database: Database, waits_in_line: bool) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness, witness.holding():
        for _ in "unprepared", "prepared":
            async with db.acquire() if waits_in_line else nullcontext():
                call = asyncio.create_task(db.fetch("select pg_advisory_xact_lock(1)"))
                if waits_in_line:
                    await becomes(lambda: db.stats().waiting)
            await witness.until_blocked()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await witness.until_none_blocked()
            assert await db.fetchval("select 1") == 1


async def test_a_statement_cancelled_in_line_is_never_sent(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create sequence s")
        async with db.acquire():
            call = asyncio.create_task(db.fetchval("select nextval('s')"))
            await becomes(lambda: db.stats().waiting)
            call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert await db.fetchval("select nextval('s')") == 1


# By the clock instead of by the step


async def sweep(use: Callable[[], Awaitable[object]], *, steps: int = 40, longest_s: float = 0.008) -> int:
    """Give *use* a little more time each time; return how often that was not enough."""
    late = 0
    for step in range(steps):
        try:
            async with asyncio.timeout(longest_s * step / steps):
                await use()
        except TimeoutError:
            late += 1
    return late


@pytest.mark.parametrize("use", [*READS, *WRITES])
async def test_a_caller_out_of_time_anywhere_leaves_a_pool_that_works(database: Database, use: Use) -> None:
    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        await witness.run("create table t (a int)")
        numbers = iter(range(1, 1000))
        assert await sweep(lambda: use(db, next(numbers))) > 0
        await check_harmless(db, witness)


async def test_timeouts_of_statements_at_any_moment_leave_a_pool_that_works(database: Database) -> None:
    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        ends: set[type] = set()
        for step in range(1, 60):
            try:
                await db.fetchval("select 1 from pg_sleep(0.002)", timeout=0.0001 * step)
            except (QueryTimeout, AcquireTimeout) as error:
                ends.add(type(error))
        assert QueryTimeout in ends
        await check_harmless(db, witness)


async def test_many_callers_out_of_time_together_leave_a_pool_that_works(database: Database) -> None:
    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        await witness.run("create table t (a int)")

        async def hurried(number: int) -> None:
            with suppress(TimeoutError):
                async with asyncio.timeout(0.0005 * (number % 60)):
                    await [*READS, *WRITES][number % 10](db, number)

        await asyncio.gather(*(hurried(number) for number in range(400)))
        await check_harmless(db, witness)
