"""A deadlock is told only where nobody else has the means to end it, and nothing ends it by itself."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise

import pytest

from dbpool import knots
from dbpool.errors import AcquireTimeout, PoolDeadlock, UsageError
from dbpool.gate import Gate
from tests.support.callers import assert_empty
from tests.support.loops import now, running_loop


async def served_beside(gate: Gate) -> None:
    async with gate:
        pass


async def test_an_exit_stack_that_another_task_closes_is_no_deadlock() -> None:
    gate, stack = Gate(1), AsyncExitStack()

    async def holder() -> None:
        await stack.enter_async_context(gate)
        await served_beside(gate)

    async def closer() -> None:
        await asyncio.sleep(1)
        await stack.aclose()

    await asyncio.gather(holder(), closer())
    assert round(now()) == 1
    assert_empty(gate)


async def test_what_is_entered_by_hand_anybody_can_leave_by_hand_so_that_is_no_deadlock() -> None:
    gate = Gate(1)
    leaving: list[asyncio.Task[None]] = []
    await gate.__aenter__()
    running_loop().call_later(1, lambda: leaving.append(asyncio.ensure_future(gate.__aexit__(None, None, None))))
    await served_beside(gate)
    await leaving[0]
    assert_empty(gate)


async def test_what_a_block_began_nobody_else_ends() -> None:
    gate = Gate(1)
    async with gate:
        with pytest.raises(UsageError, match="by hand"):
            await gate.__aexit__(None, None, None)
        assert gate.held == 1
    assert_empty(gate)


async def test_a_way_out_that_is_asked_for_and_not_used_does_not_end_the_next_stay() -> None:
    gate = Gate(1)
    assert hasattr(gate, "__aexit__")
    await gate.__aenter__()
    await gate.__aexit__(None, None, None)
    assert_empty(gate)


async def test_a_block_within_a_generator_that_only_those_in_the_deadlock_have_is_one() -> None:
    gate = Gate(1)

    @asynccontextmanager
    async def guarded() -> AsyncIterator[None]:
        async with gate:
            yield

    with pytest.raises(PoolDeadlock):
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(guarded())
            await served_beside(gate)
    assert_empty(gate)


async def test_a_permit_that_lies_in_garbage_is_no_deadlock() -> None:
    gate = Gate(1)

    class Session:
        def __init__(self) -> None:
            self.stay, self.cycle = gate.enter(), self

        def __del__(self) -> None:
            leaving.append(loop.create_task(self.stay.__aexit__()))

    loop, leaving = running_loop(), list[asyncio.Task[None]]()
    gc.disable()
    try:
        session = Session()
        await session.stay.__aenter__()
        del session
        loop.call_later(1, gc.collect)
        await served_beside(gate)
    finally:
        gc.enable()
    assert round(now()) == 1
    await leaving[0]
    assert_empty(gate)


async def test_one_that_could_be_ended_and_no_longer_can_is_told_soon_after() -> None:
    gate = Gate(1, timeout=30)

    async def could_leave(stay: object) -> None:
        await asyncio.sleep(3)
        del stay

    stay = gate.enter()
    await stay.__aenter__()
    other = asyncio.create_task(could_leave(stay))
    with pytest.raises(PoolDeadlock):
        await served_beside(gate)
    assert 3 < now() < 7
    await stay.__aexit__()
    await other
    assert_empty(gate)


async def test_a_proof_that_fails_is_tried_again_ever_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(1, timeout=30)
    tried_at: list[float] = []
    monkeypatch.setattr(knots, "only_held_by", lambda *_: tried_at.append(now()))  # which says no
    async with gate:
        with pytest.raises(AcquireTimeout):
            await served_beside(gate)
    pauses = [after - before for before, after in pairwise(tried_at)]
    assert 5 <= len(pauses) <= 10
    assert all(after > 1.4 * before for before, after in pairwise(pauses))
    assert_empty(gate)
