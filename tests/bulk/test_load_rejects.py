"""Rows that a load may not store: raised, skipped, or kept in a file."""

from __future__ import annotations

import asyncio
import csv
import os
import subprocess
import sys
from pathlib import Path

import asyncpg
import pytest

from dbpool import LoadFailed, UsageError
from tests.support.databases import Database
from tests.support.pools import pool_of

ITEMS = """
create table kinds (kind text primary key);
insert into kinds values ('a'), ('b');
create table items (
    id int primary key, n numeric(3, 1) not null check (n > 0),
    kind text references kinds deferrable initially deferred,
    code varchar(2), twice int generated always as (id * 2) stored
);
"""
TEXT = """id,n,kind,code
1,1,a,x
x,1,a,x
2,,a,x
3,-1,a,x
1,1,a,x
4,1,c,x
5,1,a,long
6,1000,a,x
7,1
8,1,a,x,y
9,1,"a",x
"""
EXPECTED = [
    (3, "22P02", "id", "x"),
    (4, "23502", "n", None),
    (5, "23514", None, None),
    (6, "23505", None, None),
    (7, "23503", None, None),
    (8, "22001", "code", "long"),
    (9, "22003", None, None),
    (10, "22P04", None, None),
    (11, "22P04", None, None),
]


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_every_kind_of_refusal_costs_only_its_row(database: Database, tmp_path: Path) -> None:
    file, rejects = tmp_path / "items.csv", tmp_path / "rejects.csv"
    file.write_text(TEXT)
    async with pool_of(database) as db:
        await db.execute(ITEMS)
        done = await db.load("items", file, on_reject="file", reject_file=rejects)
        assert await db.fetchval("select array_agg(id order by id) from items") == [1, 9]
    assert (done.rows, done.rejected, done.reject_file) == (2, 9, rejects)
    seen = [(each.line, each.sqlstate, each.column, each.value) for each in done.rejects]
    for found, expected in zip(seen, EXPECTED, strict=True):
        assert found[:2] == expected[:2]
        if expected[2] is not None:
            assert found[2:] == expected[2:]
    with rejects.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["file"], int(row["line"]), row["row"]) for row in rows] == [
        (str(file), line, TEXT.split("\n")[line - 1]) for line in range(3, 12)
    ]
    assert all(row["sqlstate"] and row["message"] for row in rows)


