"""Exports to every kind of target, in every format, beside what the server writes itself."""

from __future__ import annotations

import asyncio
import csv
import gzip
import io
import json
import sys
from pathlib import Path
from typing import Literal

import pytest

from dbpool import Csv, DatabasePool, ExportProgress, StatementError, UsageError
from tests.support.databases import Database
from tests.support.exports import MIXED, PAGE, files_in, servers_own
from tests.support.pools import pool_of, witness_of
from tests.support.waits import turns


@pytest.mark.parametrize("at_once", [1, 2, 4])
@pytest.mark.parametrize(("written", "suffix"), [("csv", "csv"), ("binary", "bin")])
async def test_a_table_in_parts_is_the_file_that_one_copy_would_write(
    database: Database, tmp_path: Path, written: Literal["csv", "binary"], suffix: str, at_once: int
) -> None:
    path = tmp_path / f"mixed.{suffix}"
    async with pool_of(database, 4) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        done = await db.export("mixed", path, at_once=at_once, part_bytes=PAGE)
        assert path.read_bytes() == await servers_own(witness, "mixed", written)
        assert (done.rows, done.bytes, done.paths) == (2000, path.stat().st_size, (path,))
        assert done.parts == await witness.value("select pg_relation_size('mixed') / 8192")
        assert done.parts > 20
    assert files_in(tmp_path) == [path.name]


async def test_ndjson_is_a_line_a_row_also_where_a_document_has_line_ends(database: Database, tmp_path: Path) -> None:
    path = tmp_path / "mixed.ndjson"
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        done = await db.export("mixed", path, part_bytes=PAGE)
        rows = await witness.rows("select id, name, amount::float8, doc->'a'->>1 from mixed")
    lines = path.read_text().splitlines()
    assert done.rows == len(lines) == 2000
    seen = [json.loads(line) for line in lines]
    assert [(row["id"], row["name"], row["amount"], row["doc"]["a"][1]) for row in seen] == rows


async def test_json_is_one_array(database: Database, tmp_path: Path) -> None:
    many, none, packed = (tmp_path / name for name in ("many.json", "none.json", "packed.json.gz"))
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        await db.export("mixed", many, part_bytes=PAGE)
        await db.export("mixed", packed, at_once=1)
        await db.export("select 1 as a where false", none)
        await db.export("select 7 as r", tmp_path / "r.json")  # a name that the statement around it has, too
        rows = await witness.rows("select id, doc->'a'->>1 from mixed order by id")
    for text in (many.read_bytes(), gzip.decompress(packed.read_bytes())):
        assert sorted((row["id"], row["doc"]["a"][1]) for row in json.loads(text)) == rows
    assert json.loads(none.read_bytes()) == []
    assert json.loads((tmp_path / "r.json").read_bytes()) == [{"r": 7}]


async def test_csv_is_written_as_asked_for(database: Database, tmp_path: Path) -> None:
    dialect = Csv(header=False, delimiter=";", null="NULL", quote="'", escape="\\", force_quote=("b",))
    async with pool_of(database) as db:
        await db.export("select 1 as a, 'it''s' as b, null as c", tmp_path / "a.txt", format=dialect)
        await db.export("select 1 as a, 'x' as b, null as c", tmp_path / "b.txt", format=dialect)
        await db.export("select 'x' as a, 'y' as b", tmp_path / "c.txt", format=Csv(force_quote=True))
    assert (tmp_path / "a.txt").read_text() == "1;'it\\'s';NULL\n"
    assert (tmp_path / "b.txt").read_text() == "1;'x';NULL\n"
    assert (tmp_path / "c.txt").read_text() == 'a,b\n"x","y"\n'


