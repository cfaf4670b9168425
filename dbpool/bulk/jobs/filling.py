"""A source on its way into a job: cut into chunks, those that are done looked at, the others given out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from typing import Any

from dbpool.bulk.items import Source
from dbpool.bulk.jobs.storing import Chunk, Stored, Storing, Target
from dbpool.bulk.window import results_of
from dbpool.core.chunks import Done, Span, items_in
from dbpool.core.digests import digest_of

AHEAD = 1  # chunks read beyond those that are under way, so that no connection waits for the source
TURN = 20_000  # items that are skipped in a row before others in this event loop get their turn: about 5 ms


class Filling:
    """One pass over a source, from the first chunk of *within* on."""

    def __init__(
        self, target: Target, source: Source[object], done: Done, storing: Storing, *, within: Span, trust: bool
    ) -> None:
        self._target = target
        self._source = source
        self._done = done
        self._storing = storing
        self._within = within
        self._trust = trust
        self._next = within.first
        self.items = 0  # read
        self.skipped = 0

    async def results(self, at_once: int, check: Callable[[], None]) -> AsyncGenerator[Stored, None]:
        """What became of each chunk that was missing, as it ends, at most *at_once* under way.

        Args:
            check: called before each chunk is given out; raises to have no more of them.
        Raises: what the source raises, or JobChanged, once what was under way is stored; the first error of a chunk.
        Cancelling, closing: lets nothing half-stored.
        """
        slots = asyncio.Semaphore(at_once)

        async def store(chunk: Chunk) -> Stored:
            async with slots:
                return await self._storing.store(chunk)

        async def next_work() -> Coroutine[Any, Any, Stored] | None:
            check()
            chunk = await self._next_missing()
            return None if chunk is None else store(chunk)

        async with aclosing(results_of(next_work, most=at_once + AHEAD, ordered=False)) as results:
            async for stored in results:
                yield stored

    async def _next_missing(self) -> Chunk | None:
        """The next chunk that is not done; None at the end."""
        turn_ends = self.items + TURN
        while self._next <= self._within.last and (keys := await self._read()):
            number, self._next = self._next, self._next + 1
            self.items += len(keys)
            stored = self._done.digest(number)
            if stored is None:
                return Chunk(number, keys, digest_of(keys))
            if not self._trust and stored != digest_of(keys):
                raise self._target.changed(number)
            self.skipped += len(keys)
            if self.items >= turn_ends:
                turn_ends = self.items + TURN
                await asyncio.sleep(0)
        return None

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
