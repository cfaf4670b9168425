"""Loads that end before their source does: what is stored, what is left, how to go on."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path

import pytest

from dbpool import LoadFailed, LoadProgress, PoolDeadlock, UsageError
from tests.support.databases import Database
from tests.support.pools import held, pool_of, settled, until, witness_of
from tests.support.proxy import Do, Message, Way, proxy_before

TABLE = "create table t (id int unique, name text)"
WAITING = """
create function wait() returns trigger language plpgsql as $$
begin if new.name = 'wait' then perform pg_advisory_xact_lock(1); end if; return new; end $$;
create trigger wait before insert on t for each row execute function wait();
"""


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def text_of(numbers: range, bad: int = -1) -> str:
    return "id,name\n" + "".join(f"{n if n != bad else 'bad'},row {n}\n" for n in numbers)


async def test_an_error_says_what_is_stored_and_the_rest_can_be_resumed(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text_of(range(1000), bad=500))
    async with pool_of(database, 3) as db:
        await db.execute(TABLE)
        with pytest.raises(LoadFailed, match=r"line 502: 22P02 .*resume=error.stored") as caught:
            await db.load("t", file, chunk_bytes=500)
        error = caught.value
        assert error.line == 502
        assert (
            error.rows_stored == sum(part.rows for part in error.stored) == await db.fetchval("select count(*) from t")
        )
        assert 0 < error.rows_stored < 1000
        file.write_text(file.read_text().replace("bad", "500"))
        done = await db.load("t", file, chunk_bytes=500, resume=error.stored)
        assert done.rows == 1000
        assert await db.fetchval("select count(*) from t") == 1000


async def test_records_can_be_resumed_too(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(LoadFailed, match="row 56") as caught:
            await db.load("t", [(n if n != 55 else "bad", "x") for n in range(100)], chunk_rows=10, at_once=1)
        assert caught.value.rows_stored == 50
        done = await db.load("t", [(n, "x") for n in range(100)], chunk_rows=10, resume=caught.value.stored)
        assert done.rows == await db.fetchval("select count(*) from t") == 100


async def test_a_source_that_is_cut_in_other_places_is_not_resumed(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        records = [(n if n != 55 else "bad", "x") for n in range(100)]
        with pytest.raises(LoadFailed) as caught:
            await db.load("t", records, chunk_rows=10, at_once=1)
        for chunk_rows in (7, 30):
            with pytest.raises(LoadFailed, match="other places") as again:
                await db.load("t", records, chunk_rows=chunk_rows, at_once=1, resume=caught.value.stored)
            assert again.value.rows_stored == await db.fetchval("select count(*) from t") == 50


async def test_a_file_that_begins_elsewhere_is_not_resumed(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text("1,a\n2,b\nbad,c\n")
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(LoadFailed) as caught:
            await db.load("t", file, header=False, chunk_bytes=8, at_once=1)
        assert caught.value.rows_stored == 2
        with pytest.raises(LoadFailed, match="other places"):
            await db.load("t", file, header="skip", chunk_bytes=4, at_once=1, resume=caught.value.stored)
        assert await db.fetchval("select count(*) from t") == 2


@pytest.mark.parametrize("on_reject", ["raise", "skip"])
async def test_an_atomic_load_stores_all_or_nothing(database: Database, tmp_path: Path, on_reject: str) -> None:
    good, bad = tmp_path / "1.csv", tmp_path / "2.csv"
    good.write_text(text_of(range(100)))
    bad.write_text(text_of(range(100, 200), bad=150))
    async with pool_of(database) as db:
        await db.execute(TABLE)
        most = {"most_rejects": 0} if on_reject == "skip" else {}
        with pytest.raises(LoadFailed, match="Nothing of it is stored") as caught:
            await db.load("t", [good, bad], atomic=True, on_reject=on_reject, chunk_bytes=300, **most)  # type: ignore[arg-type]
        assert (caught.value.rows_stored, caught.value.stored, caught.value.line) == (0, (), 52)
        assert await db.fetchval("select count(*) from t") == 0
        if on_reject == "skip":
            done = await db.load("t", [good, bad], atomic=True, on_reject="skip", chunk_bytes=300)
            assert (done.rows, done.rejected) == (199, 1)
            assert await db.fetchval("select count(distinct xmin::text) from t") > 0
            assert await db.fetchval("select count(*) from t") == 199


async def test_nobody_sees_an_atomic_load_before_its_end(database: Database) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await db.execute(TABLE)
        counts: list[int] = []

        async def records() -> AsyncIterator[tuple[int, str]]:
            for n in range(30):
                counts.append(await witness.value("select count(*) from t"))
                yield n, "x"

        await db.load("t", records(), atomic=True, chunk_rows=10)
        assert set(counts) == {0}
        assert await witness.value("select count(*) from t") == 30


async def test_a_cancelled_load_leaves_nothing_under_way(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text_of(range(1000)) + "1000,wait\n" + text_of(range(1001, 3000)).removeprefix("id,name\n"))
    threads = set(threading.enumerate())
    async with pool_of(database, 3) as db, witness_of(database) as witness:
        await db.execute(TABLE + ";" + WAITING)
        tasks = asyncio.all_tasks()
        async with witness.holding():
            loading = asyncio.create_task(db.load("t", file, chunk_bytes=2000))
            await witness.until_blocked()
            loading.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await loading
            await witness.until_none_blocked()
        await settled(db)
        stored = await witness.value("select count(*) from t")
        (note,) = caught.value.__notes__
        assert f"{stored:,} rows of it" in note
        assert asyncio.all_tasks() - tasks == set()
        assert set(threading.enumerate()) - threads == set()
        assert await db.fetchval("select count(*) from t where name = 'wait'") == 0


async def test_a_cancelled_load_keeps_the_rejects_of_what_is_stored(database: Database, tmp_path: Path) -> None:
    file, rejects = tmp_path / "t.csv", tmp_path / "rejects.csv"
    file.write_text("id,name\nbad,1\n" + text_of(range(100)).removeprefix("id,name\n") + "bad,2\n1000,wait\n")
    async with pool_of(database) as db, witness_of(database) as witness:
        await db.execute(TABLE + ";" + WAITING)
        async with witness.holding():
            loading = asyncio.create_task(
                db.load("t", file, chunk_bytes=400, at_once=1, on_reject="file", reject_file=rejects)
            )
            await witness.until_blocked()
            loading.cancel()
            with pytest.raises(asyncio.CancelledError):
                await loading
    assert [line.split(",")[-2:] for line in rejects.read_text().splitlines()[1:]] == [['"bad', '1"']]
    assert names_in(tmp_path) == ["rejects.csv", "t.csv"]


async def cancelled_after(count: int) -> AsyncIterator[tuple[int, str]]:
    for number in range(count):
        yield number, "x"
    raise asyncio.CancelledError


def cancelled_here_after(count: int) -> Iterator[tuple[int, str]]:
    yield from ((number, "x") for number in range(count))
    raise asyncio.CancelledError


@pytest.mark.parametrize("source", [cancelled_after, cancelled_here_after])
async def test_a_source_that_ends_cancelled_ends_the_load(
    database: Database, source: Callable[[int], Iterable[object] | AsyncIterable[object]]
) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(asyncio.CancelledError) as caught:
            await db.load("t", source(2000), chunk_rows=10)
        stored = await db.fetchval("select count(*) from t")
        assert 0 < stored < 2000
        assert f"{stored:,} rows" in caught.value.__notes__[0]


async def test_a_lost_connection_is_replaced_and_its_chunk_stored_once(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text_of(range(100)) + "100,wait\n")
    async with pool_of(database, 2) as db, witness_of(database) as witness:
        await db.execute(TABLE + ";" + WAITING)
        async with witness.holding():
            loading = asyncio.create_task(db.load("t", file, chunk_bytes=500))
            (pid,) = await witness.until_blocked()
            await witness.terminate(pid)
            await witness.until_blocked()
        assert (await loading).rows == 101
        assert await db.fetchval("select count(*) from t") == 101


@pytest.mark.parametrize("atomic", [False, True])
@pytest.mark.parametrize("kind", ["the answer", "the commit"])
async def test_a_commit_that_is_lost_is_asked_about_so_that_its_rows_are_stored_once(
    database: Database, tmp_path: Path, kind: str, atomic: bool
) -> None:
    rejects = tmp_path / "rejects.csv"
    lost = 0

    def lose_the_first(message: Message) -> Do:
        nonlocal lost
        if kind == "the answer":
            is_it = message.way is Way.TO_CLIENT and message.kind == "C" and message.body.startswith(b"COMMIT")
        else:
            is_it = message.says("Q") and message.body == b"COMMIT\0"
        lost += is_it
        return Do.RESET if is_it and lost == 1 else Do.PASS

    records = [(n, "x") if n != 3 else ("bad", "x") for n in range(10)]
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        proxy.rule = lose_the_first
        load = db.load("t", records, atomic=atomic, on_reject="file", reject_file=rejects, at_once=1)
        if atomic and kind == "the commit":
            with pytest.raises(LoadFailed, match="Nothing of it is stored"):
                await load
            assert await db.fetchval("select count(*) from t") == 0
            assert names_in(tmp_path) == []
        else:
            assert (await load).rows == 9
            assert await db.fetchval("select count(*) from t") == 9
            assert len(rejects.read_text().splitlines()) == 2
    assert lost >= 1


async def test_a_commit_that_nobody_can_say_more_about_is_doubtful(database: Database) -> None:
    def lose_all(message: Message) -> Do:
        is_it = message.says("P", b"pg_xact_status") or (message.says("Q") and message.body == b"COMMIT\0")
        return Do.RESET if is_it else Do.PASS

    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        proxy.rule = lose_all
        with pytest.raises(LoadFailed, match="see error") as caught:
            await db.load("t", [(1, "x"), (2, "x")])
        (part,) = caught.value.doubtful
        assert (part.line, part.size, caught.value.stored) == (1, 2, ())


async def test_what_a_progress_function_raises_ends_the_load_and_stores_nothing_twice(
    database: Database, tmp_path: Path
) -> None:
    def fail(_: LoadProgress) -> None:
        raise BrokenPipeError("mine")

    file = tmp_path / "t.csv"
    file.write_text("id,name\n1,wait\n2,x\n")
    async with pool_of(database) as db, witness_of(database) as witness:
        await db.execute("create table t (id int, name text);" + WAITING)
        async with witness.holding():
            loading = asyncio.create_task(db.load("t", file, chunk_bytes=1, at_once=1, progress=fail))
            await witness.until_blocked()
            await asyncio.sleep(0.6)  # then it is due
        with pytest.raises(LoadFailed, match="mine") as caught:
            await loading
        assert isinstance(caught.value.__cause__, BrokenPipeError)
        assert caught.value.rows_stored == await db.fetchval("select count(*) from t") == 1


async def test_chunks_that_deadlock_are_stored_all_the_same(database: Database) -> None:
    async with pool_of(database, 2) as db:
        await db.execute("create table counts (k int primary key, n int); insert into counts values (1, 0), (2, 0)")
        await db.execute(
            "create table t (k int); create function note() returns trigger language plpgsql as $$ begin "
            "update counts set n = n + 1 where k = new.k; perform pg_sleep(0.05); return null; end $$; "
            "create trigger note after insert on t for each row execute function note()"
        )
        done = await db.load("t", [(1,), (2,), (2,), (1,)] * 3, chunk_rows=2)
        assert done.rows == await db.fetchval("select count(*) from t") == 12
        assert await db.fetchval("select array_agg(n) from counts") == [6, 6]


async def test_progress_is_told_at_the_end_and_reaches_the_whole(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text(text_of(range(5000)))
    told: list[LoadProgress] = []
    async with pool_of(database) as db:
        await db.execute(TABLE)
        done = await db.load("t", file, chunk_bytes=1000, progress=told.append)
    size = file.stat().st_size
    assert (told[-1].rows, told[-1].bytes, told[-1].total_bytes) == (5000, size, size)
    assert len(told) <= 2 + done.seconds / 0.5
    assert done.bytes == size


async def test_a_load_holds_no_more_connections_than_were_asked_for(database: Database) -> None:
    async with pool_of(database, 4) as db:
        await db.execute(TABLE)
        most = 0

        async def records() -> AsyncIterator[tuple[int, str]]:
            nonlocal most
            for n in range(300):
                await asyncio.sleep(0)
                most = max(most, db.stats().held)
                yield n, "x"

        await db.load("t", records(), chunk_rows=5, at_once=2)
        assert most <= 2
        assert await db.lane("one", at_most=1).load("t", [(1000, "x")]) is not None


async def test_a_load_waits_in_line_for_its_lanes_connections(database: Database) -> None:
    async with pool_of(database, 2) as db:
        await db.execute(TABLE)
        lane = db.lane("batch", at_most=1)
        async with held(lane):
            loading = asyncio.create_task(lane.load("t", [(1, "x")]))
            await until(lambda: _waits(lane))
            assert "test_load_stopping.py" in str(db.report())
        assert (await loading).rows == 1


async def _waits(lane: object) -> bool:
    await asyncio.sleep(0)
    return bool(lane.waiting)  # type: ignore[attr-defined]


async def test_a_load_inside_the_only_connection_is_a_deadlock_at_once(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        async with db.acquire():
            with pytest.raises(PoolDeadlock):
                await db.load("t", [(1, "x")])


async def test_a_source_is_read_no_further_than_a_few_chunks_ahead(database: Database) -> None:
    made = 0

    def records() -> Iterator[tuple[int, str]]:
        nonlocal made
        for n in range(10_000):
            made += 1
            yield n, "wait" if n == 0 else "x"

    async with pool_of(database, 2) as db, witness_of(database) as witness:
        await db.execute(TABLE + ";" + WAITING)
        async with witness.holding():
            loading = asyncio.create_task(db.load("t", records(), chunk_rows=100, at_once=1))
            await witness.until_blocked()
            for _ in range(200):
                await asyncio.sleep(0)
            assert made < 2000
        assert (await loading).rows == 10_000


async def test_resume_and_atomic_exclude_each_other(database: Database) -> None:
    async with pool_of(database) as db:
        with pytest.raises(UsageError, match="resume"):
            await db.load("t", [], atomic=True, resume=[None])  # type: ignore[list-item]
