"""The rows of a file as items of map."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from dbpool import CsvRows, NdjsonRows, SettingsError, SourceFailed
from dbpool.bulk.files import TextRow
from tests.support.databases import Database
from tests.support.pools import pool_of

CONCAT = "select concat_ws('|', $1::int + 1, coalesce($2::text, 'null'))"


def written(folder: Path, text: str | bytes, name: str = "items.csv") -> Path:
    path = folder / name
    content = text.encode() if isinstance(text, str) else text
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


@pytest.mark.parametrize(
    "text",
    [
        'id,name\n1,a\n2,\n3,"x, ""y"""\n',
        '\ufeffid,name\n1,a\n2,\n3,"x, ""y"""\n',
        'id,name\r\n1,a\r\n2,\n\n3,"x, ""y"""',
    ],
)
@pytest.mark.parametrize("name", ["items.csv", "items.csv.gz"])
async def test_the_rows_of_a_csv_file_are_items(database: Database, tmp_path: Path, text: str, name: str) -> None:
    path = written(tmp_path, text, name)
    async with pool_of(database) as db:
        seen = [(tuple(key), value) async for key, value, _ in db.map_val(CONCAT, path)]
        assert seen == [(("1", "a"), "2|a"), (("2", None), "3|null"), (("3", 'x, "y"'), '4|x, "y"')]


async def test_columns_are_picked_by_name(database: Database, tmp_path: Path) -> None:
    path = written(tmp_path, "name;x;id\na;0;1\nb;0;2\n")
    async with pool_of(database) as db:
        rows = CsvRows(path, columns=["id", "name"], delimiter=";")
        assert [value async for _, value, _ in db.map_val(CONCAT, rows)] == ["2|a", "3|b"]
        rows = CsvRows(written(tmp_path, "1,\\N\n"), header=False, null="\\N")
        assert [value async for _, value, _ in db.map_val(CONCAT, rows)] == ["2|null"]


async def test_many_rows_go_in_batches_and_a_bad_one_costs_only_itself(database: Database, tmp_path: Path) -> None:
    lines = [f"{n},n{n}" if n != 4711 else "x,y" for n in range(10_000)]
    path = written(tmp_path, "id,name\n" + "\n".join(lines))
    async with pool_of(database) as db:
        seen = [item async for item in db.map_val(CONCAT, path, on_error="collect")]
        assert [item.value for item in seen if item.error is None] == [
            f"{n + 1}|n{n}" for n in range(10_000) if n != 4711
        ]
        error = seen[4711].error
        assert isinstance(error, asyncpg.InvalidTextRepresentationError)
        assert error.__notes__ == ["items.csv, line 4713"]


@pytest.mark.parametrize("line", ["1,2", "1,2,3,4"])
@pytest.mark.parametrize("columns", [None, ["id", "name"]])
async def test_rows_with_another_number_of_fields_than_the_header_cost_only_themselves(
    database: Database, tmp_path: Path, line: str, columns: list[str] | None
) -> None:
    path = written(tmp_path, f"id,name,x\n1,a,0\n{line}\n2,b,0\n")
    sql = CONCAT if columns else "select concat_ws('|', $1::int + 1, $2::text) || left($3::text, 0)"
    async with pool_of(database) as db:
        seen = [item async for item in db.map_val(sql, CsvRows(path, columns=columns), on_error="collect")]
        assert [item.value for item in seen] == ["2|a", None, "3|b"]
        error = seen[1].error
        assert isinstance(error, asyncpg.DataError)
        assert f"{line.count(',') + 1} fields, and the header has 3" in str(error)
        assert error.__notes__ == ["items.csv, line 3"]


async def test_a_short_row_is_not_taken_for_the_columns_of_a_statement_that_it_would_fit(
    database: Database, tmp_path: Path
) -> None:
    path = written(tmp_path, "a,b,c\nA1,B1,C1\nA2,B2\n")
    async with pool_of(database) as db:
        for rows in (CsvRows(path), CsvRows(path, columns=["c", "a"])):
            seen = [item async for item in db.map("select $1::text, $2::text", rows, on_error="collect")]
            assert seen[1].error is not None
        assert [tuple(row) for row in seen[0].rows] == [("C1", "A1")]


