"""What suspended tasks are seen to wait for, on asyncio's loop and on uvloop."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeAlias

import pytest

from dbpool.awaits import awaited_by
from tests.support.waits import Run, end_all, never, on_each_loop, turns

Task: TypeAlias = asyncio.Task[Any]
Work: TypeAlias = Callable[[Task, Task], Coroutine[Any, Any, object]]


def names(tasks: tuple[Task, ...]) -> list[str]:
    return sorted(task.get_name() for task in tasks)


async def seen(work: Work) -> list[str]:
    """The names of what *work*, which has a task 'a' and a task 'b' to wait for, is seen to wait for."""
    a, b = asyncio.create_task(never(), name="a"), asyncio.create_task(never(), name="b")
    task = asyncio.create_task(work(a, b), name="work")
    await turns()
    found = names(awaited_by(task))
    await end_all()
    return found


# Ways to wait for 'a'.


async def a_task(a: Task, _: Task) -> None:
    await a


async def a_coroutine_that_awaits_it(a: Task, _: Task) -> None:
    await waiting_for_all(a, a)


async def items(a: Task) -> AsyncIterator[int]:
    try:
        yield 1
        await asyncio.wait([a])
        yield 2
    finally:
        await asyncio.wait([a])


async def a_generator(a: Task, _: Task) -> None:
    async for _item in items(a):
        pass


async def a_generator_inside_anext(a: Task, _: Task) -> None:
    generator = items(a)
    await anext(generator)
    await anext(generator, None)


async def a_generator_being_closed(a: Task, _: Task) -> None:
    generator = items(a)
    await anext(generator)
    await generator.aclose()  # type: ignore[attr-defined]


async def a_context_manager(a: Task, _: Task) -> None:
    @asynccontextmanager
    async def entered() -> AsyncIterator[None]:
        await asyncio.wait([a])
        yield

    async with AsyncExitStack() as stack:
        await stack.enter_async_context(entered())


class Awaiting:
    def __init__(self, a: Task) -> None:
        self.a = a

    def __await__(self) -> Generator[Any, None, None]:
        return self.wait().__await__()

    async def wait(self) -> None:
        await asyncio.wait([self.a])


class YieldingFrom(Awaiting):
    def __await__(self) -> Generator[Any, None, None]:
        yield from self.wait().__await__()


async def an_object(a: Task, _: Task) -> None:
    await Awaiting(a)


async def an_object_that_yields_from(a: Task, _: Task) -> None:
    await YieldingFrom(a)


async def a_shield(a: Task, _: Task) -> None:
    await asyncio.shield(a)


async def wait_for(a: Task, _: Task) -> None:
    await asyncio.wait_for(a, 1000)


async def wait_for_without_a_limit(a: Task, _: Task) -> None:
    await asyncio.wait_for(asyncio.shield(a), None)


async def a_gathering_with_one_done(a: Task, _: Task) -> None:
    await asyncio.gather(a, asyncio.sleep(0))


async def a_gathering_that_keeps_failures(a: Task, _: Task) -> None:
    await asyncio.gather(a, fail(), return_exceptions=True)


async def waiting_for_all_with_one_failed(a: Task, _: Task) -> None:
    failing = asyncio.create_task(fail())
    try:
        await asyncio.wait([a, failing])
    finally:
        failing.exception()  # else asyncio says that nobody looked


async def fail() -> None:
    raise ValueError


WAYS_TO_A: list[Work] = [
    a_task,
    a_coroutine_that_awaits_it,
    a_generator,
    a_generator_inside_anext,
    a_generator_being_closed,
    a_context_manager,
    an_object,
    an_object_that_yields_from,
    a_shield,
    wait_for,
    wait_for_without_a_limit,
    a_gathering_with_one_done,
    a_gathering_that_keeps_failures,
    waiting_for_all_with_one_failed,
]

# Ways to wait for both.


async def a_group(*_: Task) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(never(), name="a")
        group.create_task(never(), name="b")
        group.create_task(asyncio.sleep(0))


async def a_group_in_an_exit_stack(*_: Task) -> None:
    async with asyncio.timeout(1000), AsyncExitStack() as stack:
        group = await stack.enter_async_context(asyncio.TaskGroup())
        group.create_task(never(), name="a")
        group.create_task(never(), name="b")


async def a_gathering(*both: Task) -> None:
    async with asyncio.timeout(1000):
        await asyncio.gather(*both)


async def a_gathering_of_gatherings(a: Task, b: Task) -> None:
    await asyncio.gather(asyncio.gather(a), asyncio.shield(b))


async def waiting_for_all(*both: Task) -> None:
    await asyncio.wait(both)


async def waiting_for_the_first(*both: Task) -> None:
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)


async def waiting_for_a_failure(*both: Task) -> None:
    await asyncio.wait([*both, asyncio.create_task(asyncio.sleep(0))], return_when=asyncio.FIRST_EXCEPTION)


async def as_completed(*both: Task) -> None:
    for next_one in asyncio.as_completed(both):
        await next_one


async def as_completed_after_one(*both: Task) -> None:
    for next_one in asyncio.as_completed([*both, asyncio.create_task(asyncio.sleep(0))]):
        await next_one


WAYS_TO_BOTH: list[Work] = [
    a_group,
    a_group_in_an_exit_stack,
    a_gathering,
    a_gathering_of_gatherings,
    waiting_for_all,
    waiting_for_the_first,
    waiting_for_a_failure,
    as_completed,
    as_completed_after_one,
]

# What can go on by itself.


async def some_time(*_: Task) -> None:
    await asyncio.sleep(1000)


async def an_event(*_: Task) -> None:
    await asyncio.Event().wait()


async def a_queue(*_: Task) -> None:
    await asyncio.Queue[int]().get()


async def a_lock(*_: Task) -> None:
    lock = asyncio.Lock()
    await lock.acquire()
    await lock.acquire()


async def a_condition(*_: Task) -> None:
    condition = asyncio.Condition()
    async with condition:
        await condition.wait()


async def a_future(*_: Task) -> None:
    await asyncio.get_running_loop().create_future()


async def a_shielded_future(*_: Task) -> None:
    await asyncio.shield(asyncio.get_running_loop().create_future())


async def a_future_that_a_task_sets(a: Task, _: Task) -> None:
    future = asyncio.get_running_loop().create_future()
    a.add_done_callback(lambda _: future.cancel())
    await future


async def a_future_among_tasks(*both: Task) -> None:
    await asyncio.gather(*both, asyncio.get_running_loop().create_future())


async def any_of_a_future_and_tasks(*both: Task) -> None:
    await asyncio.wait([*both, asyncio.get_running_loop().create_future()], return_when=asyncio.FIRST_COMPLETED)


async def waiting_with_a_limit(*both: Task) -> None:
    await asyncio.wait(both, timeout=1000)


async def wait_for_a_future(*_: Task) -> None:
    await asyncio.wait_for(asyncio.get_running_loop().create_future(), 1000)


async def the_body_of_a_group(*_: Task) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(never(), name="a")
        await asyncio.sleep(1000)


async def a_queue_between_the_completed(*both: Task) -> None:
    for next_one in asyncio.as_completed(both):
        await asyncio.Queue[int]().get()
        await next_one


async def nothing(*_: Task) -> None:
    pass


GOING_ON: list[Work] = [
    some_time,
    an_event,
    a_queue,
    a_lock,
    a_condition,
    a_future,
    a_shielded_future,
    a_future_that_a_task_sets,
    a_future_among_tasks,
    any_of_a_future_and_tasks,
    waiting_with_a_limit,
    wait_for_a_future,
    the_body_of_a_group,
    nothing,
]


@on_each_loop
@pytest.mark.parametrize(
    ("work", "expected"),
    [
        *((work, ["a"]) for work in WAYS_TO_A),
        *((work, ["a", "b"]) for work in WAYS_TO_BOTH),
        *((work, []) for work in GOING_ON),
    ],
)
def test_a_task_is_seen_to_wait_for(run: Run, work: Work, expected: list[str]) -> None:
    async def main() -> None:
        assert await seen(work) == expected

    run(main)


@on_each_loop
@pytest.mark.skipif(sys.version_info < (3, 12), reason="Python 3.12 has eager tasks")
def test_eager_tasks_are_seen_through(run: Run) -> None:
    def eager(loop: asyncio.AbstractEventLoop, work: Any, eager_start: object = None, **options: Any) -> Any:  # noqa: ANN401
        """Take what uvloop says, which asyncio's own factory takes from Python 3.13.3 on."""
        return getattr(asyncio, "eager_task_factory")(loop, work, **options)  # noqa: B009

    async def main() -> None:
        asyncio.get_running_loop().set_task_factory(eager)
        for work in WAYS_TO_A:
            assert await seen(work) == ["a"]
        for work in WAYS_TO_BOTH:
            assert await seen(work) == ["a", "b"]

    run(main)
