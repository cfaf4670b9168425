"""The items of bulk work, read only as fast as they are used."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator, Sized
from itertools import islice
from typing import Generic, Protocol, TypeVar

from dbpool.errors import UsageError

T = TypeVar("T")


class Source(Protocol[T]):
    """Items, a few at a time."""

    total: int | None
    """How many there are in all, where that is known."""

    async def take(self, most: int) -> list[T]:
        """The next ones, *most* at the most, and only those that are there already if any are; [] at the end.

        Raises: what the source raises, once all that came before it has been taken.
        """
        ...

    async def aclose(self) -> None:
        """Read no more."""
        ...


def source_of(items: Iterable[T] | AsyncIterable[T], what: str = "items") -> Source[T]:
    """The items of an iterable, async or not.

    Raises:
        UsageError: it is no iterable, or a str, whose items would be its characters.
    """
    if isinstance(items, (str, bytes, bytearray)):
        raise UsageError(f"{what} is a {type(items).__name__}: give a list of one, or a pathlib.Path for a file")
    if isinstance(items, AsyncIterable):
        return _Pumped(items)
    if isinstance(items, Iterable):
        return _Direct(items)
    raise UsageError(f"{what} must be an iterable or an async iterable, not {type(items).__name__}")


class _Direct(Generic[T]):
    """Items that are there without waiting."""

    def __init__(self, items: Iterable[T]) -> None:
        self.total = len(items) if isinstance(items, Sized) else None
        self._items = items
        self._iterator: Iterator[T] | None = None
        self._error: Exception | None = None

    async def take(self, most: int) -> list[T]:
        if self._error is not None:
            raise self._error
        found: list[T] = []
        try:
            if self._iterator is None:
                self._iterator = iter(self._items)
            found.extend(islice(self._iterator, most))  # keeps what came before an error
        except Exception as error:
            if not found:
                raise
            self._error = error
        return found

    async def aclose(self) -> None:
        close = getattr(self._iterator, "close", None)  # of a generator
        if close is not None:
            close()


class _Pumped(Generic[T]):
    """Items of an async iterable, read by a task of its own: those that are there need not wait for the next."""

    def __init__(self, items: AsyncIterable[T]) -> None:
        self.total: int | None = None
        self._items = items
        self._ahead: deque[T] = deque()
        self._room = 1
        self._pump: asyncio.Task[None] | None = None
        self._filled = asyncio.Event()  # there is something to take
        self._drained = asyncio.Event()  # there is room for more

    async def take(self, most: int) -> list[T]:
        self._room = most
        if self._pump is None:
            self._pump = asyncio.create_task(self._read())
            self._pump.add_done_callback(lambda _: self._filled.set())
        self._drained.set()
        while not self._ahead and not self._pump.done():
            self._filled.clear()
            await self._filled.wait()
        found = [self._ahead.popleft() for _ in range(min(most, len(self._ahead)))]
        if not found:
            self._pump.result()
        self._drained.set()
        return found

    async def _read(self) -> None:
        iterator: AsyncIterator[T] = aiter(self._items)
        try:
            async for item in iterator:
                self._ahead.append(item)
                self._filled.set()
                while len(self._ahead) >= self._room:
                    self._drained.clear()
                    await self._drained.wait()
        finally:
            close = getattr(iterator, "aclose", None)
            if close is not None:
                await close()

    async def aclose(self) -> None:
        if self._pump is not None and not self._pump.done():
            self._pump.cancel()
            await asyncio.wait([self._pump])
