"""A source on its way into a job: cut into chunks, those that are done looked at, the others given out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Protocol

from dbpool.bulk.items import Source
from dbpool.bulk.jobs.storing import Chunk, Stored, Target
from dbpool.bulk.window import results_of
from dbpool.core.chunks import Done, items_in
from dbpool.core.digests import digest_of

AHEAD = 1  # units read beyond those that are under way, so that nobody waits for the source
TURN = 20_000  # items that are skipped in a row before others in this event loop get their turn: about 5 ms
PATIENCE_S = 0.05  # chunks that are read wait for more of their unit no longer than that


class Storer(Protocol):
    """Who stores units: chunks in a row."""

    at_once: int
    """Units that may be under way."""

    @property
    def in_a_row(self) -> int:
        """Chunks that the next unit may have, >= 1."""
        ...

    async def store(self, unit: Sequence[Chunk]) -> Stored:
        """Store what is not stored yet of *unit*."""
        ...


class Filling:
    """One pass over a source."""

    def __init__(self, target: Target, source: Source[object], done: Done, *, trust: bool) -> None:
        self._target = target
        self._source = source
        self._done = done
        self._trust = trust
        self._next = 0
        self._failure: Exception | None = None  # of the source, behind the unit that was given out
        self.items = 0  # read
        self.skipped = 0

    async def results(self, storer: Storer, check: Callable[[], None]) -> AsyncGenerator[Stored, None]:
        """What became of each unit that was missing, as it ends.

        Args:
            check: called before each unit is given out; raises to have no more of them.
        Raises: what the source raises, or JobChanged, once what came before is stored; a unit's first error.
        Cancelling, closing: lets nothing half-stored.
        """

        async def next_work() -> Coroutine[Any, Any, Stored] | None:
            check()
            unit = await self._next_missing(storer.in_a_row)
            return storer.store(unit) if unit else None

        async with aclosing(results_of(next_work, most=storer.at_once + AHEAD, ordered=False)) as results:
            async for stored in results:
                yield stored

    async def _next_missing(self, most: int) -> list[Chunk]:
        """The next chunks in a row that are not done, *most* at the most; none at the end."""
        unit: list[Chunk] = []
        try:
            await self._read_into(unit, most)
        except Exception as error:
            if not unit:
                raise
            self._failure = error
        return unit

    async def _read_into(self, unit: list[Chunk], most: int) -> None:
        if self._failure is not None:
            raise self._failure
        clock = asyncio.get_running_loop().time
        began, turn_ends = clock(), self.items + TURN
        while keys := await self._read():
            number, self._next = self._next, self._next + 1
            self.items += len(keys)
            stored = self._done.digest(number)
            if stored is None:
                unit.append(Chunk(number, keys))
            else:
                if not self._trust and stored != digest_of(keys):
                    raise self._target.changed(number)
                self.skipped += len(keys)
                if self.items >= turn_ends:
                    turn_ends = self.items + TURN
                    await asyncio.sleep(0)
            is_full = len(unit) >= most or (stored is not None and unit) or clock() - began > PATIENCE_S
            if unit and is_full:
                return

    async def _read(self) -> list[object]:
        """The items of the next chunk, [] at the end of the source."""
        number, size, total = self._next, self._target.chunk_size, self._target.total
        keys = await self._source.take(size)
        while 0 < len(keys) < size and (more := await self._source.take(size - len(keys))):
            keys += more
        if total is not None and len(keys) != items_in(number, total, size):
            seen = number * size + len(keys)
            raise self._target.changed(number, f"the source has {_count(seen, total)} items, and it had {total}")
        if not keys and number <= self._done.last:
            seen = number * size
            raise self._target.changed(number, f"the source has ended after {seen} items, and it had more")
        return keys


def _count(seen: int, total: int) -> str:
    return f"more than {total}" if seen > total else f"only {seen}"
