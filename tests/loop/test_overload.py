"""Refused before it is too late, limited before it is too much, warned before it is a deadlock."""

from __future__ import annotations

import asyncio
import warnings

import pytest

from dbpool.core.pacing import Rate
from dbpool.errors import AcquireTimeout, LineFull, NestedAcquire, Overloaded, PoolDeadlock
from dbpool.gate import Gate
from tests.support.callers import Line, assert_empty
from tests.support.fakes import open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import Reply


async def practised(gate: Gate, hold_s: float, times: int = 300) -> None:
    """Have so many hold a permit, one after the other."""
    for _ in range(times):
        async with gate:
            await asyncio.sleep(hold_s)


async def test_a_caller_that_would_wait_too_long_is_refused_at_once_and_told_when_to_come_again() -> None:
    gate = Gate(2, deadline_aware=True)
    line = Line(gate)
    await practised(gate, 1.0)
    holders = await line.queue("a", "b", hold_s=1.0)
    waiting = await line.queue("1", "2", "3", "4", timeout=30)
    began = now()
    with pytest.raises(Overloaded, match=r"would wait for 2\.50 s and may for 2\.00 s .*Come again in 0\.50 s") as told:
        await line.use("late", timeout=2)
    assert now() == began
    assert told.value.retry_after == pytest.approx(0.5, rel=0.01)
    assert isinstance(told.value, LineFull)
    assert (told.value.capacity, told.value.held, told.value.waiting) == (2, 2, 4)
    patient = asyncio.create_task(line.use("patient", timeout=2.6))
    await outcomes(*holders, *waiting)
    assert await patient == "patient"
    assert gate.line.refused_total == 1
    assert_empty(gate)


async def test_nobody_is_refused_while_permits_are_free_or_before_anything_is_known() -> None:
    gate = Gate(2, deadline_aware=True)
    line = Line(gate)
    holders = await line.queue("a", "b", hold_s=5.0)
    unknown = await line.queue("1", timeout=0.5)  # it times out, but nobody could know
    await outcomes(*holders, *unknown)
    await practised(gate, 5.0)
    assert await line.use("free", timeout=0.1) == "free"
    assert_empty(gate)


async def test_each_lane_is_judged_by_how_long_its_own_callers_hold() -> None:
    gate = Gate(2, deadline_aware=True)
    slow, quick = gate.lane("slow", at_most=1), gate.lane("quick", at_most=1)
    for lane, hold_s in ((slow, 10.0), (quick, 0.1)):
        for _ in range(20):
            async with lane:
                await asyncio.sleep(hold_s)
    holders = [*await Line(slow).queue("s", hold_s=10.0), *await Line(quick).queue("q", hold_s=0.1)]
    with pytest.raises(Overloaded, match="lane 'slow'") as told:
        await Line(slow).use("late", timeout=2)
    assert told.value.lane == "slow"
    assert await Line(quick).use("in time", timeout=2) == "in time"
    await outcomes(*holders)
    assert_empty(gate)


async def test_what_other_lanes_have_reserved_moves_no_line_but_theirs() -> None:
    gate = Gate(4, deadline_aware=True)
    vip = gate.lane("vip", reserved=3)
    await practised(gate, 1.0)
    line = Line(gate)
    holders = await line.queue("a", hold_s=1.0)
    waiting = await line.queue("1", timeout=30)
    with pytest.raises(Overloaded, match=r"would wait for 2\.00 s and may for 1\.50 s"):
        await line.use("late", timeout=1.5)
    await practised(vip, 1.0)  # type: ignore[arg-type] # a lane will do
    holders += await Line(vip).queue("v", "w", "x", hold_s=1.0)
    assert await Line(vip).use("in time", timeout=1.5) == "in time"
    await outcomes(*holders, *waiting)
    assert_empty(gate)


async def test_a_caller_that_a_rate_would_serve_too_late_is_refused_before_anything_is_learnt() -> None:
    gate = Gate(4, rate=Rate(1, per=10, burst=2), deadline_aware=True)
    line = Line(gate)
    await line.queue("a", "b")
    waiting = await line.queue("1", "2", timeout=60)
    with pytest.raises(Overloaded, match=r"would wait for 30\.00 s and may for 25\.00 s") as told:
        await line.use("late", timeout=25)
    assert told.value.retry_after == pytest.approx(5)
    assert await line.use("in time", timeout=31) == "in time"
    assert now() == pytest.approx(30, abs=0.1)
    await outcomes(*waiting)
    assert_empty(gate)


