"""Loads that go on where an earlier one ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbpool import LoadFailed, UsageError
from tests.support.databases import Database
from tests.support.pools import pool_of

TABLE = "create table t (id int unique, name text)"


def text_of(numbers: range, bad: int = -1) -> str:
    return "id,name\n" + "".join(f"{n if n != bad else 'bad'},row {n}\n" for n in numbers)


async def test_files_are_resumed_however_they_are_spelled(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, numbers in (("a.csv", range(50)), ("b.csv", range(50, 100))):
        (tmp_path / name).write_text(text_of(numbers, bad=80))
    monkeypatch.chdir(tmp_path)
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(LoadFailed) as caught:
            await db.load("t", ["a.csv", "b.csv"], chunk_bytes=100, at_once=1)
        assert {part.file for part in caught.value.stored} == {"a.csv", "b.csv"}
        (tmp_path / "b.csv").write_text(text_of(range(50, 100)))
        (tmp_path / "linked").symlink_to(tmp_path)
        files = [tmp_path / "linked" / "b.csv", tmp_path / "a.csv"]
        done = await db.load("t", files, chunk_bytes=100, resume=caught.value.stored)
        assert done.rows == await db.fetchval("select count(*) from t") == 100
        assert {part.file for part in done.stored} == set(map(str, files))


async def test_what_is_no_part_of_the_source_is_not_resumed(database: Database, tmp_path: Path) -> None:
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    for number, file in enumerate(files):
        file.write_text(text_of(range(number, number + 1)))
    async with pool_of(database) as db:
        await db.execute(TABLE)
        stored = (await db.load("t", files)).stored
        with pytest.raises(UsageError, match=r"a part of .*b\.csv"):
            await db.load("t", files[:1], resume=stored)
        with pytest.raises(UsageError, match="twice"):
            await db.load("t", [*files, files[0]], resume=stored)
        with pytest.raises(UsageError, match="no files"):
            await db.load("t", [(3, "x")], resume=stored)
        of_records = (await db.load("t", [(2, "x")])).stored
        with pytest.raises(UsageError, match="a part of records"):
            await db.load("t", files, resume=of_records)
        assert await db.fetchval("select count(*) from t") == 3
