"""A chunk is stored once: its effect with its ledger row, in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.bulk.jobs.effect import Effect, ItemFailed, is_items_fault
from dbpool.bulk.jobs.ledger import Rejected, digest_of_chunk, enter_chunk, insert_rejects
from dbpool.bulk.jobs.trying import Connections, tried
from dbpool.bulk.jobs.unit import in_transaction
from dbpool.connection import PooledConnection
from dbpool.core.chunks import first_item
from dbpool.core.digests import Args, items_of
from dbpool.core.params import as_json
from dbpool.errors import JobChanged
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
    digest: bytes


@dataclass(frozen=True, slots=True)
class Stored:
    """What became of items: done, skipped as they were done before, put aside."""

    done: int = 0
    skipped: int = 0
    rejected: int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(self.done + other.done, self.skipped + other.skipped, self.rejected + other.rejected)


class Storing:
    """Stores the chunks of one job."""

    def __init__(self, target: Target, connections: Connections) -> None:
        self._target = target
        self._connections = connections
        self._expects_rejects = False  # the last chunk had some

    async def store(self, chunk: Chunk) -> Stored:
        """Store *chunk*, unless it is stored already.

        Raises: the error of an item, with its number as a note; JobChanged; ConnectionLost, a conflict and the like,
            when every try met one.
        Cancelling: the chunk is stored whole, or not at all.
        """
        target = self._target
        first = first_item(chunk.number, target.chunk_size)
        items = items_of(chunk.keys)
        try:
            stored = await tried(
                self._connections, target.tries, lambda connection: self._attempt(connection, chunk, items)
            )
        except ItemFailed as failure:
            failure.error.add_note(f"item {first + failure.index}")
            raise failure.error from None
        except Exception as error:
            error.add_note(f"job {target.name!r}, chunk {chunk.number}: items {first} to {first + len(items) - 1}")
            raise
        self._expects_rejects = bool(stored.rejected)
        return stored

    async def _attempt(self, connection: PooledConnection, chunk: Chunk, items: Sequence[Args]) -> Stored:
        """All at once, and after an item has failed once more with each by itself, as far as needed."""
        each_by_itself = self._expects_rejects
        try:
            return await self._once(connection, chunk, items, each_by_itself=each_by_itself)
        except Exception as error:
            if each_by_itself or not is_items_fault(error):
                raise
        return await self._once(connection, chunk, items, each_by_itself=True)

    async def _once(
        self, connection: PooledConnection, chunk: Chunk, items: Sequence[Args], *, each_by_itself: bool
    ) -> Stored:
        target, timeout = self._target, self._target.effect.timeout

        async def begin() -> bool:
            return await enter_chunk(connection, target.job_id, chunk.number, len(items), chunk.digest, timeout=timeout)

        async def work(is_new: bool) -> Stored:  # noqa: FBT001 - what begin() returned
            if not is_new:
                if await digest_of_chunk(connection, target.job_id, chunk.number) != chunk.digest:
                    raise target.changed(chunk.number)
                return Stored(skipped=len(items))
            if not each_by_itself:
                await target.effect.on_all(connection, items)
                return Stored(done=len(items))
            failed = await target.effect.on_each(connection, items)
            if failed:
                first = first_item(chunk.number, target.chunk_size)
                rejects = [rejected(first + at, items[at], error, 1) for at, error in failed.items()]
                await insert_rejects(connection, target.job_id, rejects)
            return Stored(done=len(items) - len(failed), rejected=len(failed))

        return await in_transaction(connection, begin, work, timeout=timeout)


def rejected(ord: int, args: Args, error: Exception, attempts: int) -> Rejected:  # noqa: A002 - the column's name
    """The row of an item that is put aside."""
    return Rejected(ord, as_json(args), sqlstate(error), one_line(error)[:LONGEST_MESSAGE], attempts)
