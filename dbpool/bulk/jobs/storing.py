"""A chunk is stored once: its effect with its ledger row, in one transaction, maybe with some more."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from dbpool.bulk.jobs.effect import Effect, ItemFailed, is_items_fault
from dbpool.bulk.jobs.ledger import Rejected, digest_of_chunk, enter_chunks, insert_rejects
from dbpool.bulk.jobs.trying import Connections, tried
from dbpool.bulk.jobs.unit import in_transaction
from dbpool.connection import PooledConnection
from dbpool.core.chunks import first_item
from dbpool.core.columns import Args, items_of
from dbpool.core.digests import digest_of
from dbpool.core.grouping import Grouping
from dbpool.core.params import as_json
from dbpool.errors import JobChanged, QueryTimeout
from dbpool.faults import one_line, sqlstate

LONGEST_MESSAGE = 2000  # characters of an error that are kept with its item


@dataclass(frozen=True, slots=True)
class Target:
    """The job that chunks belong to; *total*: its items, where they are known."""

    job_id: int
    name: str
    chunk_size: int
    total: int | None
    effect: Effect
    tries: int

    def changed(self, chunk: int, what: str = "") -> JobChanged:
        """The error for a chunk that is not what it was."""
        what = what or f"its items, from item {first_item(chunk, self.chunk_size)} on, are not those that were stored"
        return JobChanged(
            f"job {self.name!r} cannot go on with this source: in chunk {chunk}, {what}. Give the items that it was "
            f"begun with, in the same order; or give this work another name, or db.forget_job({self.name!r}) first.",
            job=self.name,
            chunk=chunk,
        )


@dataclass(frozen=True, slots=True)
class Chunk:
    """Items in a row; *number* is counted from 0."""

    number: int
    keys: Sequence[object]


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of items: done, skipped as they were done before, put aside."""

    done: int = 0
    skipped: int = 0
    rejected: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(self.done + other.done, self.skipped + other.skipped, self.rejected + other.rejected)


class Storing:
    """Stores the chunks of one job, *at_once* transactions at the most."""

    def __init__(self, target: Target, connections: Connections, at_once: int) -> None:
        self.at_once = at_once
        self._target = target
        self._connections = connections
        self._slots = asyncio.Semaphore(at_once)
        self._grouping = Grouping()
        self._expects_rejects = False  # the last chunk had some

    @property
    def in_a_row(self) -> int:
        """Chunks that are worth a transaction together, as things stand."""
        return self._grouping.now

    async def store(self, unit: Sequence[Chunk]) -> Stored:
        """Store the chunks of *unit* that are not stored already, by one transaction if nothing is in the way.

        Raises: the error of an item, with its number as a note; JobChanged; ConnectionLost, a conflict and the like,
            when every try met one.
        Cancelling: each chunk is stored whole, or not at all.
        """
        async with self._slots:
            entries = [_Entry(chunk.number, items_of(chunk.keys), digest_of(chunk.keys)) for chunk in unit]
            if len(entries) > 1 and not self._expects_rejects:
                clock = asyncio.get_running_loop().time
                began = clock()
                try:
                    stored = await self._tried(entries, self._together)
                except _Apart:
                    self._grouping.failed()
                else:
                    self._grouping.stored(len(entries), clock() - began)
                    return stored
            stored = Stored()
            for entry in entries:
                stored += await self._store_one(entry)
            return stored

    async def _store_one(self, entry: _Entry) -> Stored:
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            stored = await self._tried([entry], self._by_itself)
        except ItemFailed as failure:
            failure.error.add_note(f"item {first_item(entry.number, self._target.chunk_size) + failure.index}")
            raise failure.error from None
        self._expects_rejects = bool(stored.rejected)
        if stored.rejected:
            self._grouping.failed()
        else:
            self._grouping.stored(1, clock() - began)
        return stored

    async def _tried(self, entries: Sequence[_Entry], attempt: Attempt) -> Stored:
        """*attempt*, as often as it makes sense; what goes wrong notes where."""
        target = self._target
        try:
            return await tried(self._connections, target.tries, lambda connection: attempt(connection, entries))
        except (ItemFailed, _Apart):
            raise
        except Exception as error:
            first, last = entries[0], entries[-1]
            which = f"chunk {first.number}" if first is last else f"chunks {first.number} to {last.number}"
            start = first_item(first.number, target.chunk_size)
            end = first_item(last.number, target.chunk_size) + len(last.items) - 1
            error.add_note(f"job {target.name!r}, {which}: items {start} to {end}")
            raise

    async def _together(self, connection: PooledConnection, entries: Sequence[_Entry]) -> Stored:
        """All of them in one transaction, or none: then each is to be stored by itself.

        Raises:
            _Apart: some are stored already, an item has failed, or they take longer than one message may.
        """
        target, items = self._target, [item for entry in entries for item in entry.items]

        async def work(new: int) -> Stored:
            if new < len(entries):
                raise _Apart
            await target.effect.on_all(connection, items)
            return Stored(done=len(items))

        try:
            return await in_transaction(connection, self._begin(connection, entries), work, timeout=self._timeout)
        except Exception as error:
            if is_items_fault(error) or isinstance(error, QueryTimeout):
                raise _Apart from error
            raise

    async def _by_itself(self, connection: PooledConnection, entries: Sequence[_Entry]) -> Stored:
        """One chunk: its items all at once, and after one has failed once more with each by itself, as needed."""
        (entry,) = entries
        each_by_itself = self._expects_rejects
        try:
            return await self._once(connection, entry, each_by_itself=each_by_itself)
        except Exception as error:
            if each_by_itself or not is_items_fault(error):
                raise
        return await self._once(connection, entry, each_by_itself=True)

    async def _once(self, connection: PooledConnection, entry: _Entry, *, each_by_itself: bool) -> Stored:
        target, items = self._target, entry.items

        async def work(new: int) -> Stored:
            if not new:
                if await digest_of_chunk(connection, target.job_id, entry.number) != entry.digest:
                    raise target.changed(entry.number)
                return Stored(skipped=len(items))
            if not each_by_itself:
                await target.effect.on_all(connection, items)
                return Stored(done=len(items))
            failed = await target.effect.on_each(connection, items)
            if failed:
                first = first_item(entry.number, target.chunk_size)
                rejects = [rejected(first + at, items[at], error, 1) for at, error in failed.items()]
                await insert_rejects(connection, target.job_id, rejects)
            return Stored(done=len(items) - len(failed), rejected=len(failed))

        return await in_transaction(connection, self._begin(connection, [entry]), work, timeout=self._timeout)

    def _begin(self, connection: PooledConnection, entries: Sequence[_Entry]) -> Callable[[], Awaitable[int]]:
        rows = [(entry.number, len(entry.items), entry.digest) for entry in entries]
        return partial(enter_chunks, connection, self._target.job_id, rows, timeout=self._timeout)

    @property
    def _timeout(self) -> float:
        return self._target.effect.timeout


@dataclass(frozen=True, slots=True)
class _Entry:
    """A chunk, ready to be stored."""

    number: int
    items: Sequence[Args]
    digest: bytes


Attempt: TypeAlias = Callable[[PooledConnection, Sequence[_Entry]], Awaitable[Stored]]


class _Apart(Exception):
    """Chunks cannot be stored by one transaction."""


def rejected(ord: int, args: Args, error: Exception, attempts: int) -> Rejected:  # noqa: A002 - the column's name
    """The row of an item that is put aside."""
    return Rejected(ord, as_json(args), sqlstate(error), one_line(error)[:LONGEST_MESSAGE], attempts)
