"""What a suspended task waits for, seen from outside."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterable, Mapping
from types import AsyncGeneratorType, CodeType, CoroutineType, FunctionType, GeneratorType
from typing import Any, TypeAlias

Future: TypeAlias = asyncio.Future[Any]
Task: TypeAlias = asyncio.Task[Any]

# What follows reads parts of asyncio that it does not promise to keep. Whatever is not where it is in Python 3.11 to
# 3.13 reads as "unknown", which awaited_by answers like "it can go on by itself".


def awaited_by(task: Task) -> tuple[Task, ...]:
    """The unfinished tasks of which one must end before *task* can go on; empty: it can without, or who knows.

    It is empty for a task that runs or is about to, and for one that waits for time, I/O, a lock, a queue, an event, a
    future. Seen through are ``await task``, TaskGroup, gather, wait, wait_for, as_completed and shield, in any nesting.

    Whether one of the tasks is enough (``FIRST_COMPLETED``) or all are needed is not told, for even of these one can be
    enough by failing: that ends a ``gather``, and cancels the rest of a group. So *task* is stuck for certain only if
    each of them is. Cancelling from elsewhere does not count, nor a time limit that raises TimeoutError. One that only
    returns (``asyncio.wait(timeout=)``) does: with it a task goes on by itself.
    """
    future = suspended_on(task)
    if future is None:
        return ()
    try:
        return _tasks_behind(future) or _tasks_of_frame(task, future)
    except Exception:  # this Python is not one of those: nothing is known, and nobody's call may fail for it
        return ()


def suspended_on(task: Task) -> Future | None:
    """The future that must be done before *task* runs again; None: it runs, is about to, or who knows."""
    future: Future | None = getattr(task, "_fut_waiter", None)
    if future is None or future.done() or getattr(task, "_must_cancel", True):
        return None
    return future


def chain(task: Task) -> list[object]:
    """The coroutines and generators of which *task* is made, each awaiting the next."""
    return chain_from(task.get_coro())


def chain_from(at: object) -> list[object]:
    """The same from a coroutine or generator on."""
    found: list[object] = []
    while at is not None:
        match at:
            case CoroutineType():
                found.append(at)
                at = at.cr_await
            case AsyncGeneratorType():
                found.append(at)
                at = at.ag_await
            case GeneratorType():
                found.append(at)
                at = at.gi_yieldfrom
            case _ if type(at).__name__ in _WRAPPERS:
                at = next(iter(gc.get_referents(at)), None)
            case _:
                at = None
    return found


# What Python puts between an ``await`` and the coroutine or generator that it drives; that comes first of what each
# refers to. They are built in, and have no other name.
_WRAPPERS = {"coroutine_wrapper", "async_generator_asend", "async_generator_athrow", "anext_awaitable"}


def _tasks_behind(future: Future) -> tuple[Task, ...]:
    """The tasks of which one must end before *future* is done, as far as it tells itself."""
    if isinstance(future, asyncio.Task):
        return (future,)
    if isinstance(future, _GATHERING):
        children: list[Future] = getattr(future, "_children", [])
        return _unfinished(children, _never if _keeps_failures(future, children) else _has_failed)
    shielding = _closure_of_callback(future, _SHIELD)
    return _unfinished([shielding["inner"]], _always) if "inner" in shielding else ()


def _unfinished(futures: Iterable[Future], ends_the_wait: Callable[[Future], bool]) -> tuple[Task, ...]:
    """The tasks behind *futures* that are not done; empty if one is no task's, or one that is done *ends_the_wait*.

    The latter happens: the callback that ends it is on its way.
    """
    tasks: list[Task] = []
    for future in futures:
        if future.done():
            if ends_the_wait(future):
                return ()
            continue
        behind = _tasks_behind(future)
        if not behind:
            return ()
        tasks += behind
    return tuple(tasks)


def _never(_: Future) -> bool:
    return False


def _always(_: Future) -> bool:
    return True


def _has_failed(future: Future) -> bool:
    # Not exception(), which would count as looking at it: asyncio logs those that nobody looks at.
    return future.cancelled() or getattr(future, "_exception", future) is not None


def _keeps_failures(gathering: Future, children: Iterable[Future]) -> bool:
    """Whether gather was called with ``return_exceptions=True``, which only its callback knows."""
    for child in children:
        if not child.done():
            closure = _closure_of_callback(child, _GATHER, outer=gathering)
            return closure.get("return_exceptions") is True
    return False


def _closure_of_callback(future: Future, codes: Iterable[object], **having: object) -> Mapping[str, Any]:
    """The variables of *future*'s first callback that is one of *codes*, and whose variables are those of *having*."""
    for callback, _ in getattr(future, "_callbacks", None) or ():
        if isinstance(callback, FunctionType) and callback.__code__ in codes and callback.__closure__ is not None:
            cells = zip(callback.__code__.co_freevars, callback.__closure__, strict=True)
            closure = {name: cell.cell_contents for name, cell in cells}
            if all(closure.get(name) is value for name, value in having.items()):
                return closure
    return {}


