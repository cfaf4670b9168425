"""Loads that go on where an earlier one ended."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dbpool import LoadFailed, UsageError
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, witness_of
from tests.support.proxy import Do, Message, proxy_before

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


FAILS_AT_THREE = """
create table t (n int);
create function fails() returns trigger language plpgsql as $$
begin
    if new.n = 3 then perform pg_advisory_xact_lock(1); raise exception 'no three'; end if;
    return new;
end $$;
create trigger fails before insert on t for each row execute function fails();
"""


async def test_a_chunk_whose_commit_is_cut_short_because_another_failed_is_doubtful(database: Database) -> None:
    def lose_the_answer(message: Message) -> Do:
        return Do.LAST if message.says("Q", b"COMMIT") else Do.PASS

    async with proxy_before(database.dsn) as proxy, witness_of(database) as witness:
        await witness.run(FAILS_AT_THREE)
        async with pool_of(proxy.dsn(database.dsn), 2, query_timeout=2.0, reset_timeout=0.5) as db:
            proxy.rule = lose_the_answer
            async with witness.holding(1):
                load = asyncio.create_task(db.load("t", [(1,), (2,), (3,)], chunk_rows=2, at_once=2))
                await becomes(lambda: proxy.is_stalled)
            with pytest.raises(LoadFailed) as caught:
                await load
            await proxy.heal()
            (part,) = caught.value.doubtful
            assert (part.offset, part.size, caught.value.stored) == (0, 2, ())
        assert await witness.value("select count(*) from t") == 2
