"""Loads on a real server: what a transaction's time is made of, and what counts as what."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

import pytest

from dbpool.core.arrivals import Arrival
from dbpool.core.histogram import Histogram
from dbpool.errors import DbPoolError
from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload, shares_of
from dbpool.loadtest.recording.tally import Outcome, Series
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.workers import fleet
from dbpool.loadtest.workers.fleet import Fleet, WorkerFailed
from tests.support.databases import Database
from tests.support.loads import SHORT, at_rate, loaded, script
from tests.support.pools import dsn_with, role_in, until, witness_of

MS = 1_000_000
ON_A_SERVER = [name for name in DriverName if name not in (DriverName.NOOP, DriverName.PGBENCH)]
WRITE = "\\set n random(1, 10)\nbegin;\ninsert into seen values (:n, :client_id);\ncommit;\n"


async def ordinary(connection: object, client: Client) -> None:
    """A transaction that is a function; the driver's connection has asyncpg's interface."""
    await connection.execute("insert into seen values ($1, 7)", client.random.uniform(1, 10))  # type: ignore[attr-defined]


@pytest.fixture
async def seen(database: Database) -> Database:
    async with witness_of(database) as witness:
        await witness.run("create table seen (n int, client int)")
    return database


@pytest.mark.parametrize("driver", ON_A_SERVER)
@pytest.mark.parametrize("mode", list(QueryMode))
async def test_each_driver_does_what_it_counts(seen: Database, driver: DriverName, mode: QueryMode) -> None:
    brought = await loaded(seen.dsn, script(WRITE, mode), replace(SHORT, time_s=0.3), driver=driver)
    total = brought.total
    assert brought.is_complete
    assert not total.errors
    async with witness_of(seen) as witness:
        assert await witness.value("select count(*) from seen") == sum(total.completions.values())
        assert await witness.rows("select distinct client from seen order by 1") == [(0,), (1,), (2,), (3,)]
    assert 0 < total.counts[Outcome.OK] <= sum(total.completions.values())
    expected = {Series.RESPONSE, Series.SERVICE, Series.ACQUIRE, Series.RELEASE}
    assert set(total.durations) == (expected | {Series.GATE_WAIT} if driver is DriverName.DBPOOL else expected)
    assert {histogram.n for histogram in total.durations.values()} == {total.counts[Outcome.OK]}


async def test_an_async_function_is_a_transaction_too(seen: Database) -> None:
    parts = (Part("f", target=f"{__name__}:ordinary"), Part("s", script=WRITE))
    total = (await loaded(seen.dsn, Workload(parts), at_rate(100.0))).total
    async with witness_of(seen) as witness:
        functions: int = await witness.value("select count(*) from seen where client = 7")
        scripts: int = await witness.value("select count(*) from seen where client <> 7")
    assert functions + scripts == sum(total.completions.values())
    assert functions > 0
    assert scripts > 0


async def test_waiting_for_a_gate_is_told_from_the_work_itself(database: Database) -> None:
    brought = await loaded(database.dsn, script("select pg_sleep(0.02)"), gate=1)
    total = brought.total
    service, wait = total.of(Series.SERVICE), total.of(Series.GATE_WAIT)
    assert service.min is not None
    assert service.min >= 20 * MS
    assert wait.mean is not None
    assert service.mean is not None
    assert wait.mean > 2 * service.mean  # three of four clients wait behind one
    response, release = total.of(Series.RESPONSE), total.of(Series.ACQUIRE)
    assert response.total == wait.total + release.total + service.total


@pytest.mark.slow
async def test_a_frozen_server_shows_in_the_open_loop_and_not_in_what_is_timed_from_sending(database: Database) -> None:
    lock = script("select pg_advisory_xact_lock_shared(1)")
    load = replace(SHORT, time_s=4.0, warmup_s=0.0)
    results = {}
    for name, each in (("open", at_rate(400.0, load)), ("closed", load)):
        async with witness_of(database) as witness:
            loading = asyncio.create_task(loaded(database.dsn, lock, each))
            await until(lambda: _has_run(witness.value))
            async with witness.holding():
                await witness.until_blocked(4)
                await asyncio.sleep(2.0)  # what is tested: a server that stands still so long
            results[name] = (await loading).total
    opened = results["open"].of(Series.RESPONSE)
    timed_from_sending = results["open"].of(Series.SERVICE)
    assert (timed_from_sending.max or 0) > 1000 * MS  # it was seen, but by four of sixteen hundred only
    assert _p99(opened) > 1000 * MS
    assert _p99(timed_from_sending) < 500 * MS
    assert _p99(results["closed"].of(Series.RESPONSE)) < 500 * MS


async def _has_run(value: object) -> bool:
    return bool(
        await value(  # type: ignore[operator]
            "select count(*) from pg_stat_activity where query like '%lock_shared%' and pid <> pg_backend_pid()"
            " and datname = current_database()"
        )
    )


def _p99(durations: Histogram) -> int:
    p99 = durations.quantile(0.99)
    assert p99 is not None, durations
    return p99


async def test_time_outs_count_at_the_time_out(database: Database) -> None:
    load = replace(SHORT, timeout_s=0.1, time_s=0.5, limit_s=0.05)
    total = (await loaded(database.dsn, script("select pg_sleep(30)"), load)).total
    timeouts = total.counts[Outcome.TIMEOUT]
    assert timeouts >= 4
    assert total.counts == {Outcome.TIMEOUT: timeouts, Outcome.LATE: timeouts}
    response = total.of(Series.RESPONSE)
    assert (response.n, response.min, response.max) == (timeouts, 100 * MS, 100 * MS)


async def test_what_exceeds_the_cap_in_flight_is_dropped_and_stale_work_is_skipped(database: Database) -> None:
    load = replace(at_rate(300.0), max_in_flight=4)
    total = (await loaded(database.dsn, script("select pg_sleep(0.1)"), load)).total
    assert total.counts[Outcome.DROPPED] > total.counts[Outcome.OK] > 0
    # a function that keeps the event loop from what is due makes it late, and what is late beyond the limit is shed
    block = Workload((Part("f", target=f"{__name__}:blocking"),))
    total = (await loaded(database.dsn, block, at_rate(200.0, replace(SHORT, limit_s=0.02)))).total
    assert total.counts[Outcome.SKIPPED] > 0
    assert total.due == total.counts[Outcome.SKIPPED] + total.counts[Outcome.OK]


@pytest.mark.slow
async def test_what_waited_too_long_for_its_connection_is_not_begun(seen: Database) -> None:
    slow = script("with kept as (insert into seen values (1, 1)) select pg_sleep(0.05)")
    for driver in (DriverName.DBPOOL, DriverName.ASYNCPG, DriverName.PSYCOPG_POOL):
        load = replace(at_rate(100.0, replace(SHORT, warmup_s=0.0)), limit_s=10.0, skip_after_s=0.06)
        total = (await loaded(seen.dsn, slow, load, connections=1, driver=driver)).total
        assert total.counts[Outcome.SKIPPED] > total.counts[Outcome.OK] > 0, driver
        assert total.due == total.counts[Outcome.SKIPPED] + total.counts[Outcome.OK]
        assert not total.counts[Outcome.LATE]
        async with witness_of(seen) as witness:
            assert await witness.value("select count(*) from seen") == total.counts[Outcome.OK]
            await witness.run("truncate seen")


async def blocking(connection: object, client: Client) -> None:
    import time

    time.sleep(0.03)  # noqa: ASYNC251 - what is tested


async def test_a_generator_that_was_held_up_counts_from_when_transactions_were_due(database: Database) -> None:
    load = replace(at_rate(100.0, replace(SHORT, warmup_s=0.0)), arrival=Arrival.CONSTANT)
    total = (await loaded(database.dsn, Workload((Part("f", target=f"{__name__}:blocking_once"),)), load)).total
    assert total.due == 80
    assert (total.of(Series.LAG).max or 0) > 150 * MS
    assert (total.of(Series.RESPONSE).max or 0) >= (total.of(Series.LAG).max or 0)


async def blocking_once(connection: object, client: Client) -> None:
    import time

    _calls.append(client)
    if len(_calls) == 20:
        time.sleep(0.2)  # noqa: ASYNC251 - what is tested


_calls: list[Client] = []


async def test_errors_count_by_class_and_the_load_goes_on(database: Database) -> None:
    total = (await loaded(database.dsn, script("\\set d random(0, 1)\nselect 1 / :d"))).total
    assert total.errors == {"22012": total.counts[Outcome.ERROR]}
    assert total.counts[Outcome.OK] > 0


async def test_a_refused_connection_counts_as_the_limit_that_refused_it(database: Database) -> None:
    async with role_in(database, limit=2) as dsn:
        load = replace(SHORT, clients=6)
        total = (await loaded(dsn, script("select pg_sleep(0.01)"), load, driver=DriverName.ASYNCPG_CONNECT)).total
        assert set(total.errors) == {"53300.role_limit"}
        assert total.counts[Outcome.OK] > 0


async def test_a_transaction_that_failed_half_way_is_rolled_back(seen: Database) -> None:
    text = "begin;\ninsert into seen values (1, 1);\nselect 1 / 0;\ncommit;"
    for driver in (DriverName.DBPOOL, DriverName.ASYNCPG, DriverName.PSYCOPG_POOL):
        total = (await loaded(seen.dsn, script(text), replace(SHORT, time_s=0.3), driver=driver)).total
        assert set(total.errors) == {"22012"}, driver
    async with witness_of(seen) as witness:
        assert await witness.value("select count(*) from seen") == 0


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        (script("select :missing"), 'undefined variable "missing"'),
        (script("\\set a 1 +"), "syntax error"),
        (Workload((Part("f", target="tests.support.loads:nothing"),)), "no 'nothing' to import"),
        (Workload((Part("f", target="tests.support.loads:script"),)), "is not an async function"),
    ],
)
async def test_a_wrong_workload_ends_the_load_with_a_sentence(
    database: Database, workload: Workload, words: str
) -> None:
    with pytest.raises(WorkerFailed, match=words):
        await loaded(database.dsn, workload)


async def test_a_server_that_refuses_is_told_without_the_password(database: Database) -> None:
    async with role_in(database) as dsn:
        wrong = dsn_with(dsn, user=f"role_of_{database.name}", password="not-the-secret")
        with pytest.raises(WorkerFailed) as caught:
            await loaded(wrong, script("select 1"))
    told = f"{caught.value} {caught.value.label}"
    assert "not-the-secret" not in told


async def test_workers_share_the_load_and_none_is_left(seen: Database) -> None:
    pids: list[int] = []
    total = (await loaded(seen.dsn, script(WRITE), at_rate(200.0), workers=2, seen=pids)).total
    assert len(pids) == 2
    assert not any(_is_alive(pid) for pid in pids)
    async with witness_of(seen) as witness:
        assert await witness.value("select count(*) from seen") == sum(total.completions.values())
    assert 60 < total.due < 300  # 160 expected: half of it from each
    assert len(total.of(Series.LAG).columns()[0]) > 0


async def test_a_stopped_load_reports_what_there_was(database: Database) -> None:
    pids: list[int] = []
    load = Load(clients=2, warmup_s=0.0, time_s=60.0)
    shares = shares_of(Target(database.dsn, DriverName.DBPOOL, 2), load, script("select pg_sleep(0.05)"), 2)
    async with Fleet(shares) as workers:
        pids += workers.pids
        running = asyncio.create_task(workers.run(load.warmup_s, load.time_s, lambda second, tally: workers.stop()))
        brought = await running
    assert not brought.is_complete
    assert brought.total.counts[Outcome.OK] > 0
    assert not any(_is_alive(pid) for pid in pids)


async def test_a_load_that_is_stopped_before_it_began_brings_nothing(database: Database) -> None:
    load = Load(clients=2, warmup_s=0.0, time_s=60.0)
    shares = shares_of(Target(database.dsn, DriverName.DBPOOL, 2), load, script("select pg_sleep(1)"), 2)
    async with Fleet(shares) as workers:
        workers.stop()
        brought = await workers.run(load.warmup_s, load.time_s)
    assert not brought.is_complete
    assert brought.total.due == 0


async def test_a_cancelled_load_leaves_no_process(database: Database) -> None:
    pids: list[int] = []
    loading = asyncio.create_task(loaded(database.dsn, script("select pg_sleep(60)"), Load(time_s=60.0), seen=pids))
    async with witness_of(database) as witness:
        await until(lambda: _sleepers(witness.value))
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
    assert pids
    assert not any(_is_alive(pid) for pid in pids)


async def test_a_worker_that_hears_nothing_any_more_is_killed(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "END_S", 0.2)
    pids: list[int] = []
    stuck = Workload((Part("f", target=f"{__name__}:stuck"),))
    loading = asyncio.create_task(loaded(database.dsn, stuck, Load(time_s=60.0), seen=pids))
    async with witness_of(database) as witness:
        await until(lambda: _sleepers(witness.value))
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
        await witness.terminate(*await witness.pids())  # the server goes on with what nobody waits for
    assert pids
    assert not any(_is_alive(pid) for pid in pids)


async def stuck(connection: object, client: Client) -> None:
    import time

    asleep = asyncio.create_task(connection.execute("select pg_sleep(60)"))  # type: ignore[attr-defined]
    for _ in range(3):  # until it is sent
        await asyncio.sleep(0)
    time.sleep(60)  # noqa: ASYNC251 - what is tested
    await asleep


async def _sleepers(value: object) -> bool:
    sql = "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = current_database()"
    return bool(await value(sql))  # type: ignore[operator]


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_failed_worker_is_an_error_of_this_package() -> None:
    assert issubclass(WorkerFailed, DbPoolError)
