"""Rates at a gate: exact over time, a bounded burst, nobody forgotten, one timer."""

from __future__ import annotations

import asyncio
import random

import pytest

from dbpool.core.pacing import Rate
from dbpool.errors import AcquireTimeout, PoolClosed
from dbpool.gate import Gate
from dbpool.waiter import Waiter
from tests.support.callers import Line, assert_empty
from tests.support.loops import now, outcomes, run, running_loop, settle

DEADLINES = 1  # timers: that of the deadlines is kept for the next caller


async def grants(gate: Gate, callers: int, *, hold_s: float = 0.0, timeout: float = 1e6) -> list[float]:
    """When so many callers, who all come now, are granted their permits."""
    line = Line(gate)
    tasks = [asyncio.create_task(line.use(str(number), hold_s=hold_s, timeout=timeout)) for number in range(callers)]
    await asyncio.gather(*tasks)
    assert line.through == [str(number) for number in range(callers)]
    assert_empty(gate)
    return line.granted_at


def assert_granted(line: Line, **times: float) -> None:
    """The callers of *line* were granted their permits in this order, at these times."""
    assert line.through == list(times)
    assert line.granted_at == pytest.approx(list(times.values()), abs=1e-6)


@pytest.mark.parametrize("hold_s", [0.0, 0.05, 0.3, 0.59])
async def test_a_rate_is_exact_over_time(hold_s: float) -> None:
    times = await grants(Gate(5, rate=Rate(500, per=60)), 1000, hold_s=hold_s)
    assert times == pytest.approx([number * 0.12 for number in range(1000)], abs=1e-6)


@pytest.mark.parametrize("hold_s", [0.0, 0.5, 0.999])
async def test_a_permit_that_comes_back_before_the_rate_allows_the_next_grant_is_granted_then(hold_s: float) -> None:
    times = await grants(Gate(1, rate=Rate(1)), 20, hold_s=hold_s)
    assert times == pytest.approx([float(number) for number in range(20)], abs=1e-6)


async def test_where_permits_are_scarcer_than_the_rate_the_permits_decide() -> None:
    times = await grants(Gate(2, rate=Rate(10)), 7, hold_s=3)
    assert times == pytest.approx([0, 0.1, 3, 3.1, 6, 6.1, 9], abs=1e-6)


async def test_a_burst_is_granted_at_once_and_the_rest_in_time() -> None:
    gate = Gate(100, rate=Rate(10, burst=4))
    assert await grants(gate, 8) == pytest.approx([0, 0, 0, 0, 0.1, 0.2, 0.3, 0.4], abs=1e-6)
    await asyncio.sleep(1000)  # however long nobody comes, no more than a burst is saved up
    times = await grants(gate, 6)
    assert [time - times[0] for time in times] == pytest.approx([0, 0, 0, 0, 0.1, 0.2], abs=1e-6)


async def test_a_caller_cancelled_in_line_costs_no_grant() -> None:
    line = Line(gate := Gate(3, rate=Rate(1)))
    tasks = await line.queue("a", "b", "c")
    tasks[1].cancel()
    await outcomes(*tasks)
    assert_granted(line, a=0, c=1)
    assert_empty(gate)


async def test_a_caller_that_times_out_in_line_costs_no_grant() -> None:
    line = Line(gate := Gate(3, rate=Rate(1, per=10)))
    tasks = [*await line.queue("a"), *await line.queue("b", timeout=5), *await line.queue("c")]
    _, error, _ = await outcomes(*tasks)
    assert isinstance(error, AcquireTimeout)
    assert_granted(line, a=0, c=10)
    assert_empty(gate)


async def test_the_grant_of_a_caller_cancelled_in_that_instant_counts_and_its_permit_comes_back() -> None:
    line = Line(gate := Gate(1, rate=Rate(1)))
    await line.use("a")
    gate.pause()
    second, third = await line.queue("b", "c")
    await asyncio.sleep(1.5)
    gate.resume()
    second.cancel()  # granted, but not yet awake
    assert (gate.held, gate.waiting) == (1, 1)
    await outcomes(second, third)
    assert second.cancelled()
    assert_granted(line, a=0, c=2)
    assert_empty(gate)


async def test_a_newcomer_does_not_overtake_those_who_wait_for_the_rate() -> None:
    line = Line(gate := Gate(3, rate=Rate(1)))
    tasks = await line.queue("a", "b")
    await asyncio.sleep(1)  # in the instant of the grant of b
    tasks += await line.queue("c")
    await outcomes(*tasks)
    assert_granted(line, a=0, b=1, c=2)
    assert_empty(gate)


