"""Records of a program, as a binary COPY has them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from operator import length_hint

from dbpool.bulk.loading.chunks import BAD_COPY_FILE_FORMAT, Refusal, Row, RowRefused, Stage
from dbpool.bulk.loading.encoding import SLICE_S, EncodedRecords
from dbpool.bulk.loading.target import Target, stage_of
from dbpool.connection import PooledConnection, PostgresError
from dbpool.core.naming import qualified, quoted_list
from dbpool.core.recordcodec import encoder_of
from dbpool.core.writesql import insert_values
from dbpool.faults import copy_place, is_refused_by_driver, is_refused_data, one_line, sqlstate

DATA_EXCEPTION = "22000"
SLICE_ROWS = 128  # between two looks at the clock
INSERTED_ROWS = 1000  # sent at once: others have their turn in between


@dataclass(frozen=True, slots=True)
class RecordChunk:
    """See ``Chunk``; *columns* None: those of the table; *misfits* are known to be refused."""

    offset: int
    records: Sequence[Sequence[object]]
    columns: tuple[str, ...] | None
    file: str | None = None
    read: int = 0
    misfits: tuple[Refusal, ...] = ()

    @property
    def size(self) -> int:
        return len(self.records)

    @property
    def line(self) -> int:
        return self.offset + 1

    async def put(self, connection: PooledConnection, target: Target, timeout: float) -> int:
        if self.misfits:
            first = min(self.misfits, key=lambda misfit: misfit.index)
            raise RowRefused(first.index, first.sqlstate, f'{first.message}, column "{first.column}"')
        columns = self.columns or target.columns
        before, rows = await self._put_encoded(connection, target, columns, timeout)
        if before < len(self.records):  # the driver knows all types, and says what is wrong
            try:
                rows += await _copy(connection, target.name, target.schema, self.records[before:], columns, timeout)
            except (PostgresError, RowRefused) as error:
                if before == 0:
                    raise
                raise _behind(before, error) from error
        return rows

    async def _put_encoded(
        self, connection: PooledConnection, target: Target, columns: Sequence[str], timeout: float
    ) -> tuple[int, int]:
        """Store the first ones, up to one that only the driver can encode; return how many were sent, and stored."""
        encode = encoder_of([target.types.get(name) for name in columns])
        if encode is None:
            return 0, 0
        encoded = EncodedRecords(self.records, encode, len(columns))
        connection.last_sql = sql = f"COPY {target.sql} ({quoted_list(columns)}) FROM STDIN (FORMAT binary)"
        status = await connection.copy_in(sql, encoded, timeout)
        return encoded.count, int(status.split()[1])

    def apart(self) -> RecordChunk:
        return self

    def rows(self) -> list[Row]:
        return [Row(self.line + index, record) for index, record in enumerate(self.records)]

    def refused(self, rows: Sequence[Row], target: Target) -> list[Refusal]:
        count = len(self.columns or target.columns)
        return [
            *self.misfits,
            *(
                Refusal(index, BAD_COPY_FILE_FORMAT, f"{len(row.raw)} values for {count} columns")
                for index, row in enumerate(rows)
                if len(row.raw) != count
            ),
        ]

    def stage_columns(self, target: Target) -> str:
        return stage_of(target, self.columns or target.columns)

    async def stage(
        self,
        connection: PooledConnection,
        stage: Stage,
        rows: Sequence[tuple[int, Row]],
        target: Target,
        timeout: float,
    ) -> None:
        columns = ("dbpool_n", *(self.columns or target.columns))
        records = [(number, *row.raw) for number, row in rows]
        await _copy(connection, stage.name, "pg_temp", records, columns, timeout)

    async def refused_on_stage(
        self, connection: PooledConnection, stage: Stage, rows: Sequence[tuple[int, Row]], timeout: float
    ) -> list[Refusal]:
        return []

    def move(self, stage: Stage, target: Target) -> str:
        columns = quoted_list(self.columns or target.columns)
        return f"INSERT INTO {target.sql} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage.sql} AS s"

    def value(self, row: Row, column: str | None, target: Target) -> str | None:
        columns = self.columns or target.columns
        index = columns.index(column) if column in columns else len(row.raw)
        return repr(row.raw[index]) if index < len(row.raw) else None


def _behind(before: int, error: PostgresError | RowRefused) -> PostgresError | RowRefused:
    """*error* about a row that is so many behind the one that it tells."""
    if isinstance(error, RowRefused):
        return RowRefused(before + error.index, error.sqlstate, error.message)
    line, column = copy_place(error)
    if line is None or not is_refused_data(error):
        return error
    where = "" if column is None else f', column "{column}"'
    return RowRefused(before + line - 1, error.sqlstate, f"{str(error).splitlines()[0]}{where}")


class _Paced:
    """Records for the driver, which takes them without a pause: gives others their turn every now and then."""

    def __init__(self, records: Sequence[Sequence[object]], width: int) -> None:
        self._records, self._width = records, width
        self._slice: Iterator[Sequence[object]] = iter(())
        self._end = 0  # of the slice

    @property
    def taken(self) -> int:
        """How many the driver has taken; the last one is being encoded."""
        return self._end - length_hint(self._slice)

    async def __aiter__(self) -> AsyncIterator[Sequence[object]]:
        clock = time.perf_counter
        pause_at = clock() + SLICE_S
        for start in range(0, len(self._records), SLICE_ROWS):
            part = self._records[start : start + SLICE_ROWS]
            if set(map(len, part)) != {self._width}:
                self._refuse(part, start)
            self._slice, self._end = iter(part), start + len(part)
            for record in self._slice:
                yield record
            if clock() > pause_at:
                await asyncio.sleep(0)
                pause_at = clock() + SLICE_S

    def _refuse(self, part: Sequence[Sequence[object]], start: int) -> None:
        index, size = next((index, len(record)) for index, record in enumerate(part) if len(record) != self._width)
        raise RowRefused(start + index, BAD_COPY_FILE_FORMAT, f"{size} values for {self._width} columns")


async def _copy(
    connection: PooledConnection,
    table: str,
    schema: str | None,
    records: Sequence[Sequence[object]],
    columns: Sequence[str],
    timeout: float,
) -> int:
    """COPY records, or INSERT them where a column's type has no binary form in the driver; return how many.

    Raises:
        RowRefused: one of them cannot be encoded for its column's type.
    """
    paced = _Paced(records, len(columns))
    try:
        async with PooledConnection.make_transaction(connection):
            status = await connection.copy_records_to_table(
                table, schema_name=schema, records=paced, columns=list(columns), timeout=timeout
            )
            return int(status.split()[1])
    except (TypeError, ValueError, OverflowError, ArithmeticError, AttributeError, LookupError) as error:
        if sqlstate(error) is not None or not paced.taken:
            raise
        raise RowRefused(paced.taken - 1, DATA_EXCEPTION, f"cannot be encoded: {one_line(error)}") from error
    except Exception as error:
        if not is_refused_by_driver(error) or paced.taken or connection.is_closed():
            raise
        sql = insert_values(qualified(schema, table), columns, overriding=True)
        for at in range(0, len(records), INSERTED_ROWS):
            await connection.executemany(sql, records[at : at + INSERTED_ROWS], timeout=timeout)
        return len(records)
