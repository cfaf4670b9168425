"""Rows that may let one wait, as those of stdin do, read by a thread."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from threading import Condition, Thread

from dbpool.bulk.files import TextRow, TextRows

AHEAD = 500  # rows: a batch
PATIENCE_S = 0.01  # rows that are read wait for more of their batch no longer than that


class Feed(TextRows):
    """The rows, a few of them read ahead, until their end or ``end()``.

    Nothing ends a thread that waits for somebody to write: it is a daemon, and the process does not wait for it.
    """

    # Of the loop: the events. Of both, under the lock: the rest

    def __init__(self, rows: Iterable[TextRow]) -> None:
        self._rows = rows
        self._lock = Condition()
        self._ahead: list[TextRow] = []
        self._is_over = False  # no more are read
        self._is_dry = False
        self._error: BaseException | None = None
        self._some, self._enough = asyncio.Event(), asyncio.Event()  # rows, or the end

    @property
    def is_dry(self) -> bool:
        """Whether somebody waits for rows, and there are none."""
        return self._is_dry and not self._ahead and not self._is_over

    def end(self) -> None:
        """Read no more; what was read is still there."""
        with self._lock:
            self._is_over = True
            self._lock.notify()
        self._some.set()
        self._enough.set()

    async def __aiter__(self) -> AsyncIterator[TextRow]:
        """Raises: what the rows raise, behind all that come before."""
        Thread(target=self._read, args=(asyncio.get_running_loop(),), name="dbpool-rows", daemon=True).start()
        try:
            while rows := await self._next():
                for row in rows:
                    yield row
        finally:
            self.end()
        if self._error is not None:
            raise self._error

    async def _next(self) -> list[TextRow]:
        self._is_dry = True
        await self._some.wait()
        self._is_dry = False
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._enough.wait()
        with self._lock:
            rows, self._ahead = self._ahead, []
            if not self._is_over:
                self._some.clear()
                self._enough.clear()
            self._lock.notify()
        return rows

    def _read(self, loop: asyncio.AbstractEventLoop) -> None:
        try:
            for row in self._rows:
                with self._lock:
                    self._lock.wait_for(lambda: self._is_over or len(self._ahead) < AHEAD)
                    if self._is_over:
                        return
                    self._ahead.append(row)
                    if len(self._ahead) == 1:
                        loop.call_soon_threadsafe(self._some.set)
                    if len(self._ahead) == AHEAD:
                        loop.call_soon_threadsafe(self._enough.set)
        except BaseException as error:  # told where the rows are used
            self._error = error
        with self._lock:
            if not self._is_over:
                loop.call_soon_threadsafe(self.end)