async def test_without_a_line_whoever_comes_too_soon_is_refused_at_once() -> None:
    gate = Gate(3, rate=Rate(1), max_waiting=0)
    ends = await outcomes(*(asyncio.create_task(Line(gate).use(name)) for name in "abc"))
    assert [type(end).__name__ for end in ends] == ["str", "LineFull", "LineFull"]
    assert running_loop().timers_set == 0
    await asyncio.sleep(1)
    assert await Line(gate).use("d") == "d"
    assert_empty(gate)


# Lanes


async def test_the_rate_of_a_lane_holds_nobody_else_back() -> None:
    gate = Gate(2)
    slow, others = Line(gate.lane("slow", rate=Rate(1, per=10))), Line(gate)
    tasks = await slow.queue("a", "b", "c")
    ended = asyncio.gather(*(others.use(str(number)) for number in range(100)))
    await ended
    assert now() == 0
    await outcomes(*tasks)
    assert_granted(slow, a=0, b=10, c=20)
    assert_empty(gate)


async def test_a_permit_that_comes_back_goes_by_a_lane_that_must_wait_for_its_rate() -> None:
    gate = Gate(1)
    slow, others = Line(gate.lane("slow", rate=Rate(1, per=10))), Line(gate)
    await slow.use("a")
    async with gate:
        tasks = [*await slow.queue("b"), *await others.queue("other")]
    await outcomes(*tasks)
    assert_granted(slow, a=0, b=10)
    assert_granted(others, other=0)
    assert_empty(gate)


async def test_the_lane_that_is_due_first_is_granted_first_whoever_began_to_wait_first() -> None:
    gate = Gate(4)
    slow, quick = Line(gate.lane("slow", rate=Rate(1, per=9))), Line(gate.lane("quick", rate=Rate(1, per=2)))
    tasks = [*await slow.queue("a", "b"), *await quick.queue("c", "d", "e")]
    assert running_loop().timers_set == DEADLINES + 1
    await outcomes(*tasks)
    assert_granted(slow, a=0, b=9)
    assert_granted(quick, c=0, d=2, e=4)
    assert_empty(gate)


async def test_a_lane_at_its_most_is_granted_when_both_its_rate_and_its_limit_allow() -> None:
    gate = Gate(9)
    line = Line(gate.lane("api", at_most=1, rate=Rate(1)))
    await outcomes(*await line.queue("a", "b", hold_s=0.4), *await line.queue("c", "d", hold_s=2.5))
    assert_granted(line, a=0, b=1, c=2, d=4.5)
    assert_empty(gate)


@pytest.mark.parametrize("is_first", [True, False])
async def test_a_release_in_the_instant_in_which_a_lane_is_due_grants_both_permits(is_first: bool) -> None:
    gate, loop = Gate(2), asyncio.get_running_loop()
    kept, others, holder = Line(gate.lane("kept", reserved=1, rate=Rate(1))), Line(gate), Waiter(gate.line)
    assert gate.request(holder, 30, loop)
    if is_first:
        loop.call_at(1, gate.leave, holder)
    tasks = [*await kept.queue("a", "b", hold_s=9), *await others.queue("c")]
    tasks[0].cancel()
    if not is_first:
        loop.call_at(1, gate.leave, holder)
    await outcomes(*tasks)
    assert_granted(others, c=1)
    assert_granted(kept, a=0, b=1)
    assert_empty(gate)


# Pauses, sizes, the end


async def test_a_pause_ends_no_sooner_than_the_rate_allows() -> None:
    line = Line(gate := Gate(3, rate=Rate(1, per=10)))
    tasks = await line.queue("a", "b", "c")
    gate.pause()
    await asyncio.sleep(4)
    gate.resume()
    await settle()
    assert line.through == ["a"]
    await outcomes(*tasks)
    assert_granted(line, a=0, b=10, c=20)
    assert_empty(gate)


async def test_a_gate_that_grows_grants_no_faster_than_its_rate() -> None:
    line = Line(gate := Gate(1, rate=Rate(1, per=2)))
    tasks = await line.queue("a", "b", "c", hold_s=7)
    await asyncio.sleep(5)
    gate.resize(3)
    await outcomes(*tasks)
    assert_granted(line, a=0, b=5, c=7)
    assert_empty(gate)


