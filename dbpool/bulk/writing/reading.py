"""A caller's rows, read some at a time without keeping the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from itertools import islice
from time import perf_counter
from typing import TypeAlias

from dbpool.core.turns import TURN_S, next_step
from dbpool.errors import StatementError

Rows: TypeAlias = Iterable[object] | AsyncIterable[object]


class RowReader:
    """Reads rows from *rows*, sync or async; what they raise comes out as it is.

    Raises:
        StatementError: it is no iterable of rows.
    """

    def __init__(self, rows: Rows) -> None:
        if isinstance(rows, (str, bytes, dict)) or not isinstance(rows, (Iterable, AsyncIterable)):
            raise StatementError(f"rows must be an iterable of rows, sync or async, not a {type(rows).__name__}")
        self._rows = rows
        self._here: Iterator[object] | None = None
        self._away: AsyncIterator[object] | None = None
        self._step = 1
        self._turn_at = 0.0
        self.is_at_end = False

    async def read(self, most: int) -> list[object]:
        """The next rows, some of *most* >= 1; none only at the end."""
        if self._here is None and self._away is None:
            if isinstance(self._rows, AsyncIterable):
                self._away = aiter(self._rows)
            else:
                self._here = iter(self._rows)
        began = perf_counter()
        if began - self._turn_at > TURN_S:
            await asyncio.sleep(0)
            began = self._turn_at = perf_counter()
        most = min(most, self._step)
        if self._here is not None:
            rows = list(islice(self._here, most))
        else:
            rows = await self._from_away(most)
        self.is_at_end = len(rows) < most
        self._step = next_step(self._step, perf_counter() - began)
        return rows

    async def _from_away(self, most: int) -> list[object]:
        assert self._away is not None
        rows: list[object] = []
        for _ in range(most):
            try:
                rows.append(await anext(self._away))
            except StopAsyncIteration:
                break
        return rows
