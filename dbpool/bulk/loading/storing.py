"""Chunks stored, each with its rejects in one transaction."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import Any, Protocol

from dbpool.bulk.access import Access
from dbpool.bulk.loading.chunks import ApartChunk, Chunk, Refusal, Row, RowRefused
from dbpool.bulk.loading.options import Load
from dbpool.bulk.loading.rejects import RejectFile
from dbpool.bulk.loading.rescue import rescue
from dbpool.bulk.loading.results import Reject
from dbpool.bulk.loading.tally import Tally, part_of
from dbpool.bulk.loading.target import Target
from dbpool.bulk.loading.threads import Threads
from dbpool.connection import PooledConnection, PostgresError, Want
from dbpool.core.retry import Backoff, Verdict, verdict
from dbpool.errors import CommitOutcomeUnknown, ConnectionLost, Outcome
from dbpool.faults import copy_place, is_impatient, is_refused_data, one_line, told_as_ours
from dbpool.observing import Asked
from dbpool.outcomes import outcome_now

ATTEMPTS = 5  # of a chunk that conflicts, or whose connection is lost
RETRY = Backoff(first_s=0.05, cap_s=1.0)


class ChunkFailed(Exception):
    """A chunk could not be stored; says of which row it is, where that is known."""

    def __init__(self, message: str, chunk: Chunk, line: int | None = None) -> None:
        super().__init__(message)
        self.file, self.line = chunk.file, line


class OpenTransaction(Protocol):
    """A connection's transaction, as far as it is needed here."""

    @property
    def state(self) -> Enum: ...
    async def commit(self) -> None: ...


class _NotStored(Exception):
    """The connection was lost at COMMIT, and the server says that nothing was stored."""


