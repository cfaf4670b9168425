"""Items whose data the server refuses: told at once, or put aside with their error and run again later."""

from __future__ import annotations

import asyncio
from datetime import date
from decimal import Decimal

import asyncpg
import pytest

from dbpool import DatabasePool, Job, JobBusy, JobError, JobResult
from dbpool.core.blame import blames_item
from tests.support.databases import Database
from tests.support.jobs import at_commit
from tests.support.pools import pool_of, settled, witness_of
from tests.support.proxy import Do, Way, proxy_before

TABLE = "create table t (n int primary key, day date, price numeric check (price < 1000))"
INSERT = "insert into t values ($1, $2, $3)"
DAY = date(2026, 11, 28)


def items(count: int, *bad: int) -> list[object]:
    return [(n, DAY, Decimal(5000 if n in bad else n % 100)) for n in range(1, count + 1)]


def collecting(db: DatabasePool, what: list[object], **options: object) -> Job:
    return db.job("t", INSERT, what, on_error="collect", **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("one_by_one", [False, True])
async def test_one_bad_item_of_many_costs_only_itself(shop: Database, one_by_one: bool) -> None:
    count = 2000 if one_by_one else 20_000
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        result = await collecting(db, items(count, 1234), one_by_one=one_by_one).run()
        assert (result.items, result.done, result.rejected) == (count, count - 1, 1)
        assert await witness.value("select count(*) from t") == count - 1
        (reject,) = await db.job_rejects("t")
        assert (reject.number, reject.params, reject.sqlstate) == (1234, (1234, DAY, Decimal(5000)), "23514")
        assert reject.attempts == 1
        assert "t_price_check" in reject.message
        again = await collecting(db, items(count, 1234), one_by_one=one_by_one).run()
        assert (again.skipped, again.rejected) == (count, 0)


@pytest.mark.parametrize("bad", [{1}, {500}, {1, 2, 499, 500}, set(range(1, 501)), {501}, {250, 750, 1000}])
async def test_bad_items_are_found_wherever_they_are(shop: Database, bad: set[int]) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        result = await collecting(db, items(1000, *bad)).run()
        assert (result.done, result.rejected) == (1000 - len(bad), len(bad))
        assert {reject.number for reject in await db.job_rejects("t")} == bad
        assert await witness.value("select count(*) from t") == 1000 - len(bad)


@pytest.mark.parametrize(
    "bad",
    [("no number", DAY, 1), (2**40, DAY, 1), (None, DAY, 1), (7, DAY, 1), (1, 2), (8, "day", 1), (9, DAY, [1, 2])],
    ids=["a text", "too large", "null", "twice", "too few values", "no date", "a list"],
)
async def test_an_item_is_put_aside_whoever_refuses_it(shop: Database, bad: object) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        what = [*items(300), *((n, DAY, Decimal(1)) for n in range(1000, 1099)), bad]
        result = await collecting(db, what).run()
        assert (result.done, result.rejected) == (399, 1)
        (reject,) = await db.job_rejects("t")
        assert reject.number == 400
        assert reject.params == (tuple(bad) if isinstance(bad, tuple) else (bad,))
        await settled(db)


async def test_a_constraint_that_is_checked_at_commit_finds_its_item_too(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(
            "create table u (id int primary key); insert into u select generate_series(1, 300);"
            "create table t (u int references u deferrable initially deferred)"
        )
        what = [*range(1, 150), 999, *range(150, 300)]
        result = await db.job("t", "insert into t values ($1)", what, on_error="collect").run()
        assert (result.done, result.rejected) == (299, 1)
        assert [reject.number for reject in await db.job_rejects("t")] == [150]


async def test_unless_they_are_collected_the_first_bad_item_is_raised_and_its_chunk_not_stored(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        job = db.job("t", INSERT, items(1000, 640, 650), chunk=100, at_once=1)
        with pytest.raises(asyncpg.CheckViolationError) as raised:
            await job.run()
        assert raised.value.__notes__ == ["item 640"]
        assert await witness.value("select state from dbpool_job") == "failed"
        assert await witness.value("select count(*) from t where n between 601 and 700") == 0
        assert await witness.value("select count(*) from t") >= 600
        await witness.run("alter table t drop constraint t_price_check")
        await job.run()
        assert await witness.value("select count(*) from t") == 1000


async def test_rejects_run_again_and_stay_until_they_succeed(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        bad = set(range(10, 1000, 10))
        job = collecting(db, items(1000, *bad), chunk=50)
        await job.run()
        still = await job.retry_rejects()
        assert (still.state, still.items, still.done, still.rejected) == ("done", 99, 0, 99)
        assert {reject.attempts for reject in await db.job_rejects("t")} == {2}
        await witness.run("alter table t drop constraint t_price_check, add check (n <> 500)")
        result = await job.retry_rejects()
        assert (result.items, result.done, result.rejected) == (99, 98, 1)
        assert [(reject.number, reject.attempts) for reject in await db.job_rejects("t")] == [(500, 3)]
        assert await witness.value("select count(*) from t") == 999
        assert (await db.jobs())[0].rejects == 1
        await witness.run("alter table t drop constraint t_n_check")
        await job.retry_rejects()
        assert await db.job_rejects("t") == []
        assert (await job.retry_rejects()).items == 0
        assert await witness.rows("select count(*), count(distinct n) from t") == [(1000, 1000)]


async def test_rejects_are_run_again_by_one_pass_only(shop: Database) -> None:
    async with pool_of(shop, 4) as db, witness_of(shop) as witness:
        await witness.run("create table t (n int, day date, price numeric, check (price < 1000))")
        bad = range(1, 200)
        job = collecting(db, items(200, *bad), chunk=20)
        await job.run()
        await witness.run("alter table t drop constraint t_price_check")
        results = await asyncio.gather(*(job.retry_rejects() for _ in range(3)), return_exceptions=True)
        passes = [result for result in results if not isinstance(result, JobBusy)]  # one after the other, or refused
        assert sum(result.done for result in passes if isinstance(result, JobResult)) == 199
        assert all(isinstance(result, JobResult) for result in passes), passes
        assert await witness.rows("select count(*), count(distinct n) from t") == [(200, 200)]


@pytest.mark.parametrize("way", Way)
async def test_rejects_whose_commit_was_not_answered_are_not_run_twice(shop: Database, way: Way) -> None:
    async with witness_of(shop) as witness, proxy_before(shop.dsn) as proxy:
        await witness.run("create table t (n int, day date, price numeric, check (price < 1000))")
        async with pool_of(proxy.dsn(shop.dsn)) as db:
            job = collecting(db, items(200, *range(1, 200)), chunk=50)
            await job.run()
            await witness.run("alter table t drop constraint t_price_check, add check (n <> 77)")
            proxy.rule = at_commit(Do.RESET, way, often=2)
            result = await job.retry_rejects()
            assert (result.items, result.done, result.rejected) == (199, 198, 1)
            assert await witness.rows("select count(*), count(distinct n) from t") == [(199, 199)]
            assert [(reject.number, reject.attempts) for reject in await db.job_rejects("t")] == [(77, 2)]


async def test_a_value_that_json_cannot_bring_back_is_shown_and_stays(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        job = collecting(db, [(1, DAY, 2 + 3j), (2, DAY, Decimal(1))])
        assert (await job.run()).rejected == 1
        (reject,) = await db.job_rejects("t")
        assert reject.params is None
        assert "(2+3j)" in reject.shown
        result = await job.retry_rejects()
        assert (result.items, result.skipped) == (1, 1)


async def test_what_is_no_items_fault_puts_nothing_aside(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLE)
        await witness.run(
            "create function full_disk() returns trigger language plpgsql as "
            "$$ begin raise 'no space' using errcode = 'disk_full'; end $$;"
            "create trigger full_disk before insert on t for each row when (new.n = 150) execute function full_disk()"
        )
        with pytest.raises(asyncpg.DiskFullError) as raised:
            await collecting(db, items(300), chunk=100, at_once=1).run()
        assert not blames_item(raised.value.sqlstate)
        assert raised.value.__notes__ == ["job 't', chunk 1: items 101 to 200"]
        assert await db.job_rejects("t") == []
        assert await witness.value("select count(*) from t where n > 100 and n <= 200") == 0


async def test_the_rejects_of_an_unknown_job_are_an_error(shop: Database) -> None:
    async with pool_of(shop) as db:
        with pytest.raises(JobError, match="there is no job 'nothing'"):
            await db.job_rejects("nothing")
