"""Parquet files: every type as what holds its values, rows as the server has them."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dbpool import ExportFailed, UsageError
from dbpool.bulk.exporting.parquet import GROUP_BYTES
from tests.support.databases import Database
from tests.support.exports import MIXED, PAGE, files_in
from tests.support.pools import pool_of, witness_of

pq = pytest.importorskip("pyarrow.parquet")
pa = pytest.importorskip("pyarrow")

TYPES: list[tuple[str, str, str, object]] = [
    ("bool", "true", "bool", True),
    ("int2", "-7", "int16", -7),
    ("int4", "2147483647", "int32", 2147483647),
    ("int8", "-9223372036854775808", "int64", -(2**63)),
    ("oid", "4294967295", "uint32", 2**32 - 1),
    ("float4", "1.5", "float", 1.5),
    ("float8", "0.1", "double", 0.1),
    ("float8", "'-Infinity'", "double", float("-inf")),
    ("numeric(10,2)", "-1.5", "decimal128(10, 2)", Decimal("-1.50")),
    ("numeric", "1.10", "string", "1.10"),
    ("numeric(50,2)", "1.1", "string", "1.10"),
    ("text", "E'two\\nlines, \"quoted\" \\\\N'", "string", 'two\nlines, "quoted" \\N'),
    ("text", "''", "string", ""),
    ("text", "'NULL'", "string", "NULL"),
    ("varchar(9)", "'größe'", "string", "größe"),
    ("date", "'1969-12-31'", "date32[day]", date(1969, 12, 31)),
    ("time", "'23:59:59.000001'", "time64[us]", time(23, 59, 59, 1)),
    ("timestamp", "'1900-01-02 03:04:05.000006'", "timestamp[us]", datetime(1900, 1, 2, 3, 4, 5, 6)),  # noqa: DTZ001 - that is what it is
    ("timestamptz", "'2024-02-29 12:00+05:30'", "timestamp[us, tz=UTC]", datetime(2024, 2, 29, 6, 30, tzinfo=UTC)),
    ("bytea", r"'\x00ff'", "binary", b"\x00\xff"),
    ("bytea", "''", "binary", b""),
    ("uuid", "'12345678123456781234567812345678'", "string", "12345678-1234-5678-1234-567812345678"),
    ("jsonb", "'{\"a\": [1]}'", "string", '{"a": [1]}'),
    ("int[]", "'{1,NULL}'", "string", "{1,NULL}"),
    ("whole_number", "7", "int32", 7),
]


async def test_every_type_is_what_holds_its_values_and_null_stays_null(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    columns = [f"c{place}" for place in range(len(TYPES))]
    async with pool_of(database, server_settings={"timezone": "Asia/Tokyo", "datestyle": "German"}) as db:
        await db.execute("create domain whole_number as int")
        shape = ", ".join(f"{name} {kind}" for name, (kind, *_) in zip(columns, TYPES, strict=True))
        await db.execute(f"create table typed ({shape})")
        await db.execute(f"insert into typed values ({', '.join(value for _, value, *_ in TYPES)})")
        await db.execute("insert into typed (c0) values (null)")
        done = await db.export("typed", path)
    table = pq.read_table(path)
    assert [str(field.type) for field in table.schema] == [kind for _, _, kind, _ in TYPES]
    full, empty = table.to_pylist()
    assert list(full.values()) == [value for *_, value in TYPES]
    assert set(empty.values()) == {None}
    assert (done.rows, done.bytes) == (2, path.stat().st_size)


async def test_a_table_in_parts_is_one_file_in_the_order_of_the_pages(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        await db.export("mixed", tmp_path / "a.parquet", part_bytes=PAGE, at_once=2)
        rows = await witness.rows("select id, name, amount, at, raw, doc::text from mixed")
    assert [tuple(row.values()) for row in pq.read_table(tmp_path / "a.parquet").to_pylist()] == rows


async def test_a_long_table_is_several_row_groups(database: Database, tmp_path: Path) -> None:
    many = GROUP_BYTES // 1000 * 2
    async with pool_of(database) as db:
        await db.export(
            f"select n, repeat('x', 1000) as b from generate_series(1, {many}) as n", tmp_path / "a.parquet"
        )
    file: Any = pq.ParquetFile(tmp_path / "a.parquet")
    assert file.metadata.num_rows == many
    assert 2 <= file.metadata.num_row_groups <= 3


async def test_a_row_may_be_larger_than_what_is_written_together(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.export("select repeat(n::text, 5000000) as b from generate_series(1, 3) as n", tmp_path / "a.parquet")
    assert [len(each) for each in pq.read_table(tmp_path / "a.parquet").column("b").to_pylist()] == [5_000_000] * 3


async def test_a_query_into_parquet_may_repeat_names_and_have_a_single_null(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.export("select 1 as a, '\\x01'::bytea as a", tmp_path / "a.parquet")
        await db.export("select nullif(n, 2) as n from generate_series(1, 3) as n", tmp_path / "b.parquet")
        await db.export("select 1 as n where false", tmp_path / "c.parquet")
    with (tmp_path / "a.parquet").open("rb") as file:
        table = pq.ParquetFile(file).read()
    assert [column.to_pylist() for column in table.columns] == [[1], [b"\x01"]]
    assert pq.read_table(tmp_path / "b.parquet").column("n").to_pylist() == [1, None, 3]
    assert pq.read_table(tmp_path / "c.parquet").schema.field("n").type == pa.int32()


async def test_a_file_a_part_and_a_function_get_whole_parquet_too(database: Database, tmp_path: Path) -> None:
    blocks: list[bytes] = []

    async def take(block: bytes) -> None:
        blocks.append(block)

    async with pool_of(database) as db:
        await db.execute(MIXED)
        done = await db.export("mixed", tmp_path, format="parquet", part_bytes=8 * PAGE)
        await db.export("mixed", take, format="parquet")
    ids = [each for path in done.paths for each in pq.read_table(path).column("id").to_pylist()]
    assert ids == pq.read_table(pa.BufferReader(b"".join(blocks))).column("id").to_pylist() == list(range(1, 2001))


async def test_a_value_that_parquet_cannot_hold_is_told_with_its_column(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        with pytest.raises(ExportFailed, match="column 'due' of type date"):
            await db.export("select 1 as a, 'infinity'::date as due", tmp_path / "a.parquet")
        with pytest.raises(UsageError, match="without columns"):
            await db.export("select", tmp_path / "a.parquet")
    assert files_in(tmp_path) == []
