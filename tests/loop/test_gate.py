"""The gate: single instants, each with nothing awaited in between, and lines of any length."""

from __future__ import annotations

import asyncio

import pytest

from dbpool.errors import AcquireTimeout, LineFull, PoolClosed, UsageError
from dbpool.gate import Gate
from tests.support.callers import Line, assert_empty
from tests.support.loops import now, outcomes, run, settle


async def test_a_caller_cancelled_in_line_just_before_the_release_passes_the_permit_on() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        first, second = await line.queue("first", "second")
        first.cancel()
    await outcomes(first, second)
    assert first.cancelled()
    assert line.through == ["second"]
    assert_empty(gate)


async def test_a_caller_cancelled_in_the_instant_of_its_grant_passes_the_permit_on() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        first, second = await line.queue("first", "second")
    first.cancel()  # granted, but not yet awake
    assert gate.held == 1
    await outcomes(first, second)
    assert first.cancelled()
    assert line.through == ["second"]
    assert_empty(gate)


async def test_every_caller_cancelled_in_the_instant_of_its_grant_leaves_the_gate_empty() -> None:
    line = Line(gate := Gate(2))
    async with gate, gate:
        tasks = await line.queue("a", "b", "c", "d")
    for task in tasks:
        task.cancel()
    await outcomes(*tasks)
    assert line.through == []
    assert_empty(gate)


@pytest.mark.parametrize("times", [2, 3])
async def test_a_caller_cancelled_several_times_leaves_once(times: int) -> None:
    line = Line(gate := Gate(1))
    async with gate:
        first, second = await line.queue("first", "second")
        for _ in range(times):
            first.cancel()
    for _ in range(times):
        first.cancel()
    await outcomes(first, second)
    assert line.through == ["second"]
    assert_empty(gate)


async def test_a_caller_cancelled_before_it_first_runs_never_stands_in_line() -> None:
    line = Line(gate := Gate(1))
    task = asyncio.create_task(line.use("never"))
    task.cancel()
    await outcomes(task)
    assert line.through == []
    assert_empty(gate)


async def test_a_release_in_the_instant_of_a_timeout_grants_the_next_who_still_waits() -> None:
    line = Line(gate := Gate(1, timeout=60))
    holder = asyncio.create_task(line.use("holder", hold_s=5))
    await settle()
    (hasty,) = await line.queue("hasty", timeout=5)
    (patient,) = await line.queue("patient")
    results = await outcomes(holder, hasty, patient)
    assert results[0] == "holder"
    assert results[1] == "hasty" or isinstance(results[1], AcquireTimeout)
    assert results[2] == "patient"
    assert_empty(gate)


async def test_a_permit_granted_just_before_its_timeout_is_used() -> None:
    line = Line(gate := Gate(1))
    loop = asyncio.get_running_loop()
    async with gate:
        (task,) = await line.queue("in time", timeout=5)
        await asyncio.sleep(5 - now() - 1e-4)
    loop.call_soon(loop.time)
    assert await task == "in time"
    await asyncio.sleep(1)  # its deadline passes with nobody left to refuse
    assert_empty(gate)


async def test_a_caller_cancelled_in_the_instant_of_its_timeout_is_cancelled() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        (task,) = await line.queue("late", timeout=5)
        while gate.waiting:
            await asyncio.sleep(0.01)
        task.cancel()  # refused, but not yet awake
        await outcomes(task)
        assert task.cancelled()
        assert gate.held == 1
    assert_empty(gate)


async def test_a_timeout_says_the_numbers_and_takes_its_time() -> None:
    line = Line(gate := Gate(2, name="lamp", advice=lambda: "Use a candle."))
    holders = [asyncio.create_task(line.use("holder", hold_s=60)) for _ in range(2)]
    await settle()
    await line.queue("other", timeout=100)
    began = now()
    with pytest.raises(AcquireTimeout, match=r"lamp after 30\.0\d s: 2 of 2 .* 1 other.* Use a candle") as refusal:
        await line.use("late", timeout=30)
    assert 30 <= now() - began <= 30.01
    error = refusal.value
    assert (error.capacity, error.held, error.waiting) == (2, 2, 1)
    assert 30 <= error.waited_s <= 30.01
    assert gate.line.timeouts_total == 1
    await asyncio.gather(*holders)
    await settle()
    assert_empty(gate)


async def test_close_fails_everyone_in_line_at_once_and_in_order() -> None:
    gate = Gate(1)
    failed = []

    async def wait(number: int) -> None:
        with pytest.raises(PoolClosed):
            async with gate:
                pass
        failed.append((number, now()))

    async with gate:
        tasks = [asyncio.create_task(wait(number)) for number in range(50)]
        await settle()
        gate.close_nowait()
        assert gate.waiting == 0
        began = now()
        await outcomes(*tasks)
        assert failed == [(number, began) for number in range(50)]
        assert gate.held == 1
    assert_empty(gate)


async def test_close_waits_for_the_holders_to_leave() -> None:
    line = Line(gate := Gate(2))
    holders = [asyncio.create_task(line.use(name, hold_s=hold_s)) for name, hold_s in (("a", 1), ("b", 3))]
    await settle()
    closes = [asyncio.create_task(gate.close()) for _ in range(3)]
    await outcomes(*closes)
    assert now() == pytest.approx(3)
    assert all(holder.done() for holder in holders)
    assert_empty(gate)


async def test_close_of_an_unused_gate_ends_at_once() -> None:
    gate = Gate(1)
    await gate.close()
    assert gate.is_closed


