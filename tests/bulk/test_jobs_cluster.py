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

from dbpool import CsvRows, DatabasePool, JobBusy, JobChanged, JobError, UsageError, create_pool
from dbpool.bulk.access import Access
from dbpool.bulk.jobs.storing import Chunk
from dbpool.cluster import worker
from dbpool.cluster.connect import SameSettings
from dbpool.cluster.engine import _is_private
from dbpool.cluster.unit import Unit
from dbpool.cluster.worker import Grant, close_older, close_share, open_share, store_unit
from dbpool.core.chunks import first_item
from tests.support.clusters import Cluster, cluster_of, noting
from tests.support.databases import Database, new_database
from tests.support.jobs import CHUNK, COUNT, SQL, TABLES, assert_each_once, job_of
from tests.support.pools import Witness, dsn_with, pool_of, role_in, until, witness_of
from tests.support.server import Server

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
        sql = "insert into seen values ($1)"
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
    monkeypatch.setattr("dbpool.cluster.run.PATIENCE_S", 1.0)
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
    row = await job_of(db)._entered(COUNT)  # noqa: SLF001
    target = job_of(db)._settings.target(row.id, row.name, row.sql, row.total)  # noqa: SLF001
    await open_share(Grant(name, "the job", run, 2, target, lambda most, _: DatabasePool(dsn, most)))


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
        assert sum(each.done for each in stored if each is not None) == COUNT
        assert sum(each.skipped for each in stored if each is not None) == 2 * COUNT + 3 * 13 * CHUNK
        for name in names:
            await close_share(name)
        await assert_each_once(witness)
        assert (await job_of(db).run()).skipped == COUNT


async def test_a_process_that_was_never_given_a_share_says_so_and_connects_to_nothing(shop: Database) -> None:
    assert await store_unit("nobody's", unit(0, 1)) is None
    await close_share("nobody's")


async def test_what_an_earlier_run_of_the_same_job_has_left_is_closed_and_nothing_else(shop: Database) -> None:
    async with pool_of(shop, 1) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await give(db, shop.dsn, "old")
        await store_unit("old", unit(0, 1))
        await close_older("another job", "next")
        assert list(worker._shares) == ["old"]  # noqa: SLF001
        await close_older("the job", "next")
        assert await store_unit("old", unit(2, 3)) is None


async def test_a_share_that_is_closed_while_its_pool_is_opened_leaves_no_session(shop: Database) -> None:
    async with pool_of(shop, 1) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        for turns in (0, 1, 2, 5, 20, 50):
            await give(db, shop.dsn, "quick")
            storing = asyncio.create_task(store_unit("quick", unit(0, 1)))
            for _ in range(turns):
                await asyncio.sleep(0)
            await close_share("quick")
            await asyncio.wait([storing], timeout=10)
            assert storing.done()
            storing.cancelled() or storing.exception()
            await until(partial(only_the_pool, witness), 10)


async def only_the_pool(witness: Witness) -> bool:
    return len(await witness.pids()) <= 1


async def test_a_units_items_of_a_class_that_a_worker_cannot_import_are_refused() -> None:
    made = Unit.of([Chunk(0, [Plain(1)])])
    assert "Plain" not in repr(made)
    odd = Unit(0, made.pickled.replace(b"Plain", b"Gone_"))
    with pytest.raises(UsageError, match=r"a worker cannot read these items: .*Gone_"):
        odd.chunks()


class Plain:
    def __init__(self, n: int) -> None:
        self.n = n


# Secrets


@pytest.mark.parametrize(
    ("address", "is_private"),
    [
        ("tcp://127.0.0.1:8786", True),
        ("tcp://[::1]:8786", True),
        ("tcp://localhost:8786", True),
        ("tls://10.0.0.5:8786", True),
        ("inproc://10.0.0.5/1/2", True),
        ("tcp://10.0.0.5:8786", False),
        ("tcp://localhost.example.org:8786", False),
        ("tcp://127.example.org:8786", False),
        ("ws://10.0.0.5:1", False),
    ],
)
def test_what_only_this_machine_or_tls_sees_is_private(address: str, is_private: bool) -> None:
    assert _is_private(address) is is_private