async def test_nobody_is_refused_for_a_pause_and_nothing_is_learnt_in_it() -> None:
    gate = Gate(1, deadline_aware=True)
    line = Line(gate)
    await practised(gate, 1.0)
    holders = await line.queue("a", hold_s=500.0)
    gate.pause()
    waiting = [asyncio.create_task(line.use(str(number), timeout=0.5)) for number in range(9)]
    await asyncio.sleep(1)
    assert {type(error) for error in await outcomes(*waiting)} == {AcquireTimeout}
    await outcomes(*holders)
    gate.resume()
    holders = await line.queue("b", hold_s=1.0)
    assert await line.use("in time", timeout=1.1) == "in time"
    await outcomes(*holders)
    assert_empty(gate)


async def test_a_one_shot_call_is_refused_too_and_nothing_is_sent() -> None:
    pool = await open_pool(1, deadline_aware=True)
    pool.driver.script.replies["select"] = Reply(after_s=1.0)
    for _ in range(20):
        await pool.ask()
    crowd = [asyncio.create_task(pool.ask(timeout=60)) for _ in range(4)]
    await settle()
    with pool.counting() as counts, pytest.raises(Overloaded):
        await pool.ask(timeout=3)
    assert counts["sent"] == 0
    await asyncio.gather(*crowd)
    pool.check_at_rest()


async def test_an_adaptive_gate_stays_within_its_capacity_and_lets_everyone_through() -> None:
    gate = Gate(8, adaptive=True)
    inside = most = 0
    limits = set()

    async def use() -> None:
        nonlocal inside, most
        for _ in range(200):
            async with gate.enter(timeout=1e6):
                inside += 1
                most = max(most, inside)
                limits.add(gate.limit)
                await asyncio.sleep(0.001 * inside)  # each holder slows all others down: one at a time is best
                inside -= 1

    await asyncio.gather(*(use() for _ in range(20)))
    assert most == 8
    assert min(limits) <= 2
    assert_empty(gate)


async def test_an_adaptive_gate_that_is_resized_begins_anew_and_leaves_reserves_their_permits() -> None:
    gate = Gate(4, adaptive=True)
    gate.lane("kept", reserved=2)
    gate.resize(6)
    assert gate.limit == 6
    line = Line(gate)
    await asyncio.gather(*(line.use(str(number), hold_s=0.01, timeout=1e6) for number in range(3000)))
    assert 3 <= gate.limit <= 6
    assert_empty(gate)


async def test_a_nested_acquire_is_warned_of_once_for_each_pair_of_places() -> None:
    gate = Gate(3, warn_nested=True)

    async def nested() -> None:
        async with gate:
            async with gate:
                pass

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            await nested()
    (warning,) = caught
    assert warning.category is NestedAcquire
    assert warning.filename == __file__
    assert warning.lineno == nested.__code__.co_firstlineno + 2
    assert f"test_overload.py:{nested.__code__.co_firstlineno + 1} in" in str(warning.message)
    assert_empty(gate)


async def test_a_child_of_a_holder_that_awaits_it_is_nested_and_one_that_is_not_awaited_is_not() -> None:
    gate = Gate(3, warn_nested=True)

    async def use() -> None:
        async with gate:
            pass

    async with gate:
        alone = asyncio.create_task(use())
        await asyncio.sleep(1)  # it is through by now
    await alone
    with pytest.raises(BaseExceptionGroup) as caught:
        async with gate:
            async with asyncio.TaskGroup() as group:
                group.create_task(use())
    assert [type(error) for error in caught.value.exceptions] == [NestedAcquire]  # warnings are errors here
    assert_empty(gate)


async def test_a_warning_that_is_an_error_takes_no_permit_and_comes_each_time() -> None:
    gate = Gate(3, warn_nested=True)
    async with gate:
        for _ in range(2):
            with pytest.raises(NestedAcquire):
                async with gate:
                    pass
        assert (gate.held, gate.waiting) == (1, 0)
    assert_empty(gate)


async def test_a_deadlock_at_a_gate_with_a_rate_is_one_all_the_same() -> None:
    gate = Gate(1, rate=Rate(1, per=1))
    with pytest.raises(PoolDeadlock):
        async with gate:
            async with gate:
                pass
    assert_empty(gate)
