"""Frames by the Arrow C stream, encoded by pgpq."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from dbpool.bulk.loading.binarychunk import BinaryChunk
from dbpool.bulk.loading.chunks import Refusal
from dbpool.bulk.loading.options import Load
from dbpool.bulk.loading.recordchunk import DATA_EXCEPTION, RecordChunk
from dbpool.bulk.loading.target import Target
from dbpool.errors import UsageError
from dbpool.faults import one_line

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 8192  # encoded in one call, which lets nobody else run

# What pgpq makes of a column, and the type that takes this as it is.
ENCODED = {
    "Bool": {"bool"},
    "Bytea": {"bytea"},
    "Char": {"char"},
    "Int2": {"int2"},
    "Int4": {"int4"},
    "Int8": {"int8"},
    "Float4": {"float4"},
    "Float8": {"float8"},
    "Text": {"text", "varchar", "bpchar", "name", "json"},
    "Jsonb": {"jsonb"},
    "Numeric": {"numeric"},
    "Date": {"date"},
    "Time": {"time"},
    "Timestamp": {"timestamp", "timestamptz"},
    "Interval": {"interval"},
}


@dataclass(frozen=True, slots=True)
class Frame:
    """A stream of record batches, to be cast to what the table's columns take."""

    reader: pa.RecordBatchReader
    columns: tuple[str, ...]
    schema: pa.Schema  # after the cast
    chunk_bytes: int

    @classmethod
    def of(cls, source: object, load: Load, target: Target) -> Frame:
        """Check the stream's columns against the table's.

        Raises:
            ImportError: pyarrow or pgpq is not installed.
            UsageError: a column is missing, or of a type that cannot be cast to the table's.
        """
        try:
            import pgpq  # noqa: F401 - said now that it is missing, not later
            import pyarrow as pa
        except ImportError as error:
            raise ImportError("to load frames takes pyarrow and pgpq: pip install 'dbpool[arrow]'") from error
        reader = pa.RecordBatchReader.from_stream(source)
        names = load.columns or tuple(reader.schema.names)
        if missing := [name for name in names if name not in reader.schema.names]:
            raise UsageError(f"the frame has no column {', '.join(missing)}")
        if unknown := [name for name in names if name not in target.types]:
            raise UsageError(f"table {target.sql} has no column {', '.join(unknown)} that can be written to")
        fields = [_fitting(reader.schema.field(name), target.types[name]) for name in names]
        return cls(reader, names, pa.schema(fields), load.cut_size(None))

    def chunks(self) -> Generator[BinaryChunk | RecordChunk, None, None]:
        """Chunks of about ``chunk_bytes``, as they are sent; what cannot be cast is in chunks of records."""
        import pgpq

        offset, encoder, pieces, parts, size = 0, None, list[bytes](), list["pa.RecordBatch"](), 0
        for batch in self._batches():
            cast = self._cast(batch)
            if encoder is not None and (cast is None or size >= self.chunk_bytes):
                yield self._chunk(offset, [*pieces, encoder.finish()], parts, size)
                offset, encoder = offset + sum(part.num_rows for part in parts), None
            if cast is None:
                yield self._misfits(offset, batch)
                offset += batch.num_rows
                continue
            if encoder is None:
                encoder = pgpq.ArrowToPostgresBinaryEncoder(self.schema)
                pieces, parts, size = [encoder.write_header()], [], 0
            pieces.append(encoder.write_batch(cast))
            parts.append(cast)
            size += cast.nbytes
        if encoder is not None:
            yield self._chunk(offset, [*pieces, encoder.finish()], parts, size)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        for batch in self.reader:
            for at in range(0, batch.num_rows, ROWS_AT_ONCE):
                yield batch.select(list(self.columns)).slice(at, ROWS_AT_ONCE)

    def _cast(self, batch: pa.RecordBatch) -> pa.RecordBatch | None:
        """What is to be encoded; None if a value cannot be cast."""
        import pyarrow as pa

        try:
            columns = list(map(_cast, batch.columns, self.schema))
        except pa.ArrowInvalid:
            return None
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)

    def _misfits(self, offset: int, batch: pa.RecordBatch) -> RecordChunk:
        """The same rows as records, with what is wrong with those that cannot be cast."""
        import pyarrow as pa

        columns, misfits = [], dict[int, Refusal]()
        for column, field in zip(batch.columns, self.schema, strict=True):
            values = []
            for index in range(len(column)):
                # to cast a slice of lists casts what is in the others, too
                value = column.take([index]) if _is_list(column.type) else column.slice(index, 1)
                try:
                    value = _cast(value, field)
                except pa.ArrowInvalid as error:
                    misfits.setdefault(index, Refusal(index, DATA_EXCEPTION, one_line(error), field.name))
                values += value.to_pylist()
            columns.append(values)
        records = list(zip(*columns, strict=True))
        return RecordChunk(offset, records, self.columns, read=batch.nbytes, misfits=tuple(misfits.values()))

    def _chunk(self, offset: int, pieces: list[bytes], parts: list[pa.RecordBatch], size: int) -> BinaryChunk:
        def records() -> list[tuple[object, ...]]:
            return [row for part in parts for row in zip(*(column.to_pylist() for column in part.columns), strict=True)]

        return BinaryChunk(offset, sum(part.num_rows for part in parts), size, pieces, self.columns, records)


