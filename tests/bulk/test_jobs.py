"""Jobs on a real server: each item once, whatever the statement; what is refused; what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dbpool import (
    CsvRows,
    JobChanged,
    JobError,
    JobTablesMissing,
    NdjsonRows,
    Progress,
    SettingsError,
    StatementError,
    UsageError,
)
from tests.support.databases import Database
from tests.support.jobs import CHUNK, COUNT, SQL, TABLES, assert_each_once, entered, job_of
from tests.support.pools import Witness, becomes, pool_of, settled, witness_of

INSERT = "insert into seen values ($1)"


@pytest.mark.every_loop
@pytest.mark.parametrize("at_once", [1, 2, 4])
async def test_every_item_has_its_effect_once_and_a_second_run_does_nothing(shop: Database, at_once: int) -> None:
    async with pool_of(shop, 3) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        result = await job_of(db, at_once=at_once).run()
        assert (result.name, result.state, result.items, result.done) == ("count", "done", COUNT, COUNT)
        await assert_each_once(witness)
        again = await job_of(db, at_once=at_once).run()
        assert (again.items, again.done, again.skipped, again.rejected) == (COUNT, 0, COUNT, 0)
        await assert_each_once(witness)


async def test_a_pool_of_one_connection_is_enough_for_two_jobs_at_once(shop: Database) -> None:
    async with pool_of(shop, 2, acquire_timeout=2) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        jobs = [db.job(name, INSERT, range(1000), chunk=10, at_once=2) for name in ("one", "two")]
        await asyncio.gather(*(job.run() for job in jobs))
        assert await witness.value("select count(*) from seen") == 2000
    async with pool_of(shop, 1) as db:
        assert (await db.job("three", INSERT, range(1000), chunk=10).run()).done == 1000


@pytest.mark.parametrize("kind", ["list", "generator", "async generator"])
async def test_items_may_come_from_any_iterable(shop: Database, kind: str) -> None:
    def numbers() -> Iterator[int]:
        yield from range(1, 1051)

    async def async_numbers() -> AsyncIterator[int]:
        for n in numbers():
            yield n

    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        for _ in range(2):
            items: Iterable[int] | AsyncIterable[int] = list(numbers()) if kind == "list" else numbers()
            if kind == "async generator":
                items = async_numbers()
            result = await db.job("count", SQL, items, chunk=CHUNK).run()
            await assert_each_once(witness, 1050)
        assert (result.done, result.skipped) == (0, 1050)
        assert await witness.value("select total from dbpool_job") == 1050


@pytest.mark.parametrize(
    "sql",
    [
        "insert into seen values ($1) returning n",
        "with a as (insert into seen values ($1) returning n) select n from a",
        "select put($1)",
        "call put_too($1)",
    ],
)
@pytest.mark.parametrize("one_by_one", [False, True])
async def test_whatever_writes_can_be_a_job(shop: Database, sql: str, one_by_one: bool) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run(
            "create function put(a int) returns int language sql as 'insert into seen values (a) returning n';"
            "create procedure put_too(a int) language sql as 'insert into seen values (a)'"
        )
        await db.job("put", sql, range(1, 301), one_by_one=one_by_one).run()
        await assert_each_once(witness, 300)


async def test_a_job_without_items_is_done(shop: Database) -> None:
    async with pool_of(shop) as db:
        result = await db.job("none", INSERT, []).run()
        assert (result.state, result.items) == ("done", 0)


async def test_a_cancelled_run_keeps_whole_chunks_and_can_go_on(shop: Database) -> None:
    async with pool_of(shop, 3) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (1250)")
        async with witness.holding(1):
            task = asyncio.create_task(job_of(db, at_once=2).run())
            await witness.until_blocked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await settled(db)
        stored = await witness.value("select sum(items) from dbpool_job_chunk")
        assert await witness.value("select count(*) from seen") == stored
        assert stored % CHUNK == 0
        assert await witness.value("select state from dbpool_job where run is null") == "stopped"
        assert (await job_of(db).run()).skipped == stored
        await assert_each_once(witness)


async def test_what_was_read_before_the_source_failed_is_kept(shop: Database) -> None:
    def numbers() -> Iterator[int]:
        yield from range(1, 251)
        raise OSError("the file is gone")

    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        with pytest.raises(OSError, match="the file is gone"):
            await db.job("count", SQL, numbers(), chunk=CHUNK).run()
        assert await witness.value("select state from dbpool_job") == "failed"
        assert await witness.value("select count(*) from seen") % CHUNK in (0, 50)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every transaction counts as a short one, so that more chunks are stored by the next."""
    monkeypatch.setattr("dbpool.core.grouping.SHORT_S", 60.0)
    monkeypatch.setattr("dbpool.core.grouping.LONG_S", 60.0)