@dataclass(slots=True)
class _Attempt:
    """One transaction's way; *is_kept* once its rejects stay in their file whatever else happens."""

    rows: int = 0
    rejects: list[Reject] = field(default_factory=list)
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class Store:
    """Stores chunks in a table, any number of them at once."""

    access: Access
    target: Target
    load: Load
    tally: Tally
    threads: Threads
    reject_file: RejectFile | None
    adding: asyncio.Lock  # to the file of rejects: only what was added last can be cut off again

    @property
    def timeout(self) -> float:
        """Seconds for each statement."""
        return self.load.timeout or self.access.settings.query_timeout

    async def store(self, chunk: Chunk) -> None:
        """Store *chunk*, again where it conflicts with others or its connection is lost before COMMIT.

        Raises:
            ChunkFailed: it cannot be stored; the cause says why. Nothing of it is, unless its part is doubtful now.
        """
        for attempt in range(1, ATTEMPTS + 1):
            try:
                await self._try(chunk)
                break
            except ChunkFailed:
                raise
            except Exception as error:
                if attempt == ATTEMPTS or not _is_worth_another(error):
                    raise ChunkFailed(one_line(error), chunk) from error
            await asyncio.sleep(RETRY.delay_s(attempt, random.random()))
        self.tally.tell_if_due()  # not before: what the caller's function raises must not look like a failed attempt

    async def store_all(self, chunks: Callable[[], Awaitable[Chunk | None]]) -> None:
        """Store every chunk in one transaction.

        Raises:
            ChunkFailed: one of them cannot be stored; then nothing is.
        """
        chunk, is_stored = None, False
        try:
            async with self._transaction() as (connection, tx):
                while (chunk := await chunks()) is not None:
                    rows, rejects = await self.put(connection, chunk)
                    async with self._keeping(chunk, _Attempt(rejects=rejects, is_kept=True)):
                        self.tally.add(chunk, rows, rejects)
                    self.tally.tell_if_due()
                try:
                    await tx.commit()
                finally:
                    is_stored = tx.state.name == "COMMITTED"
        except BaseException as error:
            is_stored = is_stored or await self._is_stored_after_all(error)
            if not is_stored:
                self.tally.forget()
                if (file := self.reject_file) is not None:
                    await self.threads.call(lambda: file.take_back(0))
            elif isinstance(error, CommitOutcomeUnknown):
                return
            if chunk is None or isinstance(error, ChunkFailed) or not isinstance(error, Exception):
                raise
            raise ChunkFailed(one_line(error), chunk) from error

    async def _is_stored_after_all(self, error: BaseException) -> bool:
        """Whether a transaction is stored whose COMMIT was not answered; what nobody can say is doubtful."""
        if not isinstance(error, CommitOutcomeUnknown):
            return False
        outcome = await self._outcome(error)
        if outcome is Outcome.UNKNOWN:
            self.tally.doubtful += self.tally.stored
        return outcome is Outcome.COMMITTED

    async def _try(self, chunk: Chunk) -> None:
        attempt = _Attempt()
        async with AsyncExitStack() as kept:
            try:
                async with self._transaction() as (connection, tx):
                    attempt.rows, attempt.rejects = await self.put(connection, chunk)
                    await kept.enter_async_context(self._keeping(chunk, attempt))
                    try:
                        await tx.commit()
                    except asyncio.CancelledError:
                        if tx.state.name == "UNKNOWN":
                            self._doubt(chunk, attempt)
                        raise
                    finally:
                        if tx.state.name == "COMMITTED":  # also when it was cancelled meanwhile
                            self._note(chunk, attempt)
            except CommitOutcomeUnknown as error:
                try:
                    outcome = await self._outcome(error)
                except asyncio.CancelledError:  # another chunk failed: nobody asks any more
                    self._doubt(chunk, attempt)
                    raise
                match outcome:
                    case Outcome.COMMITTED:
                        self._note(chunk, attempt)
                    case Outcome.ABORTED:
                        raise _NotStored from error
                    case _:
                        self._doubt(chunk, attempt)
                        raise

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[tuple[PooledConnection, OpenTransaction]]:
        """A lease in a transaction, to be committed in the block."""
        async with self.access.lease() as connection:
            tx = PooledConnection.make_transaction(connection, traceable=True)
            await tx.start()
            try:
                yield connection, tx
            except BaseException as error:
                if is_impatient(error):
                    tx.leave_to_cleanup()
                else:
                    await tx.__aexit__(type(error), error, None)
                raise

    def _doubt(self, chunk: Chunk, attempt: _Attempt) -> None:
        attempt.is_kept = True  # rather twice than lost
        self.tally.doubtful.append(part_of(chunk, 0, 0))

    def _note(self, chunk: Chunk, attempt: _Attempt) -> None:
        attempt.is_kept = True
        self.tally.add(chunk, attempt.rows, attempt.rejects)

    async def put(self, connection: PooledConnection, chunk: Chunk) -> tuple[int, list[Reject]]:
        """Store *chunk* in a transaction that is under way; return how many rows are stored, and the others.

        Raises:
            ChunkFailed: a row was refused, and may not be; or more than may be.
            ConnectionLost, QueryTimeout: nothing of it is stored.
        """
        with told_as_ours(connection, connection.held_by, self.timeout):
            with self.access.operation(Asked.PART, f"COPY {self.target.sql} FROM STDIN", table=self.target.sql):
                return await self._put(connection, chunk)

    async def _put(self, connection: PooledConnection, chunk: Chunk) -> tuple[int, list[Reject]]:
        try:
            async with PooledConnection.make_transaction(connection):
                rows = await chunk.put(connection, self.target, self.timeout)
                if self.load.on_reject != "raise":
                    await connection.run("SET CONSTRAINTS ALL IMMEDIATE", (), Want.STATUS, self.timeout)
                return rows, []
        except (PostgresError, RowRefused) as error:
            if isinstance(error, PostgresError) and not is_refused_data(error):
                raise
            if self.load.on_reject == "raise":
                failed = self._refused(chunk, error)
                if failed.line is None:
                    failed.line = await self._first_refused(connection, chunk)
                raise failed from error
        rows, rejects = await self._apart(connection, chunk)
        self._check_most(chunk, rejects)
        return rows, rejects

    async def _apart(self, connection: PooledConnection, chunk: Chunk) -> tuple[int, list[Reject]]:
        apart = chunk.apart()
        whole = await self.threads.call(apart.rows)
        rows, refusals = await rescue(connection, self.target, apart, whole, self.timeout)
        return rows, [self._reject(apart, whole[refusal.index], refusal) for refusal in refusals]

    async def _first_refused(self, connection: PooledConnection, chunk: Chunk) -> int | None:
        """Where the error of a chunk does not say it: the line of the first row that is refused alone, too."""
        try:
            _, rejects = await self._apart(connection, chunk)
        except Exception:  # the chunk has failed anyway
            return None
        return rejects[0].line if rejects else None

    def _refused(self, chunk: Chunk, error: PostgresError | RowRefused) -> ChunkFailed:
        line, column = (error.index + 1, None) if isinstance(error, RowRefused) else copy_place(error)
        where = "" if column is None else f', column "{column}"'
        exact = None if line is None else chunk.line + line - 1
        return ChunkFailed(f"{error.sqlstate} {str(error).splitlines()[0]}{where}", chunk, exact)

    def _reject(self, chunk: ApartChunk, row: Row, refusal: Refusal) -> Reject:
        value = chunk.value(row, refusal.column, self.target)
        raw = row.raw.decode("utf-8", "surrogateescape") if isinstance(row.raw, bytes) else repr(row.raw)
        return Reject(chunk.file, row.line, refusal.column, value, refusal.sqlstate, refusal.message, raw)

    def _check_most(self, chunk: Chunk, rejects: list[Reject]) -> None:
        most = self.load.most_rejects
        if most is not None and self.tally.rejected + len(rejects) > most:
            over = rejects[max(most - self.tally.rejected, 0)]
            reason = f"{over.sqlstate} {over.message}"
            raise ChunkFailed(f"more than {most:,} rows are refused, the next one with {reason}", chunk, over.line)

    @asynccontextmanager
    async def _keeping(self, chunk: Chunk, attempt: _Attempt) -> AsyncIterator[None]:
        """Write rejects to their file, and take them back after the block unless they are to be kept."""
        file = self.reject_file
        if file is None or not attempt.rejects:
            yield
            return
        async with self.adding:
            try:
                before = await self.threads.call(lambda: file.add(attempt.rejects))
            except OSError as error:
                raise ChunkFailed(f"rejects cannot be written to {file.path}: {error}", chunk) from error
            try:
                yield
            finally:
                if not attempt.is_kept:
                    await self.threads.call(lambda: file.take_back(before))

    async def _outcome(self, error: CommitOutcomeUnknown) -> Outcome:
        """What became of a transaction, asked on another connection; UNKNOWN if nobody can say."""
        for _ in range(ATTEMPTS):
            try:
                async with self.access.lease() as connection:
                    outcome = await outcome_now(error, partial(self._rows, connection))
            except Exception:  # whatever it was, nobody can say
                return Outcome.UNKNOWN
            if outcome is not Outcome.IN_PROGRESS:
                return outcome
            await asyncio.sleep(RETRY.cap_s)
        return Outcome.UNKNOWN

    async def _rows(self, connection: PooledConnection, sql: str, args: tuple[object, ...]) -> Sequence[Any]:
        rows: Sequence[Any] = await connection.run(sql, args, Want.ROWS, self.timeout)
        return rows


def _is_worth_another(error: Exception) -> bool:
    if isinstance(error, PostgresError):
        return verdict(error.sqlstate) is Verdict.RETRY_TRANSACTION
    return isinstance(error, _NotStored) or (
        isinstance(error, ConnectionLost) and not isinstance(error, CommitOutcomeUnknown)
    )
