"""Coroutines whose suspensions are told, one by one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Watched:
    """Awaits a coroutine and tells of each of its suspensions: *suspended* is called just before."""

    def __init__(self, work: Coroutine[Any, Any, Any], suspended: Callable[[], None]) -> None:
        self._work = work
        self._suspended = suspended

    def __await__(self) -> Any:  # noqa: ANN401 - an iterator that takes what is sent and thrown
        return self

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        waited_for = self._work.send(value)
        self._suspended()
        return waited_for

    def throw(self, error: BaseException) -> object:
        waited_for = self._work.throw(error)
        self._suspended()
        return waited_for

    def close(self) -> None:
        self._work.close()


async def cancel_at_suspension(work: Coroutine[Any, Any, T], at: int, *, times: int = 1) -> asyncio.Task[T]:
    """Run *work* and cancel it at its suspensions *at*, counted from 1, to *at* + *times* - 1; then let it end.

    Returns: its task, which is done; ``count_suspensions`` tells how many there are to choose from.
    """
    suspensions = 0

    def suspended() -> None:
        nonlocal suspensions
        suspensions += 1
        if at <= suspensions < at + times:
            asyncio.get_running_loop().call_soon(task.cancel)

    task = asyncio.get_running_loop().create_task(awaited(work, suspended))
    await asyncio.wait([task])
    return task


async def count_suspensions(work: Coroutine[Any, Any, object]) -> int:
    """Run *work* to its end; how many times it was suspended."""
    suspensions = 0

    def suspended() -> None:
        nonlocal suspensions
        suspensions += 1

    await Watched(work, suspended)
    return suspensions


async def awaited(work: Coroutine[Any, Any, T], suspended: Callable[[], None]) -> T:
    """A coroutine that awaits *work* and calls *suspended* at each of its suspensions."""
    result: T = await Watched(work, suspended)
    return result