async def transactions(witness: Witness) -> list[Any]:
    """How many chunks each transaction has stored, in order."""
    rows = await witness.rows("select count(*) from dbpool_job_chunk group by xmin order by min(chunk)")
    return [count for (count,) in rows]


@pytest.mark.usefixtures("quick")
async def test_while_transactions_are_short_each_stores_more_chunks(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await job_of(db, 2 * COUNT).run()
        counts = await transactions(witness)
        assert (sum(counts), max(counts)) == (2 * COUNT // CHUNK, 8)
        await assert_each_once(witness, 2 * COUNT)


@pytest.mark.usefixtures("quick")
async def test_chunks_before_one_that_cannot_be_read_are_stored(shop: Database) -> None:
    """Wherever that is in a unit: units become longer as the job goes on."""

    def numbers(count: int) -> Iterator[int]:
        yield from range(1, count + 1)
        raise OSError("the file is gone")

    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        for chunks in range(30, 38):
            items = numbers(chunks * CHUNK + CHUNK // 2)
            with pytest.raises(OSError, match="the file is gone"):
                await db.job(f"to {chunks}", SQL, items, chunk=CHUNK, at_once=1).run()
            await assert_each_once(witness, chunks * CHUNK)
            await witness.run("truncate seen")


@pytest.mark.usefixtures("quick")
async def test_an_item_that_fails_takes_only_its_chunk_with_it(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        sql = "insert into seen select $1::int where 1 / ($1 - 1234) is not null"
        with pytest.raises(asyncpg.DivisionByZeroError) as raised:
            await db.job("a", sql, range(1, COUNT + 1), chunk=CHUNK, at_once=1).run()
        assert raised.value.__notes__ == ["item 1234"]
        await assert_each_once(witness, 1200)
        result = await db.job("a", sql, range(1, COUNT + 1), chunk=CHUNK, at_once=1, on_error="collect").run()
        assert (result.skipped, result.done, result.rejected) == (1200, 799, 1)
        assert (await db.job_rejects("a"))[0].number == 1234


@pytest.mark.usefixtures("quick")
async def test_chunks_that_are_stored_in_between_are_passed_over(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await job_of(db).run()
        await witness.run("delete from seen where (n - 1) / 100 not in (3, 9, 10)")
        await witness.run("delete from dbpool_job_chunk where chunk not in (3, 9, 10)")
        result = await job_of(db).run()
        assert (result.done, result.skipped) == (1700, 300)
        await assert_each_once(witness)


@pytest.mark.slow
@pytest.mark.usefixtures("quick")
async def test_chunks_that_take_too_long_together_are_stored_each_by_itself(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        sql = "insert into seen select $1::int where $1::int < 1000 or pg_sleep(0.004) is not null"
        result = await db.job("slow", sql, range(1, COUNT + 1), chunk=CHUNK, timeout=1.5, at_once=1).run()
        assert result.done == COUNT
        await assert_each_once(witness)


async def test_rows_of_a_file_are_read_as_the_server_reads_text_those_put_aside_too(
    shop: Database, tmp_path: Path
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("n\n" + "".join(f"{n}\n" for n in range(1, 501)))
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("alter table seen add check (n <> 77)")
        job = db.job("file", "insert into seen values ($1)", CsvRows(rows), chunk=CHUNK, on_error="collect")
        result = await job.run()
        assert (result.done, result.rejected) == (499, 1)
        await witness.run("alter table seen drop constraint seen_n_check")
        again = await db.job("file", "insert into seen values ($1)", [], chunk=CHUNK).retry_rejects()
        assert again.done == 1
        await assert_each_once(witness, 500)


async def test_json_of_a_file_keeps_its_digits_and_lists(shop: Database, tmp_path: Path) -> None:
    rows = tmp_path / "rows.ndjson"
    rows.write_text('{"n": 1.10, "j": [1, {"a": []}]}\n{"n": 2, "j": null}\n')
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run("create table kept (n numeric, j jsonb)")
        sql = "insert into kept values ($1, $2)"
        for done in (2, 0):
            assert (await db.job("json", sql, NdjsonRows(rows)).run()).done == done
        found = await witness.rows("select n::text, j::text from kept order by n")
        assert found == [("1.10", '[1, {"a": []}]'), ("2", None)]


async def test_a_job_that_is_done_stays_done_when_other_items_are_refused(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await job_of(db).run()
        with pytest.raises(JobChanged):
            await db.job("count", SQL, range(2, COUNT + 2), chunk=CHUNK).run()
        assert (await db.jobs())[0].state == "done"


async def test_two_jobs_with_a_pool_of_two_do_not_wait_for_each_others_connection(shop: Database) -> None:
    async with pool_of(shop, 2, acquire_timeout=60.0) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        async with asyncio.timeout(30):
            await asyncio.gather(
                *(db.job(name, SQL, range(1, 401), chunk=50, at_once=2).run() for name in ("one", "other"))
            )
        assert await witness.value("select count(*) from seen") == 800


async def test_deadlocks_are_tried_again(shop: Database) -> None:
    async with pool_of(shop, 6) as db, witness_of(shop) as witness:
        await witness.run("create table counters (id int primary key, n int not null)")
        await witness.run("insert into counters select id, 0 from generate_series(1, 40) as id")
        ups = [n % 40 + 1 for n in range(400)]
        sql = "update counters set n = n + 1 where id = $1"
        jobs = [
            db.job("up", sql, ups, chunk=40, at_once=2, retry=50),
            db.job("down", sql, list(reversed(ups)), chunk=40, at_once=2, retry=50),
        ]
        await asyncio.gather(*(job.run() for job in jobs))
        assert await witness.value("select sum(n) from counters") == 800


async def test_it_holds_under_serializable_isolation_too(shop: Database) -> None:
    settings = {"default_transaction_isolation": "serializable"}
    async with pool_of(shop, 4, server_settings=settings) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        sql = "insert into seen select $1::int where (select count(*) from seen where n = $1) >= 0"
        await db.job("count", sql, range(1, 401), chunk=20, retry=50).run()
        await assert_each_once(witness, 400)


async def test_progress_ends_with_all_of_it(shop: Database) -> None:
    told: list[Progress] = []
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        for _ in range(2):
            await db.job("count", SQL, range(1, 1001), progress=told.append).run()
            assert (told[-1].items, told[-1].failed, told[-1].total) == (1000, 0, 1000)


async def test_jobs_are_listed_and_forgotten(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        assert await db.jobs() == []
        await job_of(db).run()
        (info,) = await db.jobs()
        assert (info.name, info.state, info.chunks, info.items) == ("count", "done", COUNT // CHUNK, COUNT)
        assert (info.rejects, info.total, info.is_alive, info.owner) == (0, COUNT, False, "")
        assert info.started <= info.updated
        await db.forget_job("count")
        assert await db.jobs() == []
        for table in ("dbpool_job_chunk", "dbpool_job_reject"):
            assert await witness.value(f"select count(*) from {table}") == 0
        with pytest.raises(JobError, match="there is no job 'count'"):
            await db.forget_job("count")
        await job_of(db).run()
        assert await witness.value("select count(*) from seen") == 2 * COUNT


async def test_a_job_that_is_deleted_under_a_run_stores_nothing_more(shop: Database) -> None:
    async with pool_of(shop, 3) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (150)")
        async with witness.holding(1):
            task = asyncio.create_task(job_of(db).run())
            await witness.until_blocked()
            async with witness_of(shop) as other:
                deleting = asyncio.create_task(other.run("delete from dbpool_job"))
                await becomes(lambda: not deleting.done())
                await witness.run("select pg_advisory_unlock(1)")
                await deleting
                await witness.run("select pg_advisory_lock(1)")
        with pytest.raises(JobError, match="was forgotten"):
            await task


async def test_without_its_tables_a_job_says_what_to_do(database: Database) -> None:
    async with pool_of(database) as db:
        for work in (job_of(db).run(), entered(job_of(db)), db.jobs(), db.job_rejects("a"), db.forget_job("a")):
            with pytest.raises(JobTablesMissing, match="run dbpool migrate up"):
                await work


async def test_a_missing_table_of_the_users_own_is_told_as_it_is(shop: Database) -> None:
    async with pool_of(shop) as db:
        with pytest.raises(asyncpg.UndefinedTableError) as raised:
            await db.job("a", "insert into nowhere values ($1)", [1, 2], on_error="collect").run()
        assert raised.value.__notes__ == ["job 'a', chunk 0: items 1 to 2"]


@pytest.mark.parametrize("sql", ["select $1::int", "values ($1::int)", "table seen"])
async def test_a_statement_that_only_reads_is_refused_with_the_reason(shop: Database, sql: str) -> None:
    async with pool_of(shop) as db:
        with pytest.raises(StatementError, match=r"only reads.*could be done twice.*db\.map"):
            db.job("a", sql, [1])


@pytest.mark.parametrize(
    ("name", "items", "options", "error"),
    [
        ("", [1], {}, UsageError),
        ("a\0b", [1], {}, UsageError),
        (5, [1], {}, UsageError),
        ("a", "text", {}, UsageError),
        ("a", 5, {}, UsageError),
        ("a", [1], {"chunk": 0}, SettingsError),
        ("a", [1], {"at_once": 0}, SettingsError),
        ("a", [1], {"retry": 0}, SettingsError),
        ("a", [1], {"timeout": 0}, SettingsError),
        ("a", [1], {"on_error": "ignore"}, UsageError),
    ],
)
async def test_what_means_nothing_is_refused(
    shop: Database, name: str, items: list[int], options: dict[str, object], error: type[Exception]
) -> None:
    async with pool_of(shop) as db:
        with pytest.raises(error):
            db.job(name, INSERT, items, **options)  # type: ignore[arg-type]
