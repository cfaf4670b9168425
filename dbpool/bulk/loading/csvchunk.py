"""A part of a CSV file, which goes to the server as it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.bulk.loading.chunks import BAD_COPY_FILE_FORMAT, Refusal, Row, Stage, stream
from dbpool.bulk.loading.options import ENCODINGS
from dbpool.bulk.loading.target import Target, literal, stage_of
from dbpool.bulk.loading.unreadable import unreadable
from dbpool.connection import PooledConnection, Want
from dbpool.core.csvtext import Dialect, count_values, has_return, is_left_open, rows, values
from dbpool.core.naming import quoted_list

IGNORES_ERRORS = 17  # the first PostgreSQL whose COPY can leave out what it cannot read
END_OF_DATA = b"\\."  # a row of its own that ends a COPY, before PostgreSQL 18


@dataclass(frozen=True, slots=True)
class CsvText:
    """How the text of a file is to be read; *end* is what its first row ends with."""

    dialect: Dialect
    end: bytes
    null: str
    encoding: str  # Python's name


@dataclass(frozen=True, slots=True)
class CsvChunk:
    """See ``Chunk``; *columns* None: those of the table."""

    file: str
    offset: int
    size: int
    line: int
    read: int
    pieces: tuple[bytes | memoryview, ...]
    text: CsvText
    columns: tuple[str, ...] | None

    def copy_options(self, more: str = "") -> str:
        dialect = self.text.dialect
        given = {"DELIMITER": dialect.delimiter, "QUOTE": dialect.quote, "ESCAPE": dialect.escape}
        words = ["FORMAT csv", *(f"{name} {literal(value.decode())}" for name, value in given.items())]
        words += [f"NULL {literal(self.text.null)}", f"ENCODING {literal(ENCODINGS[self.text.encoding])}"]
        return f"({', '.join(words)}{more})"

    async def put(self, connection: PooledConnection, target: Target, timeout: float) -> int:
        columns = quoted_list(self._columns(target))
        sql = f"COPY {target.sql} ({columns}) FROM STDIN {self.copy_options()}"
        connection.last_sql = sql
        status = await connection.copy_in(sql, stream(self._safe_pieces(target)), timeout)
        return int(status.split()[1])

    def apart(self) -> CsvChunk:
        return self

    def rows(self) -> list[Row]:
        found, line, end = [], self.line, self.text.end[-1:]
        for raw in rows(b"".join(self.pieces), self.text.dialect, self.text.end):
            found.append(Row(line, raw))
            line += raw.count(end) + 1
        return found

    def refused(self, rows: Sequence[Row], target: Target) -> list[Refusal]:
        count, found = len(self._columns(target)), []
        for index, row in enumerate(rows):
            raw = _bytes(row)
            if is_left_open(raw, self.text.dialect):
                reason = "unterminated CSV quoted field"
            elif has_return(raw, self.text.dialect):
                reason = "unquoted carriage return, where rows end with LF: is it the end of a row?"
            elif (values := count_values(raw, self.text.dialect)) != count:
                reason = f"{values} values for {count} columns"
            else:
                continue
            found.append(Refusal(index, BAD_COPY_FILE_FORMAT, reason))
        return found

    def stage_columns(self, target: Target) -> str:
        return stage_of(target, self._columns(target))

    async def stage(
        self,
        connection: PooledConnection,
        stage: Stage,
        rows: Sequence[tuple[int, Row]],
        target: Target,
        timeout: float,
    ) -> None:
        columns = quoted_list(("dbpool_n", *self._columns(target)))
        more = ", ON_ERROR ignore" if target.version >= IGNORES_ERRORS else ""
        sql = f"COPY {stage.sql} ({columns}) FROM STDIN {self.copy_options(more)}"
        await connection.copy_in(sql, stream(self.numbered(rows)), timeout)

    def numbered(self, rows: Sequence[tuple[int, Row]]) -> list[bytes]:
        """Rows with their numbers before them, some at a time."""
        delimiter = self.text.dialect.delimiter
        lines = [b"%d%b%b\n" % (number, delimiter, _bytes(row)) for number, row in rows]
        return [b"".join(lines[at : at + 1000]) for at in range(0, len(lines), 1000)]

    async def refused_on_stage(
        self, connection: PooledConnection, stage: Stage, rows: Sequence[tuple[int, Row]], timeout: float
    ) -> list[Refusal]:
        found = await connection.run(
            f"SELECT unnest($1::bigint[]) EXCEPT SELECT dbpool_n FROM {stage.sql}",
            ([number for number, _ in rows],),
            Want.ROWS,
            timeout,
        )
        missing = {row[0] for row in found}
        left_out = [(number, self._values(row)) for number, row in rows if number in missing]
        return await unreadable(connection, stage, left_out, timeout) if left_out else []

    def move(self, stage: Stage, target: Target) -> str:
        columns = quoted_list(self._columns(target))
        return f"INSERT INTO {target.sql} ({columns}) OVERRIDING SYSTEM VALUE SELECT {columns} FROM {stage.sql} AS s"

    def value(self, row: Row, column: str | None, target: Target) -> str | None:
        columns = self._columns(target)
        if column not in columns:
            return None
        found = self._values(row)
        index = columns.index(column)
        return found[index] if index < len(found) else None

    def _values(self, row: Row) -> list[str | None]:
        found = values(_bytes(row), self.text.dialect, self.text.null.encode())
        return [None if value is None else value.decode(self.text.encoding, "backslashreplace") for value in found]

    def _columns(self, target: Target) -> tuple[str, ...]:
        return self.columns or target.columns

    def _safe_pieces(self, target: Target) -> Sequence[bytes | memoryview]:
        """The text, without a row that the server would take for the end of all data, and drop what follows."""
        if target.version >= 18 or not any(b"\\" in bytes(piece) for piece in self.pieces):
            return self.pieces
        whole = b"".join(self.pieces)
        if END_OF_DATA not in whole:
            return self.pieces
        found = list(rows(whole, self.text.dialect, self.text.end))
        if END_OF_DATA not in found:
            return self.pieces
        quote = self.text.dialect.quote
        harmless = quote + END_OF_DATA.replace(self.text.dialect.escape, self.text.dialect.escape * 2) + quote
        return [b"".join((harmless if row == END_OF_DATA else row) + self.text.end for row in found)]


def _bytes(row: Row) -> bytes:
    assert isinstance(row.raw, bytes)
    return row.raw
