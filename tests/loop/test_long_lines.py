"""A line of any length costs each who leaves it the same."""

from __future__ import annotations

import asyncio
import random

import pytest

from dbpool.gate import Gate
from dbpool.waiter import Waiter
from tests.support.loops import JumpingLoop, outcomes, settle


@pytest.mark.parametrize("order", ["oldest first", "newest first", "random"])
async def test_a_hundred_thousand_waiters_that_leave_in_any_order_leave_nothing_behind(order: str) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    gate = Gate(1)
    line = [Waiter(gate.line) for _ in range(100_000)]
    timers = loop.timers_started
    async with gate:
        for waiter in line:
            assert not gate.request(waiter, 30.0, loop)
        assert gate.waiting == 100_000
        leaving = {"oldest first": line, "newest first": line[::-1], "random": random.Random(1).sample(line, len(line))}
        for waiter in leaving[order]:
            gate.leave(waiter)
        assert (gate.held, gate.waiting) == (1, 0)
    assert not any(waiter.bucket for waiter in line)
    assert loop.timers_started - timers <= 2
    assert (gate.held, gate.waiting) == (0, 0)


@pytest.mark.parametrize("step", [1, -1])
async def test_thousands_of_tasks_cancelled_in_line_leave_the_others_order_alone(step: int) -> None:
    gate = Gate(1)
    through: list[int] = []

    async def use(number: int) -> None:
        async with gate:
            through.append(number)

    async with gate:
        tasks = [asyncio.create_task(use(number)) for number in range(4_000)]
        await settle()
        for task in tasks[::2][::step]:
            task.cancel()
        await settle()
        assert gate.waiting == 2_000
    await outcomes(*tasks)
    assert through == list(range(1, 4_000, 2))
    assert (gate.held, gate.waiting) == (0, 0)
