"""Bulk writes: a caller's rows into a table, transaction by transaction."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from dbpool.bulk.access import Access
from dbpool.bulk.writing.applying import Applied, Job, RepeatedKey
from dbpool.bulk.writing.asked import Plan
from dbpool.bulk.writing.describing import describe
from dbpool.bulk.writing.reading import RowReader, Rows
from dbpool.bulk.writing.sending import NoBinaryForm, RowRefused, Sender
from dbpool.bulk.writing.written import Pacing, Written
from dbpool.connection import PooledConnection, Record
from dbpool.core.pieces import MOST_CONFLICTS, Piece, Pieces
from dbpool.core.retry import Backoff
from dbpool.core.rowshape import RowMisfit, RowShape, Values, names_in_first
from dbpool.core.tables import Table
from dbpool.errors import CommitOutcomeUnknown, ConnectionLost, QueryTimeout, WriteFailed, WriteOutcomeUnknown
from dbpool.faults import is_conflict, is_impatient, one_line, told_as_ours

_TELL_EVERY_S: Final = 0.5
_RETRY: Final = Backoff(first_s=0.01, cap_s=1.0)


class Writing:
    """One call of a bulk write.

    A transaction's rows are read before a connection is asked for, so that a slow source holds none, and kept until
    they are stored, so that they can be sent again.
    """

    def __init__(self, access: Access, plan: Plan, pacing: Pacing) -> None:
        self._access, self._plan, self._pacing = access, plan, pacing
        self._seconds = pacing.timeout or access.settings.query_timeout
        self._began = self._told_at = perf_counter()
        self._by_copy = True
        self._stored = 0
        self._inserted: int | None = 0
        self._updated: int | None = 0
        self._returned: list[Record] = []

    async def run(self, table_name: str, rows: Rows) -> Written:
        """Write all rows; see ``Lane.insert`` for what it raises."""
        with self._access.operation(self._plan.asked, table=table_name) as operation:
            try:
                return await self._run(table_name, rows)
            finally:
                operation.size = self._stored

    async def _run(self, table_name: str, rows: Rows) -> Written:
        reader = RowReader(rows)
        try:
            async with self._access.lease() as connection:
                with told_as_ours(connection, connection.held_by, self._seconds):
                    table = await describe(connection, table_name, self._seconds)
        except (ConnectionLost, QueryTimeout) as error:
            what = f"a write by {self._access.name} could not begin: {_why(error)}. {self._stored_in_words}."
            raise WriteFailed(what, rows_stored=0, first_row=0, last_row=0) from error
        self._plan.check(table)
        if self._plan.columns is not None:
            self._plan.checked_columns(table, None)
        try:
            await self._write(table, reader)
        except BaseException as error:
            if self._stored and not isinstance(error, (WriteFailed, WriteOutcomeUnknown)):
                is_sure = isinstance(error, Exception)  # one cancelled during COMMIT has a note of its own
                error.add_note(self._stored_in_words if is_sure else f"The first {self._stored:,} rows are stored")
            raise
        written = self._so_far(final=True)
        if self._pacing.progress is not None:
            self._pacing.progress(written)
        return written

    async def _write(self, table: Table, reader: RowReader) -> None:
        first = await reader.read(1)
        if not first:
            return
        with self._misfits_told():
            names = names_in_first(first[0])
            columns = self._plan.checked_columns(table, names)
        never_null = [columns.index(name) for name in self._plan.key]
        shape = RowShape(columns, is_all=self._plan.columns is None and names is not None, never_null=never_null)
        job = self._plan.job(table, columns)
        while first or not reader.is_at_end:
            chunk = await self._read_chunk(reader, shape, first)
            first = []
            if chunk:
                await self._store(chunk, job)

    async def _read_chunk(self, reader: RowReader, shape: RowShape, begun: list[object]) -> list[Values]:
        most = self._pacing.rows_per_transaction or sys.maxsize
        chunk: list[Values] = []
        rows = begun
        while True:
            with self._misfits_told():
                chunk += shape.read(rows, self._stored + len(chunk))
            if len(chunk) == most or reader.is_at_end:
                return chunk
            rows = await reader.read(most - len(chunk))

    async def _store(self, chunk: list[Values], job: Job) -> None:
        pieces = Pieces(len(chunk), may_halve=job.may_halve and self._pacing.rows_per_transaction is not None)
        chunk_starts = self._stored
        while (piece := pieces.next) is not None:
            try:
                applied = await self._transaction(chunk[piece.start : piece.end], job)
            except NoBinaryForm:
                self._by_copy = False
                continue
            except Exception as error:
                conflicts = pieces.conflicted() if is_conflict(error) else MOST_CONFLICTS
                if conflicts == MOST_CONFLICTS:
                    raise self._failed(error, chunk_starts, piece) from _cause(error)
                await asyncio.sleep(_RETRY.delay_s(conflicts, random.random()))
                continue
            pieces.stored()
            self._count(applied, piece.end - piece.start)

    async def _transaction(self, rows: list[Values], job: Job) -> Applied:
        async with self._access.lease() as connection:
            tx = PooledConnection.make_transaction(connection, traceable=True)
            async with tx:
                try:
                    with told_as_ours(connection, connection.held_by, self._seconds):
                        return await job.apply(Sender(connection, self._seconds, by_copy=self._by_copy), rows)
                except BaseException as error:
                    if is_impatient(error):
                        tx.leave_to_cleanup()  # who is cancelled is not kept for a rollback
                    raise

    def _count(self, applied: Applied, rows: int) -> None:
        self._stored += rows
        self._inserted = _sum(self._inserted, applied.inserted)
        self._updated = _sum(self._updated, applied.updated)
        self._returned += applied.returned
        now = perf_counter()
        if self._pacing.progress is not None and now - self._told_at >= _TELL_EVERY_S:
            self._told_at = now
            self._pacing.progress(self._so_far(final=False))

    def _so_far(self, *, final: bool) -> Written:
        return Written(
            rows=self._stored,
            inserted=self._inserted,
            updated=self._updated,
            seconds=perf_counter() - self._began,
            returned=self._returned if final else [],
        )

    def _failed(self, error: Exception, chunk_starts: int, piece: Piece) -> WriteFailed | WriteOutcomeUnknown:
        first, last = chunk_starts + piece.start, chunk_starts + piece.end - 1
        stored = {"rows_stored": self._stored, "first_row": first, "last_row": last}
        before = self._stored_in_words
        if isinstance(error, CommitOutcomeUnknown):
            unknown = WriteOutcomeUnknown(
                f"{error} It has the rows {first} to {last} (counted from 0). The {first:,} rows before are stored for "
                f"sure, none after it are.",
                xid=error.xid,
                **stored,
            )
            unknown.trace = error.trace
            return unknown
        what = (
            f"the transaction with the rows {first} to {last} (counted from 0) of a write by {self._access.name} failed"
        )
        if isinstance(error, RowRefused):
            row = first + error.place
            stored |= {"first_row": row, "last_row": row}
            what = f"row {row} (counted from 0) cannot be sent"
        if isinstance(error, RepeatedKey):
            stored |= {"first_row": first + error.first, "last_row": first + error.again}
            return WriteFailed(
                f"rows {first + error.first} and {first + error.again} have the same key: say which of them counts "
                f"with on_repeat='last' or 'first'. {before}.",
                **stored,
            )
        return WriteFailed(f"{what}: {_why(error)}. {before}.", **stored)

    @property
    def _stored_in_words(self) -> str:
        return f"The first {self._stored:,} rows are stored, none after them" if self._stored else "Nothing is stored"

    @contextmanager
    def _misfits_told(self) -> Iterator[None]:
        try:
            yield
        except RowMisfit as misfit:
            number = misfit.number
            raise WriteFailed(
                f"{misfit}. {self._stored_in_words}.",
                rows_stored=self._stored,
                first_row=number,
                last_row=number,
            ) from misfit


def _cause(error: Exception) -> BaseException:
    """What went wrong, without what this package makes of it for its own use."""
    return error.__cause__ or error if isinstance(error, RowRefused) else error


def _why(error: Exception) -> str:
    """What to say of it: of a statement that got no answer its own reason, for nothing of its transaction is stored."""
    if isinstance(error, (QueryTimeout, ConnectionLost)):
        return one_line(error.__cause__ or error)
    return one_line(_cause(error))


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
