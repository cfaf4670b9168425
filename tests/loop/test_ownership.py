"""Who can get at an object that a suspended task has in a variable."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from dbpool.ownership import InnerRef, only_held_by
from tests.support.loops import settle


class Thing:
    """Something to hold, for the length of a block."""

    tests_begun = 0

    def __init__(self) -> None:
        self.test = Thing.tests_begun

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *_: object) -> None:
        pass


class Repository:
    def __init__(self, thing: Thing) -> None:
        self.thing = thing


forever = asyncio.Event  # a new one, which nobody sets
everybody: list[object] = []
current: contextvars.ContextVar[Thing] = contextvars.ContextVar("current")


async def a_weak_reference_of_our_own() -> None:
    thing = Thing()
    everybody.append(InnerRef(thing))
    await forever().wait()
    del thing


async def a_variable() -> None:
    thing = Thing()
    await forever().wait()
    del thing


async def two_variables() -> None:
    thing = Thing()
    same = thing
    await forever().wait()
    del thing, same


async def a_callers_variable() -> None:
    thing = Thing()
    await waits_with(thing)


async def waits_with(thing: Thing) -> None:
    await forever().wait()
    del thing


async def a_block() -> None:
    async with Thing():
        await forever().wait()


async def an_exit_stack() -> None:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(Thing())
        await forever().wait()


async def an_object_with_a_list() -> None:
    repositories = [Repository(Thing())]
    await forever().wait()
    del repositories


@asynccontextmanager
async def lent() -> AsyncIterator[None]:
    async with Thing():
        yield


async def a_generator_that_is_a_context_manager() -> None:
    async with lent():
        await forever().wait()


async def a_generator_that_waits() -> None:
    async def items() -> AsyncIterator[int]:
        thing = Thing()
        await forever().wait()
        yield 1
        del thing

    async for _ in items():
        pass


async def a_function_of_its_own() -> None:
    thing = Thing()

    def release() -> None:
        nonlocal thing
        del thing

    await forever().wait()
    release()


HELD: list[Callable[[], Coroutine[Any, Any, None]]] = [
    a_weak_reference_of_our_own,
    a_variable,
    two_variables,
    a_callers_variable,
    a_block,
    an_exit_stack,
    an_object_with_a_list,
    a_generator_that_is_a_context_manager,
    a_generator_that_waits,
    a_function_of_its_own,
]


async def a_global() -> None:
    everybody.append(Thing())
    await forever().wait()


async def a_class() -> None:
    class Registry:
        thing = Thing()

    await forever().wait()
    del Registry


async def a_context_variable() -> None:
    current.set(Thing())
    await forever().wait()


async def a_timer() -> None:
    asyncio.get_running_loop().call_later(1e6, id, Thing())
    await forever().wait()


async def a_callback_of_the_future_awaited() -> None:
    thing = Thing()
    future = asyncio.get_running_loop().create_future()
    future.add_done_callback(lambda _: id(thing))
    everybody.append(future)
    await future


async def a_task_of_its_own() -> None:
    task = asyncio.create_task(waits_with(Thing()))
    await forever().wait()
    del task


async def a_task_that_it_awaits() -> None:
    await asyncio.create_task(waits_with(Thing()))


async def a_weak_reference() -> None:
    thing = Thing()
    everybody.append(weakref.ref(thing))
    await forever().wait()
    del thing


async def a_thread() -> None:
    box, is_over = [Thing()], threading.Event()
    thread = threading.Thread(target=take_and_wait, args=(box, is_over))
    thread.start()
    while box:
        await asyncio.sleep(0)
    try:
        await forever().wait()
    finally:
        is_over.set()
        thread.join()


def take_and_wait(box: list[Thing], is_over: threading.Event) -> None:
    thing = box.pop()
    is_over.wait()
    del thing


async def a_c_library() -> None:
    thing = ctypes.py_object(Thing())
    ctypes.pythonapi.Py_IncRef(thing)
    try:
        await forever().wait()
    finally:
        ctypes.pythonapi.Py_DecRef(thing)


async def an_exit_stack_that_another_has() -> None:
    async with AsyncExitStack() as stack:
        everybody.append(stack)
        await stack.enter_async_context(Thing())
        await forever().wait()


async def garbage() -> None:
    cycle: list[object] = [Thing()]
    cycle.append(cycle)
    del cycle
    await forever().wait()


async def an_error_that_is_over() -> None:
    async def fail() -> None:
        thing, kept = Thing(), list[Exception]()
        try:
            raise ValueError
        except ValueError as error:
            kept.append(error)  # so the frame refers to its traceback, and that to the frame
        assert len([thing, *kept]) == 2

    await fail()
    await forever().wait()


async def a_crowd() -> None:
    crowd: object = Thing()
    for _ in range(500):
        crowd = [crowd]
    await forever().wait()
    del crowd


OPEN_TO_OTHERS: list[Callable[[], Coroutine[Any, Any, None]]] = [
    a_global,
    a_class,
    a_context_variable,
    a_timer,
    a_callback_of_the_future_awaited,
    a_task_of_its_own,
    a_task_that_it_awaits,
    a_weak_reference,
    a_thread,
    a_c_library,
    an_exit_stack_that_another_has,
    garbage,
    an_error_that_is_over,
    a_crowd,
]


def things() -> list[object]:
    return [one for one in gc.get_objects() if type(one) is Thing and one.test == Thing.tests_begun]


async def from_a_callback(ask: Callable[[], bool]) -> bool:
    """What *ask* says when no task runs."""
    answer = asyncio.get_running_loop().create_future()
    asyncio.get_running_loop().call_soon(lambda: answer.set_result(ask()))
    return bool(await answer)


@pytest.fixture(autouse=True)
def _a_new_test() -> None:
    Thing.tests_begun += 1
    everybody.clear()


async def ended(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.mark.parametrize("work", HELD)
async def test_what_lies_in_the_task_alone_is_only_held_by_it(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = asyncio.create_task(work())
    await settle()
    assert len(things()) == 1
    assert await from_a_callback(lambda: only_held_by(things(), [task]))
    assert not await from_a_callback(lambda: only_held_by(things(), []))
    await ended(task)


@pytest.mark.parametrize("work", OPEN_TO_OTHERS)
async def test_what_others_can_get_at_is_not_only_held_by_it(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    task = asyncio.create_task(work())
    await settle()
    assert len(things()) == 1
    assert not await from_a_callback(lambda: only_held_by(things(), [task]))
    everybody.clear()
    await ended(task)


async def test_what_several_tasks_share_is_only_held_by_all_of_them() -> None:
    async def child_and_i() -> None:
        thing = Thing()
        await asyncio.create_task(waits_with(thing), name="child")

    task = asyncio.create_task(child_and_i())
    await settle()
    (child,) = (one for one in asyncio.all_tasks() if one.get_name() == "child")
    assert not await from_a_callback(lambda: only_held_by(things(), [task]))
    assert not await from_a_callback(lambda: only_held_by(things(), [child]))
    assert await from_a_callback(lambda: only_held_by(things(), [task, child]))
    await ended(task)


async def test_several_things_are_only_held_by_tasks_if_each_is() -> None:
    tasks = [asyncio.create_task(work()) for work in (a_variable, a_block)]
    await settle()
    assert await from_a_callback(lambda: only_held_by(things(), tasks))
    assert not await from_a_callback(lambda: only_held_by(things(), tasks[:1]))
    await ended(*tasks)


async def test_what_is_known_to_lend_things_to_nobody_does_not_count() -> None:
    task = asyncio.create_task(a_variable())
    await settle()
    ledger = dict.fromkeys(things(), "out")
    assert not await from_a_callback(lambda: only_held_by(things(), [task]))
    assert await from_a_callback(lambda: only_held_by(things(), [task], known=[ledger]))
    await ended(task)


async def test_what_the_task_has_by_way_of_what_is_known_is_held_by_it() -> None:
    async def keeps_a_ledger() -> None:
        ledgers.append([Thing()])
        ledger = ledgers[0]
        await forever().wait()
        del ledger

    ledgers: list[list[Thing]] = []
    task = asyncio.create_task(keeps_a_ledger())
    await settle()
    assert await from_a_callback(lambda: only_held_by(things(), [task], known=ledgers))
    await ended(task)


async def test_what_is_only_known_to_a_task_in_line_is_not_held_by_another() -> None:
    line: list[asyncio.Future[None]] = []

    async def waits_in_line(thing: Thing) -> None:
        line.append(asyncio.get_running_loop().create_future())
        await line[0]
        del thing

    asyncio.get_running_loop().call_soon(asyncio.ensure_future, waits_in_line(Thing()))
    await settle()
    assert not await from_a_callback(lambda: only_held_by(things(), [], known=[line]))
    line.pop().set_result(None)
    await settle()


async def test_a_weak_reference_that_is_one_of_the_things_counts_as_they_do() -> None:
    async def with_a_weak_one() -> None:
        thing = Thing()
        weak = weakref.ref(thing)
        await forever().wait()
        del thing, weak

    def both() -> list[object]:
        return [*things(), *weakref.getweakrefs(things()[0])]

    task = asyncio.create_task(with_a_weak_one())
    await settle()
    assert not await from_a_callback(lambda: only_held_by(things(), [task]))
    assert await from_a_callback(lambda: only_held_by(both(), [task]))
    everybody.append(both()[1])
    assert not await from_a_callback(lambda: only_held_by(both(), [task]))
    everybody.clear()
    await ended(task)
