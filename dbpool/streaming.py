"""Rows through a server-side cursor, a few of them in memory at a time.

Classes, for a generator does not notice, before Python 3.12, that the coroutine that reads it is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Self, TypeVar

from dbpool.connection import PooledConnection, Record
from dbpool.faults import incomplete, is_unsent
from dbpool.observing import Block
from dbpool.outdated import can_run_again, is_undescribed

T = TypeVar("T")


class Records:
    """The records of a cursor, which is opened anew if it fails at the first because its statement is out of date."""

    def __init__(self, connection: PooledConnection, sql: str, begin: Callable[[], AsyncIterator[Record]]) -> None:
        self._connection, self._sql, self._begin = connection, sql, begin
        self._at = begin()
        self._is_new = True

    async def next(self) -> Record:
        """The next one.

        Raises: StopAsyncIteration; what the driver raises.
        """
        is_new, self._is_new = self._is_new, False
        try:
            return await anext(self._at)
        except Exception as error:
            if is_unsent(error) and is_undescribed(self._connection, self._sql):
                raise incomplete() from error
            if not (is_new and can_run_again(self._connection, error, self._sql)):
                raise
        self._at = self._begin()
        return await anext(self._at)


class Rows(Generic[T]):
    """What ``Transaction.stream`` returns: an async iterator; ``aclose`` ends it."""

    def __init__(self, fetch: Callable[[], Awaitable[T]], block: Block | None = None) -> None:
        self._fetch = fetch
        self._block = block  # as what it is observed
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_over:
            raise StopAsyncIteration
        if self._block is not None:
            self._block.begin()
        try:
            return await self._fetch()
        except BaseException as error:
            self._end(None if isinstance(error, StopAsyncIteration) else error)
            raise

    async def aclose(self) -> None:
        self._end(None)

    def _end(self, error: BaseException | None) -> None:
        self._is_over = True
        if self._block is not None:
            self._block.end(error)


class StreamedRows(Generic[T]):
    """What ``DatabasePool.stream`` returns: the rows, and the block around them, which begins with the first.

    An async iterator. The block ends with the last row, with an error, by ``aclose``, or when nobody has it any more.
    """

    def __init__(self, block: AbstractAsyncContextManager[Any], begin: Callable[[Any], AsyncIterator[T]]) -> None:
        self._block = block
        self._begin = begin
        self._rows: AsyncIterator[T] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None  # set for as long as the block lasts
        self._is_over = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        if self._is_over:
            raise StopAsyncIteration
        if self._rows is None:
            self._is_over = True  # should it not begin
            tx = await self._block.__aenter__()
            self._is_over, self._loop = False, asyncio.get_running_loop()
        try:
            if self._rows is None:
                self._rows = self._begin(tx)
            return await anext(self._rows)
        except StopAsyncIteration:
            await self._end(None)
            raise
        except BaseException as error:
            await self._end(error)
            raise

    async def aclose(self) -> None:
        """Close the cursor and give the connection back; the pool rolls back in a task of its own."""
        if self._loop is not None:
            await self._end(GeneratorExit())
        self._is_over = True

    async def _end(self, error: BaseException | None) -> None:
        self._is_over, self._loop = True, None
        await self._block.__aexit__(None if error is None else type(error), error, None)

    def __del__(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_give_back, self._block)


def _give_back(block: AbstractAsyncContextManager[Any]) -> None:
    asyncio.get_running_loop().create_task(_leave(block))


async def _leave(block: AbstractAsyncContextManager[Any]) -> None:
    await block.__aexit__(GeneratorExit, GeneratorExit(), None)
