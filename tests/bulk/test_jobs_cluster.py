"""A job on a Dask cluster of worker processes: nothing lost, nothing twice, never a connection too many."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import distributed
import pytest

from dbpool import CsvRows, DatabasePool, JobBusy, JobChanged, JobError, UsageError
from dbpool.bulk.jobs.storing import Chunk
from dbpool.cluster import worker
from dbpool.cluster.unit import Unit
from dbpool.cluster.worker import Grant, ShareUnknown, close_share, open_share, store_unit
from dbpool.core.chunks import first_item
from tests.support.clusters import Cluster, cluster_of, noting
from tests.support.databases import Database
from tests.support.jobs import CHUNK, COUNT, SQL, TABLES, assert_each_once, job_of
from tests.support.pools import Witness, pool_of, role_in, until, witness_of

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    async with cluster_of(2) as made:
        yield made


async def no_sessions_of_workers(witness: Witness) -> None:
    async def none() -> bool:
        names = await witness.rows(
            "select application_name from pg_stat_activity where application_name like 'dbpool job%'"
        )
        return not names

    await until(none, 15)


async def test_every_item_is_stored_once_by_workers_which_leave_no_session_behind(
    shop: Database, cluster: Cluster
) -> None:
    async with pool_of(shop, 5) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        seen: list[int] = []
        job = db.job("count", SQL, range(1, COUNT + 1), chunk=CHUNK, progress=lambda at: seen.append(at.items))
        result = await job.run_on(cluster.address, chunks=3)
        assert (result.state, result.items, result.done, result.skipped) == ("done", COUNT, COUNT, 0)
        assert seen[-1] == COUNT
        await assert_each_once(witness)
        await no_sessions_of_workers(witness)
        again = await job_of(db).run_on(cluster.address)
        assert (again.done, again.skipped) == (0, COUNT)


async def test_a_worker_that_is_killed_costs_nothing_and_the_limit_of_the_role_is_never_hit(
    shop: Database, cluster: Cluster, tmp_path: Path
) -> None:
    """The role may open as many connections as the job: one more would be refused, and noted by the worker's pool."""
    budget, count = 5, 6000
    async with witness_of(shop) as witness, role_in(shop, limit=budget) as dsn:
        await witness.run(TABLES)
        await witness.run("grant all on all tables in schema public to public")
        await witness.run("insert into hold values (1000)")
        (tmp_path / "dsn").write_text(dsn)
        async with pool_of(dsn, 1) as db:
            job = db.job("count", SQL, range(1, count + 1), chunk=CHUNK)
            async with witness.holding(1):  # whoever has item 1000 waits
                task = asyncio.create_task(
                    job.run_on(cluster.address, connections=budget, connect=partial(noting, tmp_path), chunks=4)
                )
                (pid,) = await witness.until_blocked()
                name = await witness.value("select application_name from pg_stat_activity where pid = $1", pid)
                pids = await cluster.pids()
                for address, process in pids.items():
                    if name in await shares_at(cluster, address):
                        await cluster.kill(process)
                # Dask starts it again, but its session waits still, and counts: there is no share for the new process
                await until(partial(has_replaced, cluster, pids), 30)
                for _ in range(20):
                    await asyncio.sleep(0.1)
                    shares = [await shares_at(cluster, address) for address in await cluster.pids()]
                    assert sorted(map(len, shares)) == [0, 1]
            result = await task
        assert result.done + result.skipped == result.items == count
        await assert_each_once(witness, count)
        assert not (tmp_path / "failed").exists(), (tmp_path / "failed").read_text()
        await no_sessions_of_workers(witness)


async def has_replaced(cluster: Cluster, before: dict[str, int]) -> bool:
    """Whether one of the processes is another one now."""
    now = set((await cluster.pids()).values())
    return len(now) == len(before) and len(now & set(before.values())) == len(before) - 1


async def shares_at(cluster: Cluster, address: str) -> list[str]:
    make: Any = distributed.Client
    async with make(cluster.address, asynchronous=True, set_as_default=False) as client:
        names: dict[str, list[str]] = await client.run(share_names, workers=[address])
        return names[address]


def share_names() -> list[str]:
    return list(worker._shares)  # noqa: SLF001


async def test_a_run_that_was_cancelled_leaves_nothing_running_and_another_goes_on(
    shop: Database, cluster: Cluster
) -> None:
    async with pool_of(shop, 5) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (1500)")
        async with witness.holding(1):
            task = asyncio.create_task(job_of(db).run_on(cluster.address, chunks=2))
            await witness.until_blocked()
            with pytest.raises(JobBusy):
                await job_of(db).run_on(cluster.address)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await no_sessions_of_workers(witness)
        assert await witness.value("select state from dbpool_job") == "stopped"
        await job_of(db).run()
        await assert_each_once(witness)


