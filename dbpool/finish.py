"""Cleanup that a cancellation cannot cut short."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def finish(work: Coroutine[Any, Any, T] | asyncio.Task[T]) -> T:
    """Run *work* to its end and return its result; deliver a cancellation only afterwards.

    *work* must have a time limit of its own. If it fails after a cancellation, the failure is the cancellation's cause.
    """
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled from (None if task.cancelled() else task.exception())
    return task.result()


async def finish_or(work: Coroutine[Any, Any, T], failed: Callable[[], object]) -> T:
    """The same; *failed* is called where *work* did not come to its end: a cancellation alone is no such thing."""
    task = asyncio.ensure_future(work)
    try:
        return await finish(task)
    finally:
        if not task.done() or task.cancelled() or task.exception() is not None:
            failed()


class Cleanups:
    """Tasks that outlive the callers they clean up after; their owner can wait for their end."""

    def __init__(self) -> None:
        self._tasks: dict[
            asyncio.Task[Any], None
        ] = {}  # in the order in which they began, so that a run can be repeated

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Begin *work*, which must have a time limit of its own and handle its own failures."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[task] = None
        task.add_done_callback(self._tasks.pop)
        return task

    async def wait_all(self) -> None:
        """Return once no cleanup is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def cancel_all(self) -> None:
        for task in self._tasks:
            task.cancel()