async def test_lines_of_json_are_items(database: Database, tmp_path: Path) -> None:
    sql = "select array[$1::int, $2::int]"
    text = '[1, 2]\n{"a": 3, "b": 4}\n\n{"b": 6, "a": 5}\n'
    path = written(tmp_path, text, "items.ndjson")
    async with pool_of(database) as db:
        assert [value async for _, value, _ in db.map_val(sql, path)] == [[1, 2], [3, 4], [5, 6]]
        rows = NdjsonRows(written(tmp_path, '{"x": 1, "y": 2}\n', "items.jsonl.gz"), columns=["y", "x"])
        assert [value async for _, value, _ in db.map_val(sql, rows)] == [[2, 1]]


@pytest.mark.parametrize(
    ("cast", "json", "expected"),
    [
        ("int[]", "[[1, null, 3]]", [1, None, 3]),
        ("text[]", '[["a\\"b\\\\c", "", "NULL", null, "ü, {}"]]', ['a"b\\c', "", "NULL", None, "ü, {}"]),
        ("int[]", "[[[1, 2], [3, 4]]]", [[1, 2], [3, 4]]),
        ("jsonb", '{"a": {"b": [1, "x"]}}', '{"b": [1, "x"]}'),
        ("jsonb", "[[]]", "[]"),
        ("jsonb", "[[1, {}]]", "[1, {}]"),
        ("jsonb", '["a"]', '"a"'),
        ("json", "[[1.50, 1e400]]", "[1.50, 1e400]"),
        ("jsonb", "[null]", None),
        ("jsonb[]", '[[[1], {"a": 0.10}, "x", null]]', ["[1]", '{"a": 0.10}', '"x"', None]),
        ("text", "[[1.0, null]]", "[1.0, null]"),
        ("text", "0.10", "0.10"),
        ("numeric::text", "12345678901234567890.123456789", "12345678901234567890.123456789"),
        ("numeric::text", "1e20", "100000000000000000000"),
        ("numeric[]::text", "[[0.10, 1.00]]", "{0.10,1.00}"),
        ("int8", "9007199254740993", 9007199254740993),
        ("bool", "true", True),
        ("float8", "1.5e10", 1.5e10),
        ("text", '"été"', "été"),
        ("date", '"2026-01-31"', "2026-01-31"),
    ],
)
async def test_json_values_are_read_as_the_type_of_the_parameter(
    database: Database, tmp_path: Path, cast: str, json: str, expected: object
) -> None:
    path = written(tmp_path, json, "items.jsonl")
    async with pool_of(database) as db:
        (value,) = [value async for _, value, _ in db.map_val(f"select $1::{cast}", path)]
        assert (str(value) if cast == "date" else value) == expected


async def test_a_batch_of_json_values_is_read_as_the_types_of_the_parameters(
    database: Database, tmp_path: Path
) -> None:
    path = written(tmp_path, "".join(f"[[{n}, {n}.50], [{n}]]\n" for n in range(2000)), "items.jsonl")
    sql = "select $1::jsonb::text || ($2::int[])[1]"
    async with pool_of(database) as db:
        seen = [value async for _, value, _ in db.map_val(sql, NdjsonRows(path))]
        assert seen == [f"[{n}, {n}.50]{n}" for n in range(2000)]
        assert "lateral" in str(await db.explain_map(sql, list(NdjsonRows(path))[:3]))


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("a.csv", 'id,name\n1,"\n"\n2,"open\nstill open\n', r"a\.csv, line 4: unexpected end of data"),
        ("a.csv", 'id,name\n1,a\n2,"open\n\n"x\n', r"a\.csv, line 3: ',' expected after"),
        ("a.ndjson", "[1, 2]\n[1,\n", r"a\.ndjson, line 2: Expecting value"),
        ("a.ndjson", "[1, 2]\n" + "[" * 100_000, r"a\.ndjson, line 2: it is nested too deeply"),
        ("a.ndjson", '{"a": 1, "b": 2}\n{"a": 1}\n', r"a\.ndjson, line 2: it has no key 'b'"),
    ],
)
async def test_a_file_that_cannot_be_read_to_its_end_says_where_after_all_before_it(
    database: Database, tmp_path: Path, name: str, content: str | bytes, what: str
) -> None:
    path = written(tmp_path, content, name)
    async with pool_of(database) as db:
        with pytest.raises(SourceFailed, match=what):
            async for item in db.map("select $1::text, $2::text", path):
                assert len(item.rows) == 1


