"""Parquet made of the server's CSV, which pyarrow reads without holding up Python."""

from __future__ import annotations

import binascii
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbpool.errors import ExportFailed, UsageError

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_BYTES: Final = 32 << 20  # of a row group in memory: few enough that several exports fit, enough to be read fast

SESSION: Final = (  # how pyarrow reads times and numbers
    "SET LOCAL datestyle = 'ISO'; SET LOCAL timezone = 'UTC'; SET LOCAL intervalstyle = 'iso_8601'; "
    "SET LOCAL extra_float_digits = 1"
)
_BYTEA: Final = 17
_NUMERIC: Final = 1700
_MOST_DIGITS: Final = 38  # of Arrow's decimal128


@dataclass(frozen=True, slots=True)
class Column:
    """A column of what is exported; *modifier* is PostgreSQL's for its type, -1 for none."""

    name: str
    type_oid: int
    type_name: str
    modifier: int = -1


def check_available() -> None:
    """Raise UsageError where pyarrow is not installed."""
    try:
        import pyarrow.parquet  # noqa: F401 - only whether it is there
    except ImportError as error:
        raise UsageError("format='parquet' needs pyarrow: pip install 'dbpool[arrow]'") from error


def as_readable(select: str, columns: Sequence[Column]) -> str:
    """*select* with its columns as pyarrow can read them: bytea as plain hex."""
    if all(column.type_oid != _BYTEA for column in columns):
        return select
    names = [f"c{place}" for place in range(len(columns))]
    shown = [
        f"encode({name}, 'hex')" if column.type_oid == _BYTEA else name
        for name, column in zip(names, columns, strict=True)
    ]
    return f"SELECT {', '.join(shown)} FROM ({select}) AS r ({', '.join(names)})"


def _types() -> Mapping[int, pa.DataType]:
    import pyarrow as pa

    return {
        16: pa.bool_(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        26: pa.uint32(),
        700: pa.float32(),
        701: pa.float64(),
        1082: pa.date32(),
        1083: pa.time64("us"),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
        _BYTEA: pa.binary(),
    }


def arrow_type(column: Column) -> pa.DataType:
    """What a column is in Parquet; a string where Arrow has nothing that holds all of its values."""
    import pyarrow as pa

    if column.type_oid == _NUMERIC and column.modifier >= 0:
        digits, scale = (column.modifier - 4) >> 16 & 0xFFFF, (column.modifier - 4) & 0x7FF
        if scale <= digits <= _MOST_DIGITS:
            return pa.decimal128(digits, scale)
    return _types().get(column.type_oid, pa.string())


class ParquetEncoder:
    """Reads blocks of CSV rows; makes row groups of them."""

    def __init__(self, columns: Sequence[Column]) -> None:
        import pyarrow as pa
        import pyarrow.csv as pc
        import pyarrow.parquet as pq

        if not columns:
            raise UsageError("a result without columns cannot be Parquet: select some, or export as csv")
        self._columns = columns
        self._schema = pa.schema([pa.field(column.name, arrow_type(column)) for column in columns])
        self._names = [f"c{place}" for place in range(len(columns))]  # those of the table may be twice the same
        self._parse = pc.ParseOptions(newlines_in_values=True, ignore_empty_lines=False)
        self._convert = pc.ConvertOptions(
            column_types={
                name: pa.string() if field.type == pa.binary() else field.type
                for name, field in zip(self._names, self._schema, strict=True)
            },
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            true_values=["t"],
            false_values=["f"],
        )
        self._made = _Collected()
        self._writer = pq.ParquetWriter(self._made, self._schema)
        self._group: list[pa.Table] = []

    def encode(self, block: Sequence[bytes]) -> Sequence[bytes]:
        self._group.append(self._table(b"".join(block)))
        if sum(table.nbytes for table in self._group) >= GROUP_BYTES:
            self._end_group()
        return [self._made.take()]

    def finish(self) -> bytes:
        self._end_group()
        self._writer.close()
        return self._made.take()

    def _end_group(self) -> None:
        import pyarrow as pa

        if self._group:
            table = pa.concat_tables(self._group)
            self._group.clear()
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))

    def _table(self, data: bytes) -> pa.Table:
        import pyarrow as pa
        import pyarrow.csv as pc

        # one block: whole rows, which pyarrow would else cut where it cannot
        read = pc.ReadOptions(column_names=self._names, block_size=len(data) + 1, use_threads=False)
        try:
            table = pc.read_csv(pa.BufferReader(data), read, self._parse, self._convert)
        except pa.ArrowInvalid as error:
            raise ExportFailed(f"a value does not fit its type in Parquet: {self._named(error)}") from error
        columns = [
            _from_hex(column) if field.type == pa.binary() else column
            for column, field in zip(table.columns, self._schema, strict=True)
        ]
        return pa.table(columns, schema=self._schema)

    def _named(self, error: Exception) -> str:
        text = str(error)
        for place, column in enumerate(self._columns):
            head = f"In CSV column #{place}: "
            if text.startswith(head):
                return (
                    f"column {column.name!r} of type {column.type_name}: {text.removeprefix(head)}. "
                    f"Export a query that casts it to text"
                )
        return text


def _from_hex(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Bytes of hex digits, all values of a chunk in one step."""
    import pyarrow as pa
    import pyarrow.compute as compute

    made = []
    for chunk in texts.chunks:
        chunk = pa.concat_arrays([chunk])  # without an offset
        valid, offsets, digits = chunk.buffers()
        positions = pa.Array.from_buffers(pa.int32(), len(chunk) + 1, [None, offsets])
        halved = compute.shift_right(positions, pa.scalar(1, pa.int32()))
        data = pa.py_buffer(binascii.unhexlify(digits) if digits is not None else b"")
        made.append(pa.Array.from_buffers(pa.binary(), len(chunk), [valid, halved.buffers()[1], data]))
    return pa.chunked_array(made, pa.binary())


class _Collected(io.RawIOBase):
    """A file that gives away what was written to it."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override] # pyarrow's own is bytes
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        pieces, self._pieces = self._pieces, []
        return b"".join(pieces)