async def test_close_then_the_holder_leaves_with_nothing_awaited_between() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        (waiter,) = await line.queue("waiter")
        closing = asyncio.create_task(gate.close())
        await asyncio.sleep(0)
    (error,) = await outcomes(waiter)
    assert isinstance(error, PoolClosed)
    await closing
    assert_empty(gate)


async def test_a_granted_caller_that_has_not_woken_is_a_holder_when_the_gate_closes() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        (task,) = await line.queue("granted")
    gate.close_nowait()
    assert await task == "granted"
    assert_empty(gate)


async def test_a_cancelled_close_leaves_the_gate_closed() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        closing = asyncio.create_task(gate.close())
        await settle()
        closing.cancel()
        await outcomes(closing)
        with pytest.raises(PoolClosed):
            await line.use("late")
    await gate.close()
    assert_empty(gate)


async def test_a_newcomer_never_overtakes_one_who_is_granted_but_not_awake() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        (first,) = await line.queue("first")
    await line.use("newcomer")  # asks in the very instant of the grant
    await first
    assert line.through == ["first", "newcomer"]


async def test_callers_go_through_in_the_order_in_which_they_came() -> None:
    line = Line(Gate(3))
    names = [str(number) for number in range(200)]
    tasks = [asyncio.create_task(line.use(name, hold_s=0.01 + int(name) % 7 / 100)) for name in names]
    await outcomes(*tasks)
    assert line.through == names


async def test_without_a_line_a_newcomer_is_refused_at_once() -> None:
    gate = Gate(1, max_waiting=0)
    async with gate:
        with pytest.raises(LineFull) as refusal:
            async with gate:
                pass
        assert (refusal.value.capacity, refusal.value.held, refusal.value.waiting) == (1, 1, 0)
        assert gate.line.refused_total == 1
    async with gate:  # and is let in when there is room
        pass
    assert_empty(gate)


async def test_a_caller_that_is_refused_keeps_nobody_else_out() -> None:
    line = Line(gate := Gate(1, max_waiting=1))
    async with gate:
        (waiting,) = await line.queue("waiting")
        (error,) = await outcomes(asyncio.create_task(line.use("refused")))
        assert isinstance(error, LineFull)
    assert await waiting == "waiting"
    assert_empty(gate)


async def test_one_gate_is_entered_by_many_tasks() -> None:
    gate = Gate(4)
    most = 0

    async def use(number: int) -> None:
        nonlocal most
        async with gate:
            most = max(most, gate.held)
            await asyncio.sleep(0.01 * (number % 5))

    await asyncio.gather(*(use(number) for number in range(100)))
    assert most == 4
    assert_empty(gate)
    assert gate.line.granted_total == 100


async def test_a_coroutine_closed_in_line_leaves_it() -> None:
    gate = Gate(1)
    async with gate:
        work = gate.__aenter__()
        work.send(None)
        assert gate.waiting == 1
        work.close()  # GeneratorExit where it waits
        assert gate.waiting == 0
    assert_empty(gate)


async def test_a_coroutine_closed_in_the_instant_of_its_grant_passes_the_permit_on() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        work = gate.__aenter__()
        work.send(None)
        (second,) = await line.queue("second")
    work.close()
    assert await second == "second"
    assert_empty(gate)


async def test_a_caller_whose_coroutine_is_closed_in_line_leaves_the_line() -> None:
    line = Line(gate := Gate(1))
    async with gate:
        work = line.use("closed")
        work.send(None)
        assert gate.waiting == 1
        work.close()
        assert gate.waiting == 0
    assert_empty(gate)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError])
async def test_whatever_ends_the_block_the_permit_is_back(error: type[BaseException]) -> None:
    gate = Gate(1)
    with pytest.raises(error):
        async with gate.enter():
            raise error
    assert_empty(gate)
    with pytest.raises(error):
        async with gate:
            raise error
    assert_empty(gate)


async def test_a_cancellation_in_the_block_is_not_swallowed() -> None:
    line = Line(gate := Gate(1))
    task = asyncio.create_task(line.use("holder", hold_s=10))
    await settle()
    task.cancel()
    await outcomes(task)
    assert task.cancelled()
    assert_empty(gate)


def test_a_gate_serves_one_event_loop_after_the_other() -> None:
    gate = Gate(1)
    for _ in range(3):
        line = Line(gate)

        async def main(line: Line = line) -> list[str]:
            return [await task for task in [asyncio.create_task(line.use(name)) for name in "abc"]]

        assert run(main()) == ["a", "b", "c"]
    assert_empty(gate)


def test_a_gate_in_use_in_another_event_loop_says_so() -> None:
    gate = Gate(2)

    async def leave_behind() -> None:
        await gate.__aenter__()

    async def use() -> None:
        async with gate:
            pass

    run(leave_behind())
    with pytest.raises(UsageError, match="another event loop"):
        run(use())


async def test_an_advice_that_raises_does_not_hold_back_the_timeouts_of_others() -> None:
    calls = 0

    def advice() -> str:
        nonlocal calls
        calls += 1
        return "Wait." if calls > 1 else "".join([1])  # type: ignore[list-item]

    line = Line(gate := Gate(1, advice=advice, timeout=5))
    holder, first, second = await line.queue("holder", "first", "second", hold_s=10)
    first_error, second_error = await outcomes(first, second)
    assert now() < 6
    await holder
    assert isinstance(second_error, AcquireTimeout)
    assert isinstance(first_error, Exception)
    assert_empty(gate)
