"""From which instant on a task is seen to go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeAlias

import pytest

from dbpool.awaits import awaited_by
from tests.support.waits import Run, end_all, never, on_each_loop, turns

Task: TypeAlias = asyncio.Task[Any]


async def waits_for(task: Task) -> None:
    await task


# What ends because a child fails, from the instant at which the child has.

Child: TypeAlias = Coroutine[Any, Any, None]


async def a_failing_task(child: Child) -> None:
    await asyncio.create_task(child)


async def a_shielded_failure(child: Child) -> None:
    await asyncio.shield(child)


async def a_failure_waited_for(child: Child) -> None:
    await asyncio.wait_for(asyncio.create_task(child), 1000)


async def a_failing_group(child: Child) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(never())
        group.create_task(child)


async def a_failing_gathering(child: Child) -> None:
    await asyncio.gather(never(), child)


async def a_failing_gathering_in_a_gathering(child: Child) -> None:
    await asyncio.gather(never(), asyncio.gather(child))


async def the_first_done(child: Child) -> None:
    await asyncio.wait([asyncio.ensure_future(child), asyncio.create_task(never())], return_when="FIRST_COMPLETED")


async def the_first_to_fail(child: Child) -> None:
    await asyncio.wait([asyncio.ensure_future(child), asyncio.create_task(never())], return_when="FIRST_EXCEPTION")


async def the_first_completed(child: Child) -> None:
    for next_one in asyncio.as_completed([child, never()]):
        await next_one


@on_each_loop
@pytest.mark.parametrize(
    "work",
    [
        a_failing_task,
        a_shielded_failure,
        a_failure_waited_for,
        a_failing_group,
        a_failing_gathering,
        a_failing_gathering_in_a_gathering,
        the_first_done,
        the_first_to_fail,
        the_first_completed,
    ],
)
def test_a_task_is_seen_to_go_on_from_the_instant_its_wait_is_over(
    run: Run, work: Callable[[Child], Coroutine[Any, Any, None]]
) -> None:
    found: list[tuple[Task, ...]] = []

    async def main() -> None:
        async def child() -> None:
            await fails.wait()
            me = asyncio.current_task()
            assert me is not None
            me.add_done_callback(lambda done: done.exception())  # else it is logged that nobody looked
            # It runs when this task has ended, and before whatever the end of this task calls.
            asyncio.get_running_loop().call_soon(lambda: found.append(awaited_by(task)))
            raise ValueError

        fails = asyncio.Event()
        task = asyncio.create_task(work(child()))
        await turns()
        found.append(awaited_by(task))
        fails.set()
        await turns()
        await end_all()
        await asyncio.gather(task, return_exceptions=True)  # else it is logged that nobody looked at its end

    run(main)
    before, after = found
    assert before
    assert not after


@on_each_loop
def test_a_task_that_runs_or_is_about_to_or_is_over_waits_for_nobody(run: Run) -> None:
    async def main() -> None:
        me = asyncio.current_task()
        assert me is not None
        assert awaited_by(me) == ()
        a = asyncio.create_task(never())
        task = asyncio.create_task(waits_for(a))
        assert awaited_by(task) == ()  # not begun
        await turns()
        assert awaited_by(task) == (a,)
        task.cancel()
        assert awaited_by(a) == ()  # cancelled with it
        await turns()
        assert awaited_by(task) == ()

    run(main)


@on_each_loop
def test_a_task_within_a_task_is_seen_through(run: Run) -> None:
    async def main() -> None:
        a = asyncio.create_task(never())
        task = asyncio.create_task(asyncio.wait_for(waits_for(a), 1000))  # before Python 3.12, a task of its own
        await turns()
        found = awaited_by(task)
        while found and found != (a,):
            (inner,) = found
            found = awaited_by(inner)
        assert found == (a,)
        await end_all()

    run(main)