def _cast(column: pa.Array, field: pa.Field) -> pa.Array:
    import pyarrow as pa

    if pa.types.is_dictionary(column.type):  # as polars' Categorical is, whose texts pyarrow cannot take as they are
        return _cast(column.dictionary, field).take(column.indices)
    is_time = pa.types.is_timestamp(field.type)  # what is finer than a microsecond is cut off
    return column if column.type == field.type else column.cast(field.type, safe=not is_time)


def _fitting(field: pa.Field, type_: str) -> pa.Field:
    """*field*, cast if need be to what the column's type takes.

    Raises:
        UsageError: there is no such cast.
    """
    import pyarrow as pa

    if pa.types.is_dictionary(field.type):
        field = field.with_type(field.type.value_type)
    elif type_ in _takers(field):
        return field
    is_list = _is_list(field.type)
    wanted = _wanted().get(type_.removeprefix("_") if is_list else type_)
    if wanted is not None:
        wanted = pa.list_(wanted) if is_list else wanted
        try:
            pa.array([], field.type).cast(wanted)
        except pa.ArrowException:
            wanted = None
    if wanted is None or type_ not in _takers(field.with_type(wanted)) or _loses(field.type, type_):
        raise UsageError(
            f"column {field.name!r} is {type_}, to which the frame's {field.type} cannot be cast: cast it yourself, or "
            f"pass records"
        )
    return field.with_type(wanted)


def _loses(given: pa.DataType, type_: str) -> bool:
    """Whether a cast would round: numeric has no scale of its own."""
    import pyarrow as pa

    return type_.endswith("numeric") and pa.types.is_floating(given.value_type if _is_list(given) else given)


def _is_list(type_: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_list(type_) or pa.types.is_large_list(type_))


def _takers(field: pa.Field) -> set[str]:
    """The types whose columns take what pgpq makes of *field*; none if it can make nothing."""
    import pgpq
    import pyarrow as pa

    if _is_list(field.type):
        return {f"_{type_}" for type_ in _takers(field.type.value_field)}
    try:
        made = pgpq.ArrowToPostgresBinaryEncoder(pa.schema([field])).schema().columns[0].data_type
    except ValueError:
        return set()
    return ENCODED.get(type(made).__name__, set())


@cache
def _wanted() -> dict[str, pa.DataType]:
    """What to cast to for a column of each type."""
    import pyarrow as pa

    text = dict.fromkeys(("text", "varchar", "bpchar", "name", "json"), pa.string())
    return text | {
        "bool": pa.bool_(),
        "bytea": pa.binary(),
        "int2": pa.int16(),
        "int4": pa.int32(),
        "int8": pa.int64(),
        "float4": pa.float32(),
        "float8": pa.float64(),
        "numeric": pa.decimal128(38, 0),
        "date": pa.date32(),
        "time": pa.time64("us"),
        "timestamp": pa.timestamp("us"),
        "timestamptz": pa.timestamp("us", "UTC"),
        "interval": pa.duration("us"),
    }