async def test_a_password_is_not_sent_where_others_can_read_it(shop: Database) -> None:
    secret = "sesame"
    for dsn, options in [
        (dsn_with(shop.dsn, user="postgres", password=secret), {}),
        (f"postgresql://postgres@localhost/x?password={secret}", {}),
        (f"postgresql://postgres@localhost/x?sslpassword={secret}", {}),
        ("postgresql://postgres@localhost/x", {"credentials": lambda: secret}),
    ]:
        db = DatabasePool(dsn, 3, **options)  # type: ignore[arg-type]
        access = Access(db._leases, db._line, db._settings, None, db._plans)  # type: ignore[arg-type] # noqa: SLF001
        with pytest.raises(UsageError, match="for everybody on the network to read") as raised:
            SameSettings.of(access, is_private=False)
        assert secret not in str(raised.value)
        same = SameSettings.of(access, is_private=True)
        assert same.is_secret
        assert secret not in repr(same)
    open_to_all = DatabasePool("postgresql://postgres@localhost/x", 3)
    access = Access(open_to_all._leases, open_to_all._line, open_to_all._settings, None, open_to_all._plans)  # type: ignore[arg-type] # noqa: SLF001
    assert not SameSettings.of(access, is_private=False).is_secret


async def test_the_hooks_of_a_pool_by_create_pool_cannot_be_sent(shop: Database, cluster: Cluster) -> None:
    async with create_pool(shop.dsn, min_size=1, max_size=3) as pool, witness_of(shop) as witness:
        await witness.run(TABLES)
        with pytest.raises(UsageError, match=r"create_pool\(\) cannot be sent to workers: give run_on\(connect="):
            await job_of(pool).run_on(cluster.address)


# What goes wrong with a cluster


@pytest.mark.slow
async def test_jobs_of_two_databases_with_one_id_do_not_know_each_other(
    shop: Database, server: Server, template: str, cluster: Cluster
) -> None:
    async with new_database(server, template) as other, pool_of(shop, 3) as one, pool_of(other, 3) as two:
        async with witness_of(shop) as first, witness_of(other) as second:
            for witness in (first, second):
                await witness.run(TABLES)
            await asyncio.gather(*(job_of(db).run_on(cluster.address, chunks=1) for db in (one, two)))
            for witness in (first, second):
                await assert_each_once(witness)


@pytest.mark.slow
async def test_a_cluster_that_is_restarted_in_the_middle_goes_on(shop: Database, cluster: Cluster) -> None:
    async with pool_of(shop, 5) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (1000)")
        async with witness.holding(1):
            task = asyncio.create_task(job_of(db).run_on(cluster.address, chunks=2))
            await witness.until_blocked()
            await cluster.restart()
        result = await task
        assert result.done + result.skipped == COUNT
        await assert_each_once(witness)
        await no_sessions_of_workers(witness)


async def test_a_share_that_its_process_does_not_know_any_more_is_given_anew(shop: Database, cluster: Cluster) -> None:
    read, go_on = asyncio.Event(), asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        for n in range(1, COUNT + 1):
            if n == COUNT // 2 + 1:
                read.set()
                await go_on.wait()
            yield n

    async with pool_of(shop, 5) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        task = asyncio.create_task(db.job("count", SQL, numbers(), chunk=CHUNK).run_on(cluster.address, chunks=2))
        await read.wait()

        async def is_half_stored() -> bool:
            return bool(await witness.value("select count(*) from seen") == COUNT // 2)

        await until(is_half_stored, 30)
        for address in await cluster.pids():
            for name in await shares_at(cluster, address):
                await cluster.run(address, close_share, name)
        go_on.set()
        async with asyncio.timeout(30):
            assert (await task).done == COUNT
        await assert_each_once(witness)


async def test_without_its_scheduler_a_run_ends_with_a_sentence(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbpool.cluster.engine.CONNECT_S", 1.0)
    monkeypatch.setattr("dbpool.cluster.shares.PATIENCE_S", 1.0)
    async with pool_of(shop, 5) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (1000)")
        async with witness.holding(1):
            async with cluster_of(2) as made:
                task = asyncio.create_task(job_of(db).run_on(made.address, chunks=2))
                await witness.until_blocked()
            with pytest.raises(JobError, match=r"there is none|the scheduler does not answer"):
                await task
        await no_sessions_of_workers(witness)
        await job_of(db).run()
        await assert_each_once(witness)