async def test_what_a_deferred_constraint_refuses_costs_only_its_row(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(ITEMS)
        records = [(1, 1, "a", "x"), (2, 1, "c", "x"), (3, 1, "b", "x")]
        with pytest.raises(LoadFailed, match="foreign key") as caught:
            await db.load("items", records)
        assert caught.value.rows_stored == 0
        done = await db.load("items", records, on_reject="skip")
        assert [(each.line, each.sqlstate) for each in done.rejects] == [(2, "23503")]
        assert await db.fetchval("select array_agg(id order by id) from items") == [1, 3]


async def test_the_first_of_rows_that_exclude_each_other_stays(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int primary key, name text)")
        records = [(n % 50, f"{n}") for n in range(200)]
        done = await db.load("t", records, on_reject="skip")
        assert (done.rows, done.rejected) == (50, 150)
        assert await db.fetchval("select bool_and(id::text = name) from t")


async def test_many_refusals_in_many_chunks_are_all_told_once(database: Database, tmp_path: Path) -> None:
    file, rejects = tmp_path / "t.csv", tmp_path / "rejects.csv"
    file.write_text("id\n" + "".join(f"{n if n % 7 else 'bad'}\n" for n in range(3000)))
    async with pool_of(database, 4) as db:
        await db.execute("create table t (id int)")
        done = await db.load("t", file, on_reject="file", reject_file=rejects, chunk_bytes=1000)
        assert (done.rows, done.rejected) == (await db.fetchval("select count(*) from t"), 429)
    with rejects.open(newline="") as lines:
        told = sorted(int(row["line"]) for row in csv.DictReader(lines))
    assert told == [n + 2 for n in range(0, 3000, 7)]
    assert len(done.rejects) == 100


async def test_a_refused_row_is_kept_byte_by_byte(database: Database, tmp_path: Path) -> None:
    file, rejects = tmp_path / "t.csv", tmp_path / "rejects.csv"
    file.write_bytes(b'id,name\n1,ok\nx,"\xff\xfe, \x00"\n')
    async with pool_of(database) as db:
        await db.execute("create table t (id int, name text)")
        await db.load("t", file, on_reject="file", reject_file=rejects)
    with rejects.open(newline="", encoding="utf-8", errors="surrogateescape") as lines:
        (row,) = csv.DictReader(lines)
    assert os.fsencode(row["row"]) == b'x,"\xff\xfe, \x00"'


async def test_more_refusals_than_are_allowed_end_the_load(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int)")
        records = [(n,) if n % 10 else ("bad",) for n in range(100)]
        assert (await db.load("t", records, on_reject="skip", most_rejects=10)).rejected == 10
        with pytest.raises(LoadFailed, match="row 91: more than 9 rows") as caught:
            await db.load("t", records, on_reject="skip", most_rejects=9, chunk_rows=10, at_once=1)
        assert (caught.value.line, caught.value.rows_stored) == (91, 81)
        assert await db.fetchval("select count(*) from t") == 90 + 81


async def test_without_refusals_there_is_no_file(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int)")
        done = await db.load("t", [(1,)], on_reject="file", reject_file=tmp_path / "rejects.csv")
        assert done.reject_file is None
        assert names_in(tmp_path) == []


async def test_a_file_of_rejects_that_is_there_already_is_not_touched(database: Database, tmp_path: Path) -> None:
    rejects = tmp_path / "rejects.csv"
    rejects.write_text("mine")
    async with pool_of(database) as db:
        await db.execute("create table t (id int)")
        with pytest.raises(UsageError, match="is there already"):
            await db.load("t", [("bad",)], on_reject="file", reject_file=rejects)
    assert rejects.read_text() == "mine"


@pytest.mark.parametrize(
    "options",
    [
        {"on_reject": "file"},
        {"reject_file": "x"},
        {"on_reject": "ignore"},
        {"most_rejects": 1},
        {"quote": ","},
        {"delimiter": ",,"},
        {"header": "maybe"},
        {"format": "xml"},
        {"columns": []},
        {"columns": ["a", "a"]},
        {"atomic": True, "resume": [1]},
        {"misspelt": 1},
    ],
)
async def test_options_that_can_never_work_are_refused_at_once(database: Database, options: dict[str, object]) -> None:
    async with pool_of(database) as db:
        with pytest.raises(UsageError):
            await db.load("nowhere", [(1,)], **options)  # type: ignore[arg-type]


async def test_an_error_that_is_about_no_row_ends_the_load(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int); create view v as select id + 1 as id from t")
        with pytest.raises(LoadFailed) as caught:
            await db.load("v", [(1,)], on_reject="skip")
        assert isinstance(caught.value.__cause__, asyncpg.PostgresError)


FULL_DISK = """
import asyncio, resource, sys
from dbpool import DatabasePool, LoadFailed

async def main(dsn, rejects):
    async with DatabasePool(dsn, max_connections=2) as db:
        resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
        records = [(n,) if n % 10 else ("bad",) for n in range(1000)]
        try:
            await db.load("t", records, on_reject="file", reject_file=rejects, chunk_rows=100, at_once=1)
        except LoadFailed as error:
            print(error.rows_stored, await db.fetchval("select count(*) from t"), error)

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_full_disk_ends_the_load_and_keeps_what_belongs_to_stored_chunks(
    database: Database, tmp_path: Path
) -> None:
    rejects = tmp_path / "rejects.csv"
    async with pool_of(database) as db:
        await db.execute("create table t (id int)")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", FULL_DISK, database.dsn, str(rejects)), stdout=subprocess.PIPE
        )
        said, _ = await process.communicate()
        told, stored, message = said.decode().split(" ", 2)
        assert "rejects cannot be written to" in message
        assert int(told) == int(stored) == await db.fetchval("select count(*) from t")
    with rejects.open(newline="") as lines:
        kept = list(csv.DictReader(lines))
    assert 0 < len(kept) < 100
    assert int(stored) == 9 * len(kept)  # in each chunk, 10 of 100
    assert all(row["row"] == "('bad',)" for row in kept)
    assert names_in(tmp_path) == ["rejects.csv"]


async def test_rows_that_a_trigger_drops_are_neither_stored_nor_rejects(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    records = [(n, "drop" if n % 3 == 0 else "x") for n in range(1, 91)]
    async with pool_of(database) as db:
        await db.execute(
            "create table t (id int check (id <> 50), name text);"
            "create function leave() returns trigger language plpgsql as "
            "$$ begin if new.name = 'drop' then return null; end if; return new; end $$;"
            "create trigger leave before insert on t for each row execute function leave()"
        )
        file.write_text("id,name\n" + "".join(f"{number},{name}\n" for number, name in records))
        for source in (file, records):
            done = await db.load("t", source, on_reject="skip")
            assert (done.rows, done.rejected) == (59, 1)
            assert sum(part.rows for part in done.stored) == await db.fetchval("select count(*) from t") == 59
            assert (await db.load("t", [(1, "x"), (2, "drop")])).rows == 1
            await db.execute("truncate t")


async def test_a_file_of_rejects_that_cannot_be_made_is_refused_at_once(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int, name text)")
        with pytest.raises(UsageError, match=r"gone.rejects\.csv cannot be written: No such"):
            await db.load("t", [(1, "x")], on_reject="file", reject_file=tmp_path / "gone" / "rejects.csv")
        (tmp_path / "rejects.csv.part").touch()
        with pytest.raises(UsageError, match=r"rejects\.csv\.part is there already, of a load that"):
            await db.load("t", [(1, "x")], on_reject="file", reject_file=tmp_path / "rejects.csv")
        assert await db.fetchval("select count(*) from t") == 0
