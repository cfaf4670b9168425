"""The loops that the other tests stand on."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.support.loops import (
    Deadlock,
    JumpingLoop,
    SteppingLoop,
    cancel_at_suspension,
    count_suspensions,
    now,
    run,
    settle,
)


async def test_waiting_takes_no_time() -> None:
    began = time.monotonic()
    await asyncio.sleep(100_000)
    assert now() == pytest.approx(100_000)
    assert time.monotonic() - began < 5


async def test_settle_lets_everything_run_that_can_and_no_time_pass() -> None:
    ran = []

    async def several_turns() -> None:
        for turn in range(5):
            await asyncio.sleep(0)
            ran.append(turn)
        await asyncio.sleep(1)
        ran.append(-1)

    task = asyncio.create_task(several_turns())
    await settle()
    assert ran == [0, 1, 2, 3, 4]
    assert now() == 0.0
    await task


def test_a_deadlock_fails_at_once_and_says_who_waits() -> None:
    async def wait_for_nothing() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock, match="wait_for_nothing"):
        run(wait_for_nothing())


def test_an_error_in_a_callback_fails_the_test() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 / 0)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="in the event loop") as failure:
        run(main())
    assert isinstance(failure.value.__cause__, ZeroDivisionError)


async def order_of_ten() -> list[int]:
    order: list[int] = []

    async def note(number: int) -> None:
        await asyncio.sleep(1)
        order.append(number)

    await asyncio.gather(*(note(number) for number in range(10)))
    return order


def test_a_seed_shuffles_what_is_ready_in_the_same_way_each_time() -> None:
    orders = [tuple(run(order_of_ten(), lambda seed=seed: SteppingLoop(seed))) for seed in (1, 2, 3, 1, 2, 3)]  # type: ignore[misc]
    assert len(set(orders)) == 3
    assert orders[:3] == orders[3:]


def test_a_stepping_loop_without_a_seed_keeps_asyncios_order() -> None:
    assert run(order_of_ten(), SteppingLoop) == run(order_of_ten(), JumpingLoop)


def test_a_stepping_loop_fails_in_the_step_that_breaks_what_must_be_true() -> None:
    seen: list[int] = []

    def check() -> None:
        assert 3 not in seen

    async def main() -> None:
        for number in range(10):
            await asyncio.sleep(0)
            seen.append(number)

    with pytest.raises(AssertionError):
        run(main(), lambda: SteppingLoop(1, check))
    assert seen == [0, 1, 2, 3]


async def test_work_is_cancelled_at_the_suspension_asked_for() -> None:
    reached = []

    async def work() -> None:
        for number in range(4):
            await asyncio.sleep(0)
            reached.append(number)

    assert await count_suspensions(work()) == 4
    reached.clear()
    task = await cancel_at_suspension(work(), 3)
    assert task.cancelled()
    assert reached == [0, 1]
    assert not (await cancel_at_suspension(work(), 5)).cancelled()
