"""What is told of callers: each call begins and ends once, at whatever instant it is cut short."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from dbpool.core.permits import Line
from dbpool.errors import AcquireTimeout, QueryTimeout
from dbpool.events import Event, SlowAcquire, SlowQuery
from dbpool.observing import Asked, Operation
from tests.support.facade import Faked, faked
from tests.support.loops import cancel_at_suspension, outcomes, settle
from tests.support.observers import Notebook
from tests.support.script import Reply, Script


def scripted(**seconds: float) -> Script:
    return Script(connect_s=0.01, replies={sql: Reply(after_s=after) for sql, after in seconds.items()})


def slow(pool: Faked) -> list[Event]:
    return [event for event in pool.told if isinstance(event, SlowQuery | SlowAcquire)]


async def test_a_call_is_told_with_its_wait_and_its_use() -> None:
    async with faked(1, scripted(select=1.0)) as pool:
        notes = Notebook(pool.db)
        await asyncio.gather(pool.db.fetch("select"), pool.db.fetch("select"))
        assert notes.ended_with == [(Asked.STATEMENT, None)] * 2
        assert notes.waits == [("", 0.0, False), ("", 1.0, False)]
        assert notes.uses == [("", 1.0), ("", 1.0)]
        first, second = notes.operations
        assert [round(each.took_s, 6) for each in (first, second)] == [1.0, 2.0]
        assert second.where.startswith("loop/test_observing.py:")


async def test_a_wait_lasts_until_there_is_a_connection() -> None:
    async with faked(2, Script(connect_s=0.5)) as pool:
        notes = Notebook(pool.db)
        holder = asyncio.create_task(pool.hold(5.0))
        await settle()
        await pool.db.fetch("select")
        await holder
        assert sorted(notes.waits) == [("", 0.0, False), ("", 0.5, False)]
        assert sorted(use for _, use in notes.uses) == [0.001, 5.0]


async def test_who_gives_up_waiting_is_told_as_that() -> None:
    async with faked(1, scripted()) as pool:
        notes = Notebook(pool.db)
        (holder,) = pool.holds(10)
        await settle()
        with pytest.raises(AcquireTimeout):
            await pool.db.fetch("select", timeout=2)
        waiting = asyncio.create_task(pool.db.fetch("select"))
        await asyncio.sleep(1)
        waiting.cancel()
        await outcomes(waiting)
        assert notes.waits == [("", 0.0, False), ("", 2.0, True), ("", 1.0, True)]
        assert notes.ended_with == [(Asked.STATEMENT, AcquireTimeout), (Asked.STATEMENT, asyncio.CancelledError)]
        await holder


@pytest.mark.parametrize("is_prepared", [True, False])
@pytest.mark.parametrize("is_taken", [True, False])
async def test_a_call_cancelled_at_any_instant_ends_once(*, is_prepared: bool, is_taken: bool) -> None:
    at, is_over = 0, False
    while not is_over:
        at += 1
        async with faked(1, scripted(select=0.1)) as pool:
            if is_prepared:
                await pool.db.fetch("select")
            notes = Notebook(pool.db)
            holders = pool.holds(1.0) if is_taken else []
            await settle()
            task = await cancel_at_suspension(pool.db.fetch("select"), at)
            is_over = not task.cancelled()
            await asyncio.gather(*holders)
            await asyncio.sleep(1)  # for the cleanup
            assert not notes.under_way
            assert notes.ended_with == [(Asked.STATEMENT, None if is_over else asyncio.CancelledError)]
    assert at > 1


async def test_a_call_that_is_granted_and_cancelled_in_one_instant_ends_once() -> None:
    async with faked(1, scripted(select=0.1)) as pool:
        await pool.db.fetch("select")
        notes = Notebook(pool.db)
        (holder,) = pool.holds(1.0)
        await settle()
        call = asyncio.create_task(pool.db.fetch("select"))
        await settle()
        holder.cancel()  # its end grants the permit in the step in which the call is cancelled
        call.cancel()
        await outcomes(holder, call)
        await asyncio.sleep(1)
        assert notes.ended_with == [(Asked.STATEMENT, asyncio.CancelledError)]
        assert not notes.under_way


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit, GeneratorExit])
async def test_a_call_that_is_closed_or_stopped_ends_once(stop: type[BaseException]) -> None:
    async with faked(1, scripted(select=0.1)) as pool:
        notes = Notebook(pool.db)
        call = pool.db.fetch("select")
        call.send(None)
        if stop is GeneratorExit:
            call.close()
        else:
            with pytest.raises(stop):
                call.throw(stop())
        assert notes.ended_with == [(Asked.STATEMENT, stop)]
        await asyncio.sleep(1)
        assert not notes.under_way


async def test_a_statement_out_of_time_ends_with_what_its_caller_sees() -> None:
    async with faked(1, scripted(select=10)) as pool:
        notes = Notebook(pool.db)
        with pytest.raises(QueryTimeout):
            await pool.db.fetch("select", timeout=1)
        await asyncio.sleep(1)
        assert notes.ended_with == [(Asked.STATEMENT, QueryTimeout)]


async def test_who_observes_no_more_is_told_the_end_of_what_has_begun() -> None:
    async with faked(1, scripted(select=1)) as pool:
        notes = Notebook(pool.db)
        call = asyncio.create_task(pool.db.fetch("select"))
        await settle()
        notes.remove()
        await call
        await pool.db.fetch("select")
        assert notes.ended_with == [(Asked.STATEMENT, None)]


async def test_what_is_ended_twice_is_told_once() -> None:
    async with faked(1, scripted()) as pool:
        notes = Notebook(pool.db)
        operation = Operation(pool.db.observing, Asked.STATEMENT, Line(), None)
        operation.end(None)
        assert not notes.ended_with
        with operation.begin() as same:
            same.begin()
            operation.end(ValueError())
        assert notes.ended_with == [(Asked.STATEMENT, ValueError)]


class Broken(Notebook):
    """Raises whatever it is told."""

    def begun(self, operation: Any) -> object:  # noqa: ANN401
        raise ValueError("begun")

    def waited(self, *args: Any, **options: Any) -> None:  # noqa: ANN401
        raise ValueError("waited")

    def used(self, *args: Any) -> None:  # noqa: ANN401
        raise ValueError("used")


class BrokenAtEnds(Notebook):
    """Raises when it is told an end."""

    def ended(self, *args: Any) -> None:  # noqa: ANN401
        raise ValueError("ended")


async def test_an_observer_that_fails_costs_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async with faked(1, scripted()) as pool:
        Broken(pool.db)
        notes = Notebook(pool.db)
        await pool.db.fetch("select")
        assert notes.ended_with == [(Asked.STATEMENT, None)]
        assert [record.getMessage() for record in caplog.records] == ["Broken failed"] * 3
        assert all(record.levelno == logging.ERROR and record.exc_info for record in caplog.records)


async def test_an_observer_that_fails_at_an_end_leaves_it_to_the_next(caplog: pytest.LogCaptureFixture) -> None:
    async with faked(1, scripted()) as pool:
        BrokenAtEnds(pool.db)
        notes = Notebook(pool.db)
        operation = Operation(pool.db.observing, Asked.STATEMENT, Line(), None)
        with operation.begin():
            operation.end(KeyError("the caller's"))
        await pool.db.fetch("select")
        assert notes.ended_with == [(Asked.STATEMENT, KeyError), (Asked.STATEMENT, None)]
        assert [record.getMessage() for record in caplog.records] == ["BrokenAtEnds failed"] * 2


async def test_a_slow_statement_is_told_with_where_it_was_asked_for() -> None:
    async with faked(1, scripted(quick=0.5, slow=1.5), slow_query=1.0) as pool:
        await pool.db.fetch("quick")
        await asyncio.gather(pool.db.lane("batch").fetch("slow"), pool.db.fetch("quick"))
        (told,) = slow(pool)
        assert isinstance(told, SlowQuery)
        assert (told.sql, round(told.took_s, 1), told.lane) == ("slow", 1.5, "batch")
        assert told.where.startswith("loop/test_observing.py:")
        await pool.db.fetch("quick", timeout=1)  # the wait does not count
        assert len(slow(pool)) == 1


async def test_a_long_wait_is_told_whether_or_not_it_was_in_vain() -> None:
    async with faked(1, slow_acquire=1.0) as pool:
        (holder,) = pool.holds(3.0)
        await settle()
        patient, hasty, brief = (asyncio.create_task(pool.hold(0, timeout=seconds)) for seconds in (9, 2, 0.5))
        await outcomes(holder, patient, hasty, brief)
        waits = [(type(each), round(each.waited_s, 6)) for each in slow(pool) if isinstance(each, SlowAcquire)]
        assert waits == [(SlowAcquire, 2.0), (SlowAcquire, 3.0)]
        assert all("in Faked.hold" in each.where for each in slow(pool) if isinstance(each, SlowAcquire))


async def test_nothing_is_told_where_nothing_is_called_slow() -> None:
    async with faked(1, scripted(slow=1000.0), query_timeout=2000.0) as pool:
        await pool.db.fetch("slow")
        assert not slow(pool)
        assert not pool.db.observing.observers