async def test_a_name_that_ends_with_gz_is_compressed(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        done = await db.export("mixed", tmp_path / "mixed.csv.gz", part_bytes=4 * PAGE)
        assert gzip.decompress((tmp_path / "mixed.csv.gz").read_bytes()) == await servers_own(witness, "mixed", "csv")
        await db.export("mixed", tmp_path / "plain.csv.gz", gzip=False)
        assert (tmp_path / "plain.csv.gz").read_bytes() == await servers_own(witness, "mixed", "csv")
    assert done.bytes == (tmp_path / "mixed.csv.gz").stat().st_size


async def test_a_function_and_a_file_object_get_the_bytes_in_order(database: Database) -> None:
    blocks: list[bytes] = []

    async def take(block: bytes) -> None:
        blocks.append(block)

    file = io.BytesIO()
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        to_function = await db.export("mixed", take, part_bytes=PAGE)
        to_file = await db.export("mixed", file, part_bytes=PAGE)
        whole = await servers_own(witness, "mixed", "csv")
    assert b"".join(blocks) == file.getvalue() == whole
    assert (to_function.bytes, to_function.paths) == (to_file.bytes, to_file.paths) == (len(whole), ())


async def test_a_directory_gets_a_file_a_part(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        done = await db.export("mixed", tmp_path, part_bytes=8 * PAGE)
        rows = [list(csv.reader(path.read_text().splitlines(keepends=True))) for path in done.paths]
        ids = [row[0] for row in await witness.rows("select id from mixed")]
    assert files_in(tmp_path) == [f"part-{number:05d}.csv" for number in range(done.parts)]
    assert {tuple(each[0]) for each in rows} == {("id", "name", "amount", "at", "raw", "doc")}
    assert [int(row[0]) for each in rows for row in each[1:]] == ids


@pytest.mark.parametrize("written", ["csv.gz", "bin", "ndjson"])
async def test_a_pattern_gets_a_file_a_part_each_whole(database: Database, tmp_path: Path, written: str) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(MIXED)
        done = await db.export("mixed", str(tmp_path / f"of-{{part}}.{written}"), part_bytes=8 * PAGE)
        assert files_in(tmp_path) == [f"of-{number:05d}.{written}" for number in range(done.parts)]
        assert done.bytes == sum(path.stat().st_size for path in done.paths)
        if written == "bin":
            await witness.run("create table again (like mixed)")
            for path in done.paths:
                await witness.connection.copy_to_table("again", source=path, format="binary")
            assert await witness.rows("select id from again") == await witness.rows("select id from mixed")


@pytest.mark.parametrize("suffix", ["csv", "ndjson"])
async def test_what_is_exported_of_a_table_with_generated_columns_is_loaded(
    database: Database, tmp_path: Path, suffix: str
) -> None:
    path = tmp_path / f"t.{suffix}"
    async with pool_of(database) as db:
        await db.execute("create table t (a int, b int generated always as (a + 1) stored, c text)")
        await db.execute("insert into t values (1, default, 'x')")
        await db.export("t", path)
        assert (await db.load("t", path)).rows == 1
        assert [tuple(row) for row in await db.fetch("table t")] == [(1, 2, "x")] * 2
        await db.export("table t", path)
        assert "2" in path.read_text()


async def test_names_with_quotes_and_capitals_work(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run('create schema "My ""Schema"; create table "My ""Schema"."Odd.""Table" ("A""b" int)')
        await witness.run(
            'insert into "My ""Schema"."Odd.""Table" values (7); create table "odd""one" as select 8 as a'
        )
        await db.export('"My ""Schema"."Odd.""Table"', tmp_path / "a.csv")
        await db.export('odd"one', tmp_path / "b.csv")
    assert (tmp_path / "a.csv").read_text() == '"A""b"\n7\n'
    assert (tmp_path / "b.csv").read_text() == "a\n8\n"


async def test_parameters_are_values_wherever_they_stand_and_nothing_else_is(
    database: Database, tmp_path: Path
) -> None:
    sql = """select $1::text as a, '$1' as "$2", $2 || '!' as b, $3::int[] as c, $4::char(5) || '.' as d, $5::int as e
             where $6 -- not $1, nor "$2"
             """
    args = ("it's \\ $2", "'); drop table x; --", [1, None], "ab", None, True)
    async with pool_of(database) as db:
        done = await db.export(sql, tmp_path / "a.csv", args=args)
    (row,) = csv.DictReader((tmp_path / "a.csv").read_text().splitlines())
    assert row == {"a": args[0], "$2": "$1", "b": f"{args[1]}!", "c": "{1,NULL}", "d": "ab.", "e": ""}
    assert (done.rows, done.parts, done.connections) == (1, 1, 1)


async def test_args_that_do_not_fit_the_query_are_refused(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        before = db.stats().granted_total
        for sql, args in (("select $1::int", ()), ("select 1", (1,)), ("pg_class", (1,))):
            with pytest.raises(StatementError, match="args for"):
                await db.export(sql, tmp_path / "a.csv", args=args)
        assert db.stats().granted_total == before


async def test_a_write_is_stored_when_its_rows_are_in_the_file(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (a int)")
        for suffix in ("csv", "ndjson"):
            await db.export("insert into t values (1), (2) returning a", tmp_path / f"a.{suffix}")
        assert await db.fetchval("select count(*) from t") == 4

        async def refuse(_: bytes) -> None:
            raise LookupError

        with pytest.raises(LookupError):
            await db.export("delete from t returning a", refuse)
        assert await db.fetchval("select count(*) from t") == 4
    assert (tmp_path / "a.csv").read_text() == "a\n1\n2\n"
    assert (tmp_path / "a.ndjson").read_text() == '{"a":1}\n{"a":2}\n'


async def test_a_write_that_is_being_stored_when_it_is_cancelled_has_its_rows_in_the_file(
    database: Database, tmp_path: Path
) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run(
            "create table t (a int); insert into t values (7);"
            "create function wait() returns trigger language plpgsql as"
            " 'begin perform pg_advisory_xact_lock(1); return null; end';"
            "create constraint trigger late after delete on t deferrable initially deferred"
            " for each row execute function wait()"
        )
        async with witness.holding():
            export = asyncio.create_task(db.export("delete from t returning a", tmp_path / "a.csv"))
            await witness.until_blocked()
            export.cancel()
            await turns()
        with pytest.raises(asyncio.CancelledError):
            await export
        assert await witness.value("select count(*) from t") == 0
    assert (tmp_path / "a.csv").read_text() == "a\n7\n"


@pytest.mark.parametrize("suffix", ["csv", "bin", "ndjson"])
async def test_an_empty_table_is_an_empty_file_of_its_format(database: Database, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    async with pool_of(database) as db, witness_of(database) as witness:
        await witness.run("create table empty (a int, b text)")
        done = await db.export("empty", path)
        own = b"" if suffix == "ndjson" else await servers_own(witness, "empty", "csv" if suffix == "csv" else "binary")
    assert path.read_bytes() == own
    assert (done.rows, done.parts) == (0, 1)


async def test_progress_ends_with_all_of_it(database: Database, tmp_path: Path) -> None:
    told: list[ExportProgress] = []
    async with pool_of(database) as db:
        await db.execute(MIXED)
        done = await db.export("mixed", tmp_path / "a.csv", part_bytes=PAGE, progress=told.append)
    assert (told[-1].rows, told[-1].bytes, told[-1].parts_done, told[-1].parts) == (
        done.rows,
        done.bytes,
        done.parts,
        done.parts,
    )


async def test_a_file_is_published_where_a_link_points(database: Database, tmp_path: Path) -> None:
    (tmp_path / "real.csv").write_text("old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    async with pool_of(database) as db:
        await db.export("select 1 as a", tmp_path / "link.csv", durable=True)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "a\n1\n"


async def test_a_lane_exports_within_its_share(database: Database, tmp_path: Path) -> None:
    async with pool_of(database, 4) as db:
        await db.execute(MIXED)
        lane = db.lane("batch", at_most=1)
        done = await lane.export("mixed", tmp_path / "a.csv", at_once=4, part_bytes=PAGE)
    assert (done.rows, done.connections) == (2000, 1)


async def test_parquet_without_pyarrow_says_what_to_install(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    db = DatabasePool(database.dsn)
    async with db:
        with pytest.raises(UsageError, match=r"pip install 'dbpool\[arrow\]'"):
            await db.export("select 1", tmp_path / "a.parquet")