async def test_there_is_one_timer_however_many_wait_and_however_often_it_is_set() -> None:
    line = Line(gate := Gate(50, rate=Rate(1)))
    tasks = await line.queue(*"abcdefgh")
    for _ in range(5):
        gate.pause()
        gate.resume()
        gate.resize(gate.capacity + 1)
    assert running_loop().timers_set == DEADLINES + 1
    await outcomes(*tasks)
    assert line.granted_at == pytest.approx([float(number) for number in range(8)])
    assert_empty(gate)


@pytest.mark.parametrize("capacity", [1, 9])
async def test_a_closed_gate_fails_those_who_wait_for_its_rate_and_sets_no_timer(capacity: int) -> None:
    line = Line(gate := Gate(capacity, rate=Rate(1, per=1000)))
    tasks = await line.queue("a", "b", "c", hold_s=2)
    gate.resize(capacity)
    gate.close_nowait()
    assert running_loop().timers_set == DEADLINES + 1  # which wakes the holder
    ends = await outcomes(*tasks[1:])
    assert [type(end) for end in ends] == [PoolClosed, PoolClosed]
    assert now() == 0
    await outcomes(*tasks)
    await gate.close()
    assert running_loop().timers_set == DEADLINES
    assert_empty(gate)


@pytest.mark.parametrize("how", ["cancelled", "timed out", "granted"])
async def test_a_line_that_is_empty_sets_no_timer(how: str) -> None:
    line = Line(gate := Gate(9, rate=Rate(1, per=100)))
    tasks = await line.queue("a", "b", "c", timeout=10 if how == "timed out" else 1e4)
    assert running_loop().timers_set == DEADLINES + 1
    if how == "cancelled":
        for task in tasks[1:]:
            task.cancel()
    await outcomes(*tasks)
    assert running_loop().timers_set == (0 if how == "timed out" else DEADLINES)  # where it fired, it is gone
    assert_empty(gate)


# Everything at once


async def schedule(seed: int) -> None:
    """Random lanes, rates, callers, cancellations, pauses and sizes; who does not give up gets a permit."""
    rng = random.Random(seed)
    rates = [rng.choice([None, Rate(5)])]
    gate = Gate(rng.randint(1, 4), rate=rates[0], timeout=1e5)
    lines = [Line(gate)]
    for name in "abc"[: rng.randint(0, 3)]:
        rate = rng.choice([None, Rate(2), Rate(20, burst=3), Rate(1, per=3)])
        at_most, reserved = rng.choice([None, 1, 2]), rng.randint(0, 1) if gate.capacity == 4 else 0
        lines.append(Line(gate.lane(name, at_most=at_most, reserved=reserved, rate=rate)))
        rates.append(rate)
    tasks, given_up = [], []
    for number in range(rng.randint(5, 40)):
        patience = rng.choice([None, None, 0.5])
        line = rng.choice(lines)
        tasks.append(asyncio.create_task(line.use(str(number), hold_s=rng.choice([0, 0.01, 0.3, 2]), timeout=patience)))
        if rng.random() < 0.3:
            await asyncio.sleep(rng.choice([0, 0.01, 0.2, 1]))
        if rng.random() < 0.1:
            given_up.append(rng.choice(tasks))
            given_up[-1].cancel()
        if rng.random() < 0.1:
            gate.pause()
        elif rng.random() < 0.3:
            gate.resume()
        if rng.random() < 0.1:
            gate.resize(rng.randint(4, 6))
    gate.resume()
    for task, end in zip(tasks, await outcomes(*tasks), strict=True):
        is_cancelled = isinstance(end, asyncio.CancelledError) and task in given_up
        assert isinstance(end, str) or is_cancelled or (isinstance(end, AcquireTimeout) and end.waited_s < 1), end
    for line, rate in zip(lines, rates, strict=True):
        if rate:
            assert_within(rate, line.granted_at)
    assert_empty(gate)
    assert running_loop().timers_set <= DEADLINES


def assert_within(rate: Rate, times: list[float]) -> None:
    """As ``Pace`` promises: permits that come late are made up for by up to an interval."""
    for first, begin in enumerate(times):
        for count, end in enumerate(times[first:], 1):
            assert count <= rate.burst + 1 + (end - begin) / rate.interval_s + 1e-6, (rate, times)


def test_whoever_does_not_give_up_gets_a_permit_and_no_rate_is_exceeded() -> None:
    for seed in range(120):
        try:
            run(schedule(seed))
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
