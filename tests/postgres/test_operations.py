"""A pool that is operated while it is used: the server never sees more than it may, and callers notice nothing."""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import asyncpg
import pytest

from dbpool import ConnectionLost, DatabasePool, LeasesRemain, PoolClosed, SettingsError, UsageError, upkeep
from dbpool.events import Closed, ConnectionClosed, Event, LeakReturned, LeakSuspected, Paused, Reason, Resumed
from tests.support.databases import Database
from tests.support.pools import Witness, becomes, pool_of, role_in, settled, until, witness_of
from tests.support.restarts import restartable

BOUND = 4
PID = "select pg_backend_pid()"
BLOCKED = "select pg_advisory_xact_lock(1)"


def listen(db: DatabasePool) -> list[Event]:
    told: list[Event] = []
    db.on_event(told.append)
    return told


def reasons(told: list[Event]) -> list[Reason]:
    return [event.reason for event in told if isinstance(event, ConnectionClosed)]


async def fill(db: DatabasePool, connections: int = BOUND) -> set[int]:
    """Have the pool open so many connections; their process ids."""
    held = [await db.acquire() for _ in range(connections)]
    pids = {await connection.fetchval(PID) for connection in held}
    for connection in held:
        await db.release(connection)
    return pids


@asynccontextmanager
async def under_load(db: DatabasePool, callers: int = 3 * BOUND) -> AsyncIterator[list[int]]:
    """Callers that come again and again, each of which must get its own answer; the process ids that they meet."""
    pids: list[int] = []
    is_over = False

    async def call(number: int) -> None:
        while not is_over:
            row = await db.fetchrow("select $1::int, pg_backend_pid()", number)
            assert row is not None
            assert row[0] == number
            pids.append(row[1])
            async with db.transaction() as tx:
                assert await tx.fetchval("select $1::int", number) == number

    calling = [asyncio.create_task(call(number)) for number in range(callers)]
    try:
        await becomes(lambda: len(pids) > callers)
        yield pids
    finally:
        is_over = True
        await asyncio.gather(*calling)
    assert db.stats().connect_failures_total == 0, db.stats().last_connect_error


async def has(witness: Witness, sessions: int) -> None:
    """Wait until the server has so many sessions of ours."""

    async def look() -> bool:
        return len(await witness.pids()) == sessions

    await until(look)


# Pause


async def test_a_pause_waits_for_a_transaction_to_end_and_callers_wait_for_the_resume(database: Database) -> None:
    served: list[int] = []

    async def come(number: int) -> None:
        await db.fetchval("select 1")
        served.append(number)

    async with pool_of(database, 1) as db, witness_of(database) as witness:
        async with db.transaction() as tx:
            await tx.execute("create table t (a int)")
            pausing = asyncio.create_task(db.pause())
            await asyncio.sleep(0)  # it begins
            callers = [asyncio.create_task(come(number)) for number in range(10)]
            await becomes(lambda: db.stats().waiting == 10)
            assert not pausing.done()
            await tx.execute("insert into t values (1)")
        await pausing
        assert await witness.value("select count(*) from t") == 1
        assert all(row["state"] == "idle" for row in await witness.backends())
        assert served == []
        db.resume()
        await asyncio.gather(*callers)
        assert served == list(range(10))


async def test_a_pause_out_of_time_names_who_holds_and_the_pool_goes_on(database: Database) -> None:
    async with pool_of(database, 1) as db, db.transaction() as tx:
        waiting = asyncio.create_task(db.fetchval("select 1"))
        with pytest.raises(LeasesRemain, match=r"1 lease had not ended after 0\.05 s") as caught:
            await db.pause(timeout=0.05)
        assert "test_a_pause_out_of_time_names_who_holds" in str(caught.value)
        assert "in a transaction" in str(caught.value)
        assert await tx.fetchval("select 2") == 2
        await tx.rollback()
    assert await waiting == 1


async def test_a_server_restarted_in_a_pause_is_noticed_by_no_caller() -> None:
    async with restartable() as server, pool_of(server.dsn, BOUND, min_connections=2, outage_patience=0.01) as db:
        told = listen(db)
        async with under_load(db):
            await db.pause(disconnect=True)
            async with witness_of(server.dsn) as witness:
                assert await witness.pids() == set()
            await server.restart()
            await becomes(lambda: db.stats().waiting == 3 * BOUND)
            db.resume()
        assert set(reasons(told)) == {Reason.PAUSED}
        assert [event for event in told if isinstance(event, Paused | Resumed)] == [Paused(), Resumed()]


