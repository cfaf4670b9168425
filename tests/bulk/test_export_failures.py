"""Exports that cannot be made say why, and leave nothing behind."""

from __future__ import annotations

import asyncio
import io
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import asyncpg
import pytest

from dbpool import ConnectionLost, ExportFailed, QueryTimeout, SettingsError, StatementError, UsageError
from tests.support.databases import Database
from tests.support.exports import LARGE, MIXED, PAGE, files_in
from tests.support.pools import pool_of, settled, witness_of

FAILS_LATE = "select 1 / (200000 - n) from generate_series(1, 300000) as n"
BLOCKED = "select pg_advisory_xact_lock(1)::text"


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process can be larger: the next best to a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def full_device() -> BinaryIO:
    return Path("/dev/full").open("wb", buffering=0)


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("nothing", 'finds no table "nothing"'),
        ("nowhere.nothing", 'no table "nowhere"."nothing"'),
        ("SHOUTED", 'no table "shouted".*there is public."SHOUTED"'),
        ("an_index", "is no table, but of kind 'i'"),
    ],
)
async def test_what_is_no_table_is_named(database: Database, tmp_path: Path, source: str, says: str) -> None:
    async with pool_of(database) as db:
        await db.execute('create table "SHOUTED" (a int); create index an_index on "SHOUTED" (a)')
        with pytest.raises(ExportFailed, match=says):
            await db.export(source, tmp_path / "a.csv")
    assert files_in(tmp_path) == []


async def test_what_can_never_work_is_refused_before_a_permit_is_taken(database: Database, tmp_path: Path) -> None:
    (tmp_path / "is a file").write_text("")
    async with pool_of(database) as db:
        before = db.stats().granted_total
        with pytest.raises(ExportFailed, match="does not exist"):
            await db.export("select 1", tmp_path / "missing" / "a.csv")
        with pytest.raises(ExportFailed, match="does not exist"):
            await db.export("select 1", f"{tmp_path}/missing/")
        with pytest.raises(ExportFailed, match="not a regular file"):
            await db.export("select 1", "/dev/null", format="csv")
        with pytest.raises(StatementError, match="2 statements"):
            await db.export("select 1; select 2", tmp_path / "a.csv")
        with pytest.raises(StatementError, match="without RETURNING"):
            await db.export("insert into t values (1)", tmp_path / "a.csv")
        with pytest.raises(UsageError, match="format"):
            await db.export("select 1", tmp_path / "a.xlsx")
        with pytest.raises(UsageError, match="compresses its columns itself"):
            await db.export("select 1", tmp_path / "a.parquet.gz")
        with pytest.raises(UsageError, match="takes text"):
            await db.export("select 1", io.StringIO())  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="not int"):
            await db.export("select 1", 7)  # type: ignore[arg-type]
        for at_once in (0, -1, True, 1.5):
            with pytest.raises(SettingsError, match="at_once"):
                await db.export("select 1", tmp_path / "a.csv", at_once=at_once)  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match="part_bytes"):
            await db.export("select 1", tmp_path / "a.csv", part_bytes=0)
        with pytest.raises(SettingsError, match="timeout"):
            await db.export("select 1", tmp_path / "a.csv", timeout=0)
        assert db.stats().granted_total == before
    assert files_in(tmp_path) == ["is a file"]


