"""A connection to which many rows are sent: what makes them may fail, the server may be slow to read them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Coroutine
from typing import TYPE_CHECKING, Any, Self

import asyncpg

from dbpool.core.rowsource import RowSource
from dbpool.introspection import SharingConnection

if TYPE_CHECKING:
    from dbpool.settings import PoolSettings


class AsyncRowSource:
    """A ``RowSource`` for an asynchronous iterable of rows, or of pieces of COPY's text."""

    def __init__(self, rows: AsyncIterable[Any]) -> None:
        self._rows = rows
        self._iterator: AsyncIterator[Any] | None = None
        self.error: BaseException | None = None

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._iterator is None:
                self._iterator = aiter(self._rows)
            return await anext(self._iterator)
        except (StopAsyncIteration, asyncio.CancelledError, GeneratorExit):  # the latter two may come from outside
            raise
        except BaseException as error:
            self.error = error
            raise ValueError("the rows could not be made") from error


class SendingConnection(SharingConnection):
    """An asyncpg connection whose rows' errors are their caller's, and that waits for no server for ever."""

    __slots__ = ("_sending", "_source", "callers_error", "doomed_by", "is_broken", "is_interrupted", "settings")

    is_broken: bool  # close it instead of cleaning it
    doomed_by: str  # why nothing more may be sent, its state being unknown or its time over; mostly empty
    is_interrupted: bool  # a statement may have been given up on it between Parse and Sync, unnoticed by asyncpg
    callers_error: BaseException | None  # what last went wrong in a caller's own rows: no fault of the connection
    settings: PoolSettings
    _sending: asyncio.Task[Any] | None  # an executemany or COPY under way, or given up
    _source: RowSource | None  # where executemany or fetchmany takes its rows

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._sending = self._source = None

    def doom(self, by: str) -> None:
        """Let nothing more be sent on it, and have it closed when its lease ends, which rolls back."""
        self.is_broken = True
        self.doomed_by = by

    def can_resend(self) -> bool:
        """Whether the rows of what sends many, if that is under way, can be sent from the first one on.

        In a transaction those that were sent may be in it.
        """
        return self._source is None or (not self.is_in_transaction() and self._source.rewind())

    async def executemany(self, command: str, args: Any, *, timeout: float | None = None) -> None:
        """As asyncpg's, but what goes wrong in *args* is raised as it is, and a cancellation is never swallowed.

        asyncpg swallows it while the server is slow to read. Here the task that sends goes on, with no more rows, until
        the connection is closed, which cancels the statement first: a server that is writing reads its socket's end
        only later, behind a proxy perhaps never.
        """
        source = self._source = RowSource(args)
        sending = self._sending = asyncio.ensure_future(super().executemany(command, source, timeout=timeout))
        try:
            await asyncio.wait([sending])
        except BaseException:
            sending.add_done_callback(lambda done: done.cancelled() or done.exception())
            source.is_stopped = True
            self.doom("an executemany was cut short")
            raise
        self._sending = self._source = None
        if source.error is not None:
            sending.exception()
            self._blame(source.error)
        sending.result()

    async def fetchmany(self, query: str, args: Any, **options: Any) -> list[Any]:
        """As asyncpg's, which takes *args* from an iterator but once."""
        source = self._source = RowSource(args)
        try:
            rows: list[Any] = await super().fetchmany(query, source, **options)
        except BaseException:
            if source.error is not None:
                self._blame(source.error)
            raise
        finally:
            self._source = None
        return rows

    async def copy_to_table(self, table_name: str, *, source: Any, timeout: float | None = None, **options: Any) -> str:
        """As asyncpg's, but time limit and loss of the connection end it also while the server does not read."""
        rows = AsyncRowSource(source) if isinstance(source, AsyncIterable) else None
        copy = super().copy_to_table(table_name, source=rows or source, timeout=timeout, **options)
        return await self._ending(copy, timeout, rows)

    async def copy_records_to_table(
        self, table_name: str, *, records: Any, timeout: float | None = None, **options: Any
    ) -> str:
        """The same."""
        rows: RowSource | AsyncRowSource | None = None  # those of a list need no watching
        if isinstance(records, AsyncIterable):
            rows = AsyncRowSource(records)
        elif not isinstance(records, (list, tuple)):
            rows = RowSource(records)
        copy = super().copy_records_to_table(table_name, records=rows or records, timeout=timeout, **options)
        return await self._ending(copy, timeout, rows)

    async def copy_in(self, sql: str, source: AsyncIterable[bytes | memoryview], timeout: float) -> str:
        """The same by a COPY statement of one's own, for options that ``copy_to_table`` does not have."""
        rows = AsyncRowSource(source)
        return await self._ending(super()._copy_in(sql, rows, timeout), timeout, rows)  # type: ignore[misc]

    async def _ending(
        self, copy: Coroutine[Any, Any, str], timeout: float | None, source: RowSource | AsyncRowSource | None
    ) -> str:
        copying = self._sending = asyncio.ensure_future(copy)
        try:
            async with asyncio.timeout(self.settings.query_timeout if timeout is None else timeout):
                await asyncio.wait([copying])
        except BaseException:
            copying.add_done_callback(lambda done: done.cancelled() or done.exception())
            copying.cancel()
            raise
        finally:
            self._sending = None
        error = asyncio.CancelledError() if copying.cancelled() else copying.exception()
        if source is not None and source.error is not None:
            self._blame(source.error)
        if error is not None and not isinstance(error, (Exception, asyncio.CancelledError)):
            self.doom("a COPY was cut short")  # which asyncpg has not noticed
        if error is not None and self.is_closed():
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of a COPY") from error
        status: str = copying.result()
        return status

    def _blame(self, error: BaseException) -> None:
        """Raise what went wrong in the rows."""
        self.is_interrupted = True
        self.callers_error = error
        raise error

    def _cleanup(self) -> None:
        """The connection is gone: end what waits to write to it, which asyncpg would leave waiting."""
        if self._source is not None:
            self._source.is_stopped = True
        if self._sending is not None:  # two turns later: what waits for an answer has the reason by then
            loop, cancel = self._sending.get_loop(), self._sending.cancel
            loop.call_soon(lambda: loop.call_soon(cancel))
        super()._cleanup()  # type: ignore[misc]
