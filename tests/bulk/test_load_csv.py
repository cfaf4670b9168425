"""CSV files into tables."""

from __future__ import annotations

import gzip
from pathlib import Path

import asyncpg
import pytest

from dbpool import DatabasePool, Loaded, LoadFailed, UsageError
from tests.support.databases import Database
from tests.support.pools import pool_of

PEOPLE = "create table people (id int, name text, born date)"
NOTE_WHO_INSERTS = """
create table pids (pid int);
create function note() returns trigger language plpgsql as $$
begin insert into pids values (pg_backend_pid()); perform pg_sleep(0.02); return null; end $$;
create trigger note after insert on people execute function note();
"""
ALL = "select id, name, born::text from people order by id"


async def rows_of(db: DatabasePool, sql: str = ALL) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await db.fetch(sql)]


async def loaded(db: DatabasePool, text: bytes, tmp_path: Path, name: str = "people.csv", **options: object) -> Loaded:
    file = tmp_path / name
    file.write_bytes(text)
    return await db.load("people", file, **options)  # type: ignore[arg-type] # as they are given below


async def test_a_file_is_loaded_by_its_header(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        text = b'name,id\n"Ada, the ""first""",1\n,2\n"",3\n'
        done = await loaded(db, text, tmp_path)
        assert (done.rows, done.rejected, done.bytes) == (3, 0, len(text))
        assert await rows_of(db) == [(1, 'Ada, the "first"', None), (2, None, None), (3, "", None)]


async def test_a_file_without_a_header_is_loaded_by_the_columns_that_are_given(
    database: Database, tmp_path: Path
) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        await loaded(db, b"1,Ada,1815-12-10\n", tmp_path, header=False)
        await loaded(db, b"Grace;2\n", tmp_path, header=False, columns=["name", "id"], delimiter=";")
        await loaded(db, b"who\tnumber\nBarbara\t3\n", tmp_path, "x.tsv", header="skip", columns=["name", "id"])
        assert await rows_of(db) == [(1, "Ada", "1815-12-10"), (2, "Grace", None), (3, "Barbara", None)]


async def test_columns_that_the_header_contradicts_are_refused(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        with pytest.raises(LoadFailed, match="header='skip'") as caught:
            await loaded(db, b"name,id\nAda,1\n", tmp_path, columns=["id", "name"])
        assert (caught.value.line, caught.value.rows_stored) == (1, 0)
        with pytest.raises(LoadFailed, match="twice the same"):
            await loaded(db, b"id,id\n1,1\n", tmp_path)


async def test_quote_escape_null_and_encoding_are_as_given(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        text = "1,'it\\'s, M\u00fcller',-\n2,-,'-'\n".replace(",'-'", ",-").encode("latin-1")
        await loaded(db, text, tmp_path, header=False, quote="'", escape="\\", null="-", encoding="latin-1")
        assert await rows_of(db) == [(1, "it's, M\u00fcller", None), (2, None, None)]
        with pytest.raises(UsageError, match="UTF-8"):
            await loaded(db, text, tmp_path, encoding="utf-16")


async def test_a_byte_order_mark_is_no_data(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        await loaded(db, b"\xef\xbb\xbfid,name\n1,Ada\n", tmp_path)
        await loaded(db, b"\xef\xbb\xbf2,Grace\n", tmp_path, header=False, columns=["id", "name"], encoding="utf-8-sig")
        assert await rows_of(db, "select id, name from people order by id") == [(1, "Ada"), (2, "Grace")]
        with pytest.raises(LoadFailed, match="UTF-16"):
            await loaded(db, "id\n1\n".encode("utf-16"), tmp_path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("is_ended", [True, False])
async def test_rows_end_with_any_of_three_ends(database: Database, tmp_path: Path, end: str, is_ended: bool) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        text = end.join(["id,name", "1,Ada", f'2,"two{end}lines"', "3,Grace"]) + (end if is_ended else "")
        assert (await loaded(db, text.encode(), tmp_path, chunk_bytes=1)).rows == 3
        assert await rows_of(db, "select name from people order by id") == [("Ada",), (f"two{end}lines",), ("Grace",)]


@pytest.mark.parametrize("chunk_bytes", [1, 1000])
async def test_a_carriage_return_alone_ends_no_row_among_others(
    database: Database, tmp_path: Path, chunk_bytes: int
) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        text = b'id,name\n1,Ada\n2,Grace\r3,"x\ry"\n4,"z\r"\n'
        done = await loaded(db, text, tmp_path, on_reject="skip", chunk_bytes=chunk_bytes)
        assert [(reject.line, reject.message[:24]) for reject in done.rejects] == [(3, "unquoted carriage return")]
        assert await rows_of(db, "select name from people order by id") == [("Ada",), ("z\r",)]


@pytest.mark.parametrize("on_reject", ["raise", "skip"])
@pytest.mark.parametrize("chunk_bytes", [1, 1000])
async def test_mixed_line_ends_are_all_line_ends(
    database: Database, tmp_path: Path, on_reject: str, chunk_bytes: int
) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        text = b'id,name\n1,Ada\r\n2,Grace\n3,"x\r\ny"\r\n4,Barbara\n'
        done = await loaded(db, text, tmp_path, on_reject=on_reject, chunk_bytes=chunk_bytes)
        assert (done.rows, done.rejected) == (4, 0)
        assert await rows_of(db, "select name from people order by id") == [
            ("Ada",),
            ("Grace",),
            ("x\r\ny",),
            ("Barbara",),
        ]


@pytest.mark.parametrize("chunk_bytes", range(1, 20))
async def test_a_header_ends_wherever_a_piece_does(database: Database, tmp_path: Path, chunk_bytes: int) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        done = await loaded(db, b"\xef\xbb\xbfid,name\r\n1,Ada\r\n2,Grace\r\n", tmp_path, chunk_bytes=chunk_bytes)
        assert (done.rows, done.bytes) == (2, 28)


async def test_an_empty_file_and_one_with_a_header_only_have_no_rows(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        for text in (b"", b"id,name", b"id,name\n"):
            assert (await loaded(db, text, tmp_path)).rows == 0


async def test_packed_files_are_told_by_name_or_content(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        packed = gzip.compress(b"id,name\n1,Ada\n") + gzip.compress(b"2,Grace\n")
        done = await loaded(db, packed, tmp_path, "people.csv.gz")
        assert (done.rows, done.bytes) == (2, len(packed))
        assert (await loaded(db, packed, tmp_path, "people.dat")).rows == 2


async def test_a_packed_file_that_is_cut_off_is_told_with_what_is_stored(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        text = b"id,name\n" + b"".join(b"%d,%d\n" % (n, n * 7919 % 10007) for n in range(200_000))
        with pytest.raises(LoadFailed, match="cannot be read") as caught:
            await loaded(db, gzip.compress(text)[:-200_000], tmp_path, "x.csv.gz", chunk_bytes=100_000)
        assert caught.value.rows_stored == await db.fetchval("select count(*) from people") > 0


async def test_a_pattern_and_a_list_name_many_files_each_with_its_own_header(
    database: Database, tmp_path: Path
) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        (tmp_path / "a.csv").write_text("id,name\n1,a\n")
        (tmp_path / "b.csv").write_text("name,id\nb,2\n")
        assert (await db.load("people", str(tmp_path / "*.csv"))).rows == 2
        assert (await db.load("people", [tmp_path / "b.csv", str(tmp_path / "a.csv")])).rows == 2
        assert await rows_of(db, "select id, name from people order by id") == [(1, "a")] * 2 + [(2, "b")] * 2


@pytest.mark.parametrize("source", ["nothing.csv", "no*.csv", ["nothing.csv"], "."])
async def test_what_is_no_file_is_refused_at_once(database: Database, source: str | list[str]) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        with pytest.raises(UsageError, match="file"):
            await db.load("people", source)


async def test_parquet_is_told_to_be_loaded_as_a_frame(database: Database, tmp_path: Path) -> None:
    (tmp_path / "people.parquet").write_bytes(b"PAR1")
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        with pytest.raises(UsageError, match=r"load pyarrow\.parquet\.read_table"):
            await db.load("people", str(tmp_path / "*.parquet"))


async def test_a_big_file_is_cut_into_chunks_for_several_connections(database: Database, tmp_path: Path) -> None:
    async with pool_of(database, 4) as db:
        await db.execute(PEOPLE + ";" + NOTE_WHO_INSERTS)
        text = b"id,name\n" + b"".join(b'%d,"x\ny, %d"\n' % (n, n) for n in range(5000))
        done = await loaded(db, text, tmp_path, chunk_bytes=5000)
        assert done.rows == await db.fetchval("select count(distinct id) from people") == 5000
        assert await db.fetchval("select count(*) from people where name = e'x\\ny, ' || id") == 5000
        assert await db.fetchval("select count(distinct pid) from pids") == 4
        assert sum(part.rows for part in done.stored) == 5000
        assert len(done.stored) >= 9


async def test_a_backslash_and_a_dot_on_a_line_are_data_on_every_server(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute("create table people (name text)")
        done = await loaded(db, b'name\nAda\n\\.\nGrace\n"x\n\\.\ny"\n\\.', tmp_path)
        assert done.rows == 5
        assert await rows_of(db, "select name from people") == [
            ("Ada",),
            ("\\.",),
            ("Grace",),
            ("x\n\\.\ny",),
            ("\\.",),
        ]


@pytest.mark.parametrize("name", ['we"ird', "Mixed Case", "ta.ble", "select", "sch.t"])
async def test_table_names_are_taken_as_they_stand(database: Database, tmp_path: Path, name: str) -> None:
    async with pool_of(database) as db:
        quoted = '"' + name.replace('"', '""') + '"'
        given = quoted if name == "ta.ble" else name
        if name == "sch.t":
            await db.execute("create schema sch")
            quoted = '"sch"."t"'
        await db.execute(f'create table {quoted} ("a""b" int)')
        (tmp_path / "x.csv").write_text('"a""b"\n1\n2\n2x\n')
        done = await db.load(given, tmp_path / "x.csv", on_reject="skip")
        assert (done.rows, done.rejected) == (2, 1)
        assert await db.fetchval(f"select count(*) from {quoted}") == 2


async def test_a_table_that_is_not_there_is_the_servers_error(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        with pytest.raises(asyncpg.UndefinedTableError):
            await db.load("nowhere", [(1,)])
        with pytest.raises(UsageError, match="names no table"):
            await db.load("a.b.c", [(1,)])


async def test_a_header_that_names_no_column_is_the_servers_error_as_the_cause(
    database: Database, tmp_path: Path
) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        with pytest.raises(LoadFailed, match="nme") as caught:
            await loaded(db, b"id,nme\n1,Ada\n", tmp_path, on_reject="skip")
        assert isinstance(caught.value.__cause__, asyncpg.UndefinedColumnError)


@pytest.mark.parametrize(
    ("text", "line", "state"),
    [
        (b"id,name\n1,Ada\n2\n3,x\n", 3, "22P04"),
        (b"id,name\n1,Ada\n2,a,b\n3,x\n", 3, "22P04"),
        (b'id,name\n1,"a\nb"\n2,"Grace\n3,x\n', 4, "22P04"),
        (b"id,name\n1,Ada\n2,\x00\n3,x\n", 3, "22021"),
        (b"id,name\n1,Ada\n2,\xff\n3,x\n", 3, "22021"),
        (b"id,name\n1,Ada\n2,a\rb\n3,x\n", 3, "22P04"),
        (b"id,name\n1,Ada\ntwo,x\n3,x\n", 3, "22P02"),
        (b"id,name\n1,Ada\n99999999999,x\n3,x\n", 3, "22003"),
    ],
)
async def test_what_is_wrong_is_told_with_its_line_and_costs_only_its_row(
    database: Database, tmp_path: Path, text: bytes, line: int, state: str
) -> None:
    async with pool_of(database) as db:
        await db.execute(PEOPLE)
        with pytest.raises(LoadFailed, match=f"people.csv, line {line}: {state}") as caught:
            await loaded(db, text, tmp_path)
        assert (caught.value.file, caught.value.line) == (str(tmp_path / "people.csv"), line)
        assert await db.fetchval("select count(*) from people") == caught.value.rows_stored
        await db.execute("truncate people")
        done = await loaded(db, text, tmp_path, on_reject="skip")
        assert [(reject.line, reject.sqlstate) for reject in done.rejects] == [(line, state)]
        rest = 1 if b'"Grace' in text else 2  # a quote that is left open takes all of the file
        assert (done.rows, done.rejected) == (rest, 1)
        assert await db.fetchval("select count(*) from people") == rest