async def test_no_connection_is_opened_in_a_pause_not_even_one_to_keep(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY_S", 0.01)
    async with pool_of(database, BOUND, min_connections=2) as db, witness_of(database) as witness:
        await db.pause(disconnect=True)
        for _ in range(20):
            assert await witness.pids() == set()
            await asyncio.sleep(0.005)
        db.resume()
        await has(witness, 2)


@pytest.mark.parametrize("disconnect", [False, True])
async def test_a_pause_cancelled_at_any_time_leaves_the_pool_within_its_bound(
    database: Database, disconnect: bool
) -> None:
    async with role_in(database, limit=BOUND) as dsn, pool_of(dsn, BOUND) as db:
        for turns in range(12):
            await fill(db)
            holder = await db.acquire()
            pausing = asyncio.create_task(db.pause(disconnect=disconnect))
            for turn in range(turns):
                if turn == 3:
                    await db.release(holder)
                await asyncio.sleep(0)
            pausing.cancel()
            with suppress(asyncio.CancelledError):
                await pausing
                db.resume()
            if turns <= 3:
                await db.release(holder)
            assert len(await fill(db)) == BOUND
        assert db.stats().connect_failures_total == 0, db.stats().last_connect_error


async def test_a_resume_without_a_pause_is_no_error(database: Database) -> None:
    async with pool_of(database) as db:
        db.resume()
        assert await db.fetchval("select 1") == 1


# Pause meets close


async def test_a_close_in_a_pause_ends_it(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.transaction():
            pausing = asyncio.create_task(db.pause())
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await becomes(lambda: db.stats().waiting == 1)
            closing = asyncio.create_task(db.close())
            with pytest.raises(PoolClosed):
                await waiting
        await closing
        with pytest.raises(PoolClosed):
            await pausing


async def test_a_pool_that_is_closed_or_not_open_cannot_be_operated(database: Database) -> None:
    db = DatabasePool(database.dsn)
    uses: list[Callable[[], object]] = [db.resume, lambda: db.resize(3), db.drain]
    for use in uses:
        with pytest.raises(UsageError, match="is not open"):
            use()
    with pytest.raises(UsageError, match="is not open"):
        await db.pause()
    await db.open()
    async with db.transaction():
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        for use in uses:
            with pytest.raises(PoolClosed, match="is closed"):
                use()
        with pytest.raises(PoolClosed, match="is closed"):
            await db.pause()
    await closing


# Resize


async def test_a_pool_made_larger_serves_those_in_line_at_once(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        async with witness.holding():
            callers = [asyncio.create_task(db.fetch(BLOCKED)) for _ in range(3)]
            await witness.until_blocked(1)
            assert db.stats().waiting == 2
            db.resize(3)
            await witness.until_blocked(3)
        await asyncio.gather(*callers)


async def test_a_pool_made_smaller_under_load_comes_down_to_its_bound_and_harms_nobody(database: Database) -> None:
    async with role_in(database, limit=2 * BOUND) as dsn, pool_of(dsn, 2 * BOUND) as db:
        async with witness_of(database) as witness, under_load(db):
            await has(witness, 2 * BOUND)
            db.resize(2)
            await has(witness, 2)
            await witness.run(f'alter role "role_of_{database.name}" connection limit 2')
            old = await witness.pids()
            db.drain()  # from now on one more than two is refused, which under_load would notice
            await until(lambda: are_gone(witness, old))
        await settled(db)


async def test_what_is_surplus_is_closed_though_every_permit_is_held(database: Database) -> None:
    async with pool_of(database, BOUND) as db, witness_of(database) as witness:
        await fill(db)
        async with db.acquire() as one, db.acquire() as other:
            db.resize(2)
            await has(witness, 2)
            assert {await one.fetchval(PID), await other.fetchval(PID)} == await witness.pids()


async def test_a_pool_resized_again_and_again_under_load_keeps_to_the_largest_bound(database: Database) -> None:
    async with role_in(database, limit=BOUND) as dsn, pool_of(dsn, BOUND) as db, under_load(db) as pids:
        for size in [1, BOUND, 2, 3, 1, 2, BOUND] * 3:
            db.resize(size)
            before = len(pids)
            await becomes(lambda before=before: len(pids) > before + BOUND)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("size", "says"),
    [(0, "at least 1"), (1, "min_connections is 2"), (True, "not True"), (2.0, "not 2.0"), (3, "reserve 3")],
)
async def test_a_size_that_cannot_be_is_refused_and_changes_nothing(database: Database, size: int, says: str) -> None:
    async with pool_of(database, BOUND, min_connections=2) as db:
        kept = db.lane("kept", reserved=3)
        told = listen(db)
        with pytest.raises(SettingsError, match=says):
            db.resize(size)
        assert (db.stats().capacity, told) == (BOUND, [])
        assert await asyncio.gather(*(lane.fetchval("select 1") for lane in [db, kept] * BOUND)) == [1] * 2 * BOUND


# Drain


async def test_a_drain_under_load_replaces_every_connection_and_nobody_notices(database: Database) -> None:
    async with role_in(database, limit=BOUND) as dsn, pool_of(dsn, BOUND) as db, witness_of(database) as witness:
        async with under_load(db):
            await has(witness, BOUND)
            old = await witness.pids()
            told = listen(db)
            assert db.drain() == BOUND
            await becomes(lambda: len(reasons(told)) == BOUND)
            assert await are_gone(witness, old)
        assert reasons(told) == [Reason.DRAINED] * BOUND


async def test_a_drain_is_spread_over_the_time_given(database: Database) -> None:
    async with pool_of(database, BOUND) as db, witness_of(database) as witness, under_load(db):
        await has(witness, BOUND)
        clock = asyncio.get_running_loop().time
        began, closed_after_s = clock(), list[float]()
        db.on_event(lambda event: closed_after_s.append(clock() - began) if is_drained(event) else None)
        old = await witness.pids()
        assert db.drain(spread_over=0.4) == BOUND
        await becomes(lambda: len(closed_after_s) == BOUND)
        assert await are_gone(witness, old)
        assert all(after_s >= 0.1 * number for number, after_s in enumerate(closed_after_s)), closed_after_s


def is_drained(event: Event) -> bool:
    return event == ConnectionClosed(Reason.DRAINED)


@pytest.mark.parametrize("spread_over", [-1.0, float("nan"), float("inf"), True, "1"])
async def test_a_time_that_cannot_be_is_refused(database: Database, spread_over: float) -> None:
    async with pool_of(database) as db:
        with pytest.raises(SettingsError, match="spread_over"):
            db.drain(spread_over=spread_over)


async def are_gone(witness: Witness, old: set[int]) -> bool:
    return not old & await witness.pids()


# Looked after


async def test_connections_too_old_are_replaced_though_the_pool_is_never_idle(database: Database) -> None:
    async with role_in(database, limit=BOUND) as dsn, pool_of(dsn, BOUND, max_lifetime=0.3) as db:
        told = listen(db)
        async with under_load(db) as pids:
            await becomes(lambda: len(set(pids)) >= 3 * BOUND)
        assert set(reasons(told)) == {Reason.TOO_OLD}


async def test_connections_to_keep_are_there_again_after_an_administrator_ended_them(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY_S", 0.02)
    async with pool_of(database, BOUND, min_connections=3) as db, witness_of(database) as witness:
        await has(witness, 3)
        told = listen(db)
        old = await witness.pids()
        await witness.terminate(*old)
        await has(witness, 3)
        assert not old & await witness.pids()
        await settled(db)
        assert reasons(told) == [Reason.LOST] * 3


async def test_a_lease_held_for_too_long_is_told_with_where_it_began_and_stands_and_that_it_came_back(
    database: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY_S", 0.02)
    here = f"{Path(__file__).parent.name}/{Path(__file__).name}"
    line = 0

    async def forgets(until_told: asyncio.Event) -> None:
        nonlocal line
        line = inspect.currentframe().f_lineno + 1  # type: ignore[union-attr]
        async with db.acquire() as connection:
            await connection.fetchval("select 'the last thing it did'")
            await until_told.wait()

    async with pool_of(database, 1, leak_after=0.05) as db:
        told, found = listen(db), asyncio.Event()
        with caplog.at_level(logging.WARNING, "dbpool"):
            task = asyncio.create_task(forgets(found), name="forgetful")
            await becomes(lambda: told)
            found.set()
            await task
            await becomes(lambda: len(told) > 1)
    suspected, returned = told[:2]
    assert isinstance(suspected, LeakSuspected)
    assert isinstance(returned, LeakReturned)
    holder = suspected.holder
    assert (holder.task, holder.sql) == ("forgetful", "select 'the last thing it did'")
    assert holder.where.startswith(f"{here}:{line} in ")
    assert holder.stack[-1].startswith(f"{here}:{line + 2} in ")
    assert "held for longer than leak_after=0.05 s" in caplog.text
    assert "returned after all" in caplog.text
    assert f"{here}:{line}" in caplog.text


# Close


async def test_a_close_out_of_time_names_who_was_cut_off_in_the_log_and_in_what_it_tells(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with pool_of(database, 2) as db, witness_of(database) as witness, witness.holding():
        told = listen(db)

        async def be_stubborn() -> None:
            await db.fetch(BLOCKED)

        callers = [asyncio.create_task(be_stubborn(), name=f"stubborn {number}") for number in range(3)]
        await witness.until_blocked(2)
        with caplog.at_level(logging.WARNING, "dbpool"):
            await db.close(timeout=0.1)
        *cut_off, waited = await asyncio.gather(*callers, return_exceptions=True)
        assert {type(error) for error in cut_off} <= {ConnectionLost, asyncpg.QueryCanceledError}
        assert isinstance(waited, PoolClosed)
        await witness.until_alone()
    (closed,) = [event for event in told if isinstance(event, Closed)]
    assert [(holder.task, holder.sql) for holder in closed.cut_off] == [
        ("stubborn 0", BLOCKED),
        ("stubborn 1", BLOCKED),
    ]
    assert all(holder.where.endswith("be_stubborn") for holder in closed.cut_off)
    assert "2 leases had not ended 0.1 s after close()" in caplog.text
    assert "from postgres/test_operations.py" in caplog.text
