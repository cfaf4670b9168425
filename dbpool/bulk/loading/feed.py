"""A load's chunks, one ahead of those who take them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Generator
from typing import Generic, TypeVar

from dbpool.bulk.loading.threads import Threads

T = TypeVar("T")


class Feed(Generic[T]):
    """Gives each chunk to one of its takers, and makes the next one meanwhile."""

    def __init__(self, chunks: AsyncGenerator[T, None]) -> None:
        self._chunks = chunks
        self._ahead: asyncio.Task[T | None] | None = None

    async def next(self) -> T | None:
        """The next chunk; None at the end.

        Raises: what went wrong in making it; then there is no other one.
        """
        while True:
            ahead = self._ahead = self._ahead or asyncio.create_task(self._make())
            await asyncio.wait([ahead])
            if ahead is not self._ahead:
                continue  # another taker was woken first
            chunk = ahead.result()
            if chunk is not None:
                self._ahead = asyncio.create_task(self._make())
            return chunk

    async def close(self) -> None:
        """Make no more."""
        if self._ahead is not None:
            self._ahead.cancel()
            await asyncio.wait([self._ahead])
            if not self._ahead.cancelled():
                self._ahead.exception()  # was told, or is no longer of interest
        await self._chunks.aclose()

    async def _make(self) -> T | None:
        return await anext(self._chunks, None)


async def in_thread(
    threads: Threads, make: Callable[[Callable[[], bool]], Generator[T, None, None]]
) -> AsyncGenerator[T, None]:
    """What a generator that blocks yields, each made in a thread.

    Args:
        make: is given a function that says whether to stop, to be asked often.
    """
    is_stopped = False
    blocking = make(lambda: is_stopped)

    def take() -> T | None:
        return next(blocking, None)

    try:
        while True:
            taking = asyncio.ensure_future(threads.call(take))
            try:
                await asyncio.wait([taking])
            except asyncio.CancelledError:
                is_stopped = True
                await asyncio.wait([taking])
                taking.exception()  # that it was stopped, which is no news
                raise
            if (chunk := taking.result()) is None:
                return
            yield chunk
    finally:
        is_stopped = True
        await threads.call(blocking.close)
