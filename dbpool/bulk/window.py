"""Work under way for one consumer: bounded, begun only as it is consumed, ended with it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")

Work: TypeAlias = Coroutine[Any, Any, T]


async def results_of(
    next_work: Callable[[], Awaitable[Work[T] | None]], *, most: int, ordered: bool
) -> AsyncGenerator[T, None]:
    """The results of one piece of work after the other, at most *most* of which are begun and not yet taken.

    Args:
        next_work: the next piece, None when there is no more; asked for when there is room, and not waited for while
            there are results.
        ordered: in the order in which they were begun; else as they end.
    Raises: what a piece of work, or *next_work*, raises; what *next_work* does comes after all results.
    Cancelling, closing: cancels what is under way, and waits until it has ended.
    """
    window = _Window(next_work, most, ordered=ordered)
    try:
        while await window.wait_for_one():
            yield window.take()
        if window.failure is not None:
            raise window.failure
    finally:
        await window.end()


class _Window(Generic[T]):
    """What is begun and not yet taken."""

    def __init__(self, next_work: Callable[[], Awaitable[Work[T] | None]], most: int, *, ordered: bool) -> None:
        self._next_work = next_work
        self._most = most
        self._ordered = ordered
        self._begun: dict[asyncio.Task[T], None] = {}
        self._ended: deque[asyncio.Task[T]] = deque()  # those of them that have, in that order; unless it is ordered
        self._reading: asyncio.Task[Work[T] | None] | None = None
        self._is_over = False
        self.failure: Exception | None = None  # of the source

    async def wait_for_one(self) -> bool:
        """Return once a result can be taken; False if there is none any more."""
        while True:
            if self._reading is None and not self._is_over and len(self._begun) < self._most:
                self._reading = asyncio.create_task(self._read())
            begun = list(islice(self._begun, 1 if self._ordered else None))
            awaited: list[asyncio.Task[Any]] = [*begun, *filter(None, [self._reading])]
            if not awaited:
                return False
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            self._begin_what_was_read()
            if self._ended or (self._ordered and any(task.done() for task in begun)):
                return True

    def take(self) -> T:
        task = next(iter(self._begun)) if self._ordered else self._ended.popleft()
        del self._begun[task]
        return task.result()

    async def _read(self) -> Work[T] | None:
        return await self._next_work()

    def _begin_what_was_read(self) -> None:
        if self._reading is None or not self._reading.done():
            return
        reading, self._reading = self._reading, None
        try:
            work = reading.result()
        except Exception as error:
            self.failure, work = error, None
        if work is None:
            self._is_over = True
        else:
            task = asyncio.create_task(work)
            self._begun[task] = None
            if not self._ordered:
                task.add_done_callback(self._ended.append)

    async def end(self) -> None:
        """Cancel what is under way, and wait for it: each gives its connection back before it ends."""
        tasks: list[asyncio.Task[Any]] = [*self._begun]
        tasks += [] if self._reading is None else [self._reading]
        for task in tasks:
            task.cancel()
        cancelled = await _ended(tasks)
        if self._reading is not None and not self._reading.cancelled() and self._reading.exception() is None:
            work = self._reading.result()
            if work is not None:
                work.close()
        if cancelled is not None:
            raise cancelled


async def _ended(tasks: Iterable[asyncio.Task[Any]]) -> asyncio.CancelledError | None:
    """Wait for cancelled tasks to their end; return the cancellation that came meanwhile."""
    cancelled: asyncio.CancelledError | None = None
    while left := [task for task in tasks if not task.done()]:
        try:
            await asyncio.wait(left)
        except asyncio.CancelledError as error:
            cancelled = error
    for task in tasks:
        if not task.cancelled():
            task.exception()  # it was told, or nobody wants it any more
    return cancelled