async def test_rejects_are_kept_and_errors_name_their_item(shop: Database, cluster: Cluster, tmp_path: Path) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("n\n" + "".join(f"{n}\n" for n in range(1, 1001)).replace("\n500\n", "\nfive hundred\n"))
    async with pool_of(shop, 4) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        sql = await db.taking_text("insert into seen values ($1)")
        with pytest.raises(asyncpg.DataError, match="five hundred") as raised:
            await db.job("count", sql, CsvRows(rows), chunk=CHUNK).run_on(cluster.address, chunks=2)
        assert "item 500" in raised.value.__notes__
        assert (await db.jobs())[0].state == "failed"
        result = await db.job("count", sql, CsvRows(rows), chunk=CHUNK, on_error="collect").run_on(cluster.address)
        assert (result.done + result.skipped, result.rejected) == (999, 1)
        (reject,) = await db.job_rejects("count")
        assert (reject.number, reject.params) == (500, ("five hundred",))
        with pytest.raises(JobChanged, match="in chunk 0"):
            await db.job("count", sql, [("7",)] * 1000, chunk=CHUNK).run_on(cluster.address)


async def test_what_cannot_work_is_said_in_one_sentence(
    shop: Database, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbpool.cluster.engine.CONNECT_S", 1.0)
    monkeypatch.setattr("dbpool.cluster.shares.PATIENCE_S", 1.0)
    async with pool_of(shop, 1) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        for cluster_given, options, error, words in [
            (cluster.address, {}, UsageError, "needs 2 connections"),
            ("tcp://127.0.0.1:1", {"connections": 2}, JobError, "no Dask scheduler answers at tcp://127.0.0.1:1"),
            ("nonsense", {"connections": 2}, JobError, "at nonsense: missing port number"),
            (7, {"connections": 2}, UsageError, "not int"),
        ]:
            with pytest.raises(error, match=words):
                await job_of(db).run_on(cluster_given, **options)  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="cannot be sent to workers"):
            await db.job("a", "insert into seen values ($1)", [1, threading.Lock()]).run_on(
                cluster.address, connections=2
            )
        async with cluster_of(0) as empty:
            with pytest.raises(JobError, match=r"no worker at tcp://127.0.0.1:[0-9]+ for 1 s: there is none"):
                await job_of(db).run_on(empty.address, connections=2)
        assert await witness.value("select count(*) from seen") == 0


# What a worker does, without a cluster


async def give(db: DatabasePool, dsn: str, name: str, run: str = "run") -> None:
    target = job_of(db)._target(await job_of(db)._entered(COUNT))  # noqa: SLF001
    await open_share(Grant(name, target.job_id, run, 2, target, lambda most, _: DatabasePool(dsn, most)))


def unit(first: int, last: int) -> Unit:
    starts = (first_item(chunk, CHUNK) for chunk in range(first, last + 1))
    return Unit.of([Chunk(number, range(start, start + CHUNK)) for number, start in enumerate(starts, first)])


async def test_units_may_be_stored_anywhere_twice_and_at_the_same_time(shop: Database) -> None:
    async with pool_of(shop, 1) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        names = ["one", "other"]
        for name in names:
            await give(db, shop.dsn, name)
        units = [unit(0, 6), unit(7, 13), unit(14, 19), unit(3, 15)]
        stored = await asyncio.gather(*(store_unit(name, each) for each in units for name in [*names, "one"]))
        assert sum(each.done for each in stored) == COUNT
        assert sum(each.skipped for each in stored) == 2 * COUNT + 3 * 13 * CHUNK
        for name in names:
            await close_share(name)
        await assert_each_once(witness)
        assert (await job_of(db).run()).skipped == COUNT


async def test_a_process_that_was_never_given_a_share_says_so_and_connects_to_nothing(shop: Database) -> None:
    with pytest.raises(ShareUnknown):
        await store_unit("nobody's", unit(0, 1))
    await close_share("nobody's")


async def test_a_share_of_an_earlier_run_is_closed_when_the_next_begins(shop: Database) -> None:
    async with pool_of(shop, 1) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await give(db, shop.dsn, "old")
        await store_unit("old", unit(0, 1))
        await give(db, shop.dsn, "new", run="next")
        assert list(worker._shares) == ["new"]  # noqa: SLF001
        with pytest.raises(ShareUnknown):
            await store_unit("old", unit(2, 3))
        await close_share("new")