async def test_a_query_that_fails_in_the_middle_leaves_the_file_that_was_there(
    database: Database, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("old")
    async with pool_of(database) as db:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await db.export(FAILS_LATE, tmp_path / "a.csv")
    assert files_in(tmp_path) == ["a.csv"]
    assert (tmp_path / "a.csv").read_text() == "old"


async def test_a_cancelled_export_leaves_no_file(database: Database, tmp_path: Path) -> None:
    source = f"select n::text from generate_series(1, 500000) as n union all ({BLOCKED})"
    async with pool_of(database) as db, witness_of(database) as witness, witness.holding():
        export = asyncio.create_task(db.export(source, tmp_path / "a.csv"))
        await witness.until_blocked()
        assert files_in(tmp_path) != []
        export.cancel()
        with pytest.raises(asyncio.CancelledError):
            await export
        assert files_in(tmp_path) == []
        await settled(db)
        await witness.until_none_blocked()


@pytest.mark.parametrize("name", ["a.csv", "{part}.csv", "a.csv.gz"])
async def test_a_full_disk_is_told_with_the_file_and_leaves_none(database: Database, tmp_path: Path, name: str) -> None:
    async with pool_of(database) as db:
        await db.execute(LARGE)
        await db.execute("update large set filler = md5(id::text) || repeat(md5(id::text || 'x'), 40)")
        with files_up_to(50_000), pytest.raises(ExportFailed, match=r"no room left for .*csv"):
            await db.export("large", tmp_path / name)
    assert files_in(tmp_path) == []


async def test_a_full_device_behind_a_file_object_is_told_too(database: Database) -> None:
    async with pool_of(database) as db:
        with full_device() as file, pytest.raises(ExportFailed, match="no room left"):
            await db.export("select 1", file)


async def test_an_error_of_the_callers_own_comes_out_as_it_is(database: Database) -> None:
    class Mine(Exception):
        pass

    async def fail(_: bytes) -> None:
        raise Mine

    def refuse(_: object) -> None:
        raise Mine

    async with pool_of(database) as db:
        await db.execute(MIXED)
        with pytest.raises(Mine):
            await db.export("mixed", fail, part_bytes=PAGE)
        with pytest.raises(Mine):
            await db.export("mixed", io.BytesIO(), progress=refuse)
        with pytest.raises(UsageError, match="must be an async function"):
            await db.export("mixed", [].append)  # type: ignore[arg-type]


async def test_an_export_that_takes_too_long_is_stopped(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness, witness.holding():
        with pytest.raises(QueryTimeout, match=r"after 0\.20 s"):
            await db.export(BLOCKED, tmp_path / "a.csv", timeout=0.2)
    assert files_in(tmp_path) == []


async def test_a_server_that_is_silent_for_longer_than_a_query_may_take_is_given_up(
    database: Database, tmp_path: Path
) -> None:
    async with pool_of(database, query_timeout=0.2) as db, witness_of(database) as witness, witness.holding():
        with pytest.raises(QueryTimeout):
            await db.export(BLOCKED, tmp_path / "a.csv")
    assert files_in(tmp_path) == []


async def test_a_target_may_take_longer_than_a_query(database: Database) -> None:
    blocks: list[bytes] = []

    async def take(block: bytes) -> None:
        await asyncio.sleep(0.3)
        blocks.append(block)

    async with pool_of(database, query_timeout=0.2) as db:
        await db.export("select repeat('x', 2000) from generate_series(1, 4000)", take)
    assert len(b"".join(blocks)) == 2001 * 4000 + len("repeat\n")


async def test_what_progress_raises_in_the_middle_is_not_taken_for_a_lost_connection(database: Database) -> None:
    async def take(_: bytes) -> None:
        await asyncio.sleep(0.3)  # so that it is told in the middle

    def refuse(_: object) -> None:
        raise BrokenPipeError

    async with pool_of(database) as db:
        with pytest.raises(BrokenPipeError):
            await db.export("select repeat('x', 2000) from generate_series(1, 9000)", take, progress=refuse)


async def test_a_lost_connection_is_told_and_leaves_no_file(database: Database, tmp_path: Path) -> None:
    async with pool_of(database) as db, witness_of(database) as witness, witness.holding():
        export = asyncio.create_task(db.export(BLOCKED, tmp_path / "a.csv"))
        await witness.terminate(*await witness.until_blocked())
        with pytest.raises(ConnectionLost):
            await export
    assert files_in(tmp_path) == []