@pytest.mark.parametrize(
    ("name", "damage", "what"),
    [
        (
            "a.csv",
            lambda text: text.replace(b"\n101\n", b"\ncaf\xe9\n"),
            "line 103: 'utf-8' codec can't decode byte 0xe9",
        ),
        ("a.jsonl", lambda text: text.replace(b"\n101\n", b'\n"\xe9"\n'), "line 103: 'utf-8' codec can't"),
        ("a.csv.gz", lambda text: gzip.compress(text)[:-9], "Compressed file ended before"),
        ("a.csv.gz", lambda text: gzip.compress(text)[:-8] + b"wrong!!!", "CRC check failed"),
        ("a.csv.gz", lambda text: gzip.compress(text) + b"more", "Not a gzipped file"),
        ("a.csv.gz", lambda text: gzip.compress(text[:9]) + gzip.compress(text)[:10] + b"\xff" * 99, "Error -3 while"),
    ],
)
def test_what_cannot_be_unpacked_or_decoded_says_where_after_all_before_it(
    tmp_path: Path, name: str, damage: Callable[[bytes], bytes], what: str
) -> None:
    path = tmp_path / name
    path.write_bytes(damage(b"0\n" + b"".join(b"%d\n" % n for n in range(2000))))
    seen: list[TextRow] = []
    with pytest.raises(SourceFailed, match=what) as found:
        seen.extend(NdjsonRows(path) if name == "a.jsonl" else CsvRows(path, header=False))
    at = len(seen) + 1
    assert f"{name}, line {at}" in str(found.value)
    assert [row.where for row in seen] == [f"{name}, line {n}" for n in range(1, at)]
    assert at > 4


def test_a_name_in_gz_of_what_is_not_packed_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_text("id\n1\n")
    with pytest.raises(SourceFailed, match=r"a\.csv\.gz, line 1: Not a gzipped file"):
        list(CsvRows(path))


def test_a_row_of_several_lines_is_where_it_begins(tmp_path: Path) -> None:
    path = written(tmp_path, 'a,b\n"1\n2\n3",x\n\n4,y\n')
    assert [row.where for row in CsvRows(path)] == ["items.csv, line 2", "items.csv, line 6"]


def test_a_field_may_be_long_and_nobody_elses_limit_changes(tmp_path: Path) -> None:
    long = "x" * 200_000
    assert list(CsvRows(written(tmp_path, f"a\n{long}\n"))) == [(long,)]
    with pytest.raises(csv.Error, match="field larger than field limit"):
        list(csv.reader([long]))


@pytest.mark.parametrize("depth", [300, *range(900, 1000, 9), 100_000])
def test_json_is_read_or_is_too_deep(tmp_path: Path, depth: int) -> None:
    text = "[" * depth + "]" * depth
    rows = iter(NdjsonRows(written(tmp_path, text, "a.jsonl")))
    if depth == 300:
        assert next(rows) == (text[1:-1],)
    else:
        with suppress(StopIteration), pytest.raises(SourceFailed, match=r"a\.jsonl, line 1: it is nested too deeply"):
            next(rows)
            next(rows)


async def test_what_is_no_such_file_is_refused(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        with pytest.raises(SettingsError, match=r"data\.txt ends in neither"):
            db.map(CONCAT, tmp_path / "data.txt")
        with pytest.raises(SourceFailed, match=r"gone\.csv cannot be read: No such file"):
            async for _ in db.map(CONCAT, tmp_path / "gone.csv"):
                pass
        path = written(tmp_path, "id,name\n1,a\n")
        with pytest.raises(SettingsError, match="has no column 'other'; it has 'id', 'name'"):
            async for _ in db.map(CONCAT, CsvRows(path, columns=["id", "other"])):
                pass
        with pytest.raises(SettingsError, match="header=False"):
            CsvRows(path, header=False, columns=["id"])
        for delimiter in ("--", "", "\n", "\r", '"', 5):
            with pytest.raises(SettingsError, match="one character"):
                CsvRows(path, delimiter=delimiter)  # type: ignore[arg-type]