def _tasks_of_frame(task: Task, future: Future) -> tuple[Task, ...]:
    """The tasks of which one must end before *future* is done, as told by those who wait for it."""
    coroutines = chain(task)
    for depth in 1, 2:  # from the inside; as_completed awaits a queue
        if len(coroutines) < depth:
            break
        coroutine = coroutines[-depth]
        if isinstance(coroutine, CoroutineType) and coroutine.cr_code in _READERS and coroutine.cr_frame is not None:
            return _READERS[coroutine.cr_code](coroutine.cr_frame.f_locals, future, coroutines[:-depth])
    return ()


def _of_task_group(local: Mapping[str, Any], future: Future, _: list[object]) -> tuple[Task, ...]:
    group = local.get("self")
    if getattr(group, "_on_completed_fut", None) is not future:
        return ()
    return _unfinished(getattr(group, "_tasks", ()), _always)


def _of_wait(local: Mapping[str, Any], future: Future, _: list[object]) -> tuple[Task, ...]:
    if local.get("waiter") is not future or local.get("timeout_handle", future) is not None:
        return ()
    until = local.get("return_when", "")
    ends = {asyncio.ALL_COMPLETED: _never, asyncio.FIRST_EXCEPTION: _has_failed}.get(until, _always)
    return _unfinished(local.get("fs", ()), ends)


def _of_wait_for(local: Mapping[str, Any], future: Future, _: list[object]) -> tuple[Task, ...]:
    """Before Python 3.12, which awaits the inner one itself."""
    inner = local.get("fut")
    return _unfinished([inner], _always) if local.get("waiter") is future and isinstance(inner, asyncio.Future) else ()


def _of_as_completed(local: Mapping[str, Any], future: Future, coroutines: list[object]) -> tuple[Task, ...]:
    me = local.get("self")
    done: object = getattr(me, "_done", None) or local.get("done")
    if future not in getattr(done, "_getters", ()):
        return ()
    todo: Iterable[Future] = getattr(me, "_todo", ())
    if me is None:  # before Python 3.13 it is a generator, known only to whoever iterates over it
        for generator in gc.get_referents(*coroutines):
            if isinstance(generator, GeneratorType) and generator.gi_code is _AS_COMPLETED and generator.gi_frame:
                variables = generator.gi_frame.f_locals
                if variables.get("done") is done:
                    todo = variables.get("todo", ())
    return _unfinished(todo, _always)


def _code(*path: str) -> CodeType | None:
    """The code of the function that *path* leads to from ``asyncio``; None in a Python that has no such function."""
    at: object = asyncio
    for name in path:
        at = getattr(at, name, None)
    return getattr(at, "__code__", None)


def _inner_codes(outer: CodeType | None, name: str) -> tuple[CodeType, ...]:
    constants = () if outer is None else outer.co_consts
    return tuple(code for code in constants if isinstance(code, CodeType) and code.co_name == name)


_GATHERING: type = getattr(asyncio.tasks, "_GatheringFuture", type(None))
_GATHER = _inner_codes(_code("gather"), "_done_callback")
_SHIELD = _inner_codes(_code("shield"), "_outer_done_callback")
_AS_COMPLETED = _code("as_completed")

_READERS: dict[CodeType | None, Callable[[Mapping[str, Any], Future, list[object]], tuple[Task, ...]]] = {
    _code("TaskGroup", "__aexit__"): _of_task_group,
    _code("TaskGroup", "_aexit"): _of_task_group,  # where later versions wait
    _code("tasks", "_wait"): _of_wait,
    _code("tasks", "wait_for"): _of_wait_for,
    _code("tasks", "_AsCompletedIterator", "_wait_for_one"): _of_as_completed,
    **dict.fromkeys(_inner_codes(_AS_COMPLETED, "_wait_for_one"), _of_as_completed),
}
