"""Loads that a real pgbench makes, measured as those of the other drivers are."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dbpool.core.stages import Stage
from dbpool.errors import SettingsError
from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload
from dbpool.loadtest.measuring import Measuring
from dbpool.loadtest.pgbench import program, running
from dbpool.loadtest.pgbench.program import PgbenchMissing, find_pgbench
from dbpool.loadtest.pgbench.running import PgbenchLoad
from dbpool.loadtest.point import Point
from dbpool.loadtest.pointjson import point_json
from dbpool.loadtest.recording.tally import Outcome, Series, Tally
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server.connecting import PREFIX, lifeline
from dbpool.loadtest.server.sampler import Sampler
from dbpool.loadtest.server.watch import Watch
from dbpool.loadtest.workers.fleet import WorkerFailed
from tests.support.databases import Database
from tests.support.loads import at_rate, script
from tests.support.pgbench import Pgbench
from tests.support.pools import becomes, dsn_with, role_in, until, witness_of

MS = 1_000_000
SHORT = Load(clients=3, warmup_s=1.0, time_s=1.0)
WRITE = "\\set n random(1, 10)\ninsert into seen values (:n, :client_id);\n"


@pytest.fixture
async def seen(database: Database) -> Database:
    async with witness_of(database) as witness:
        await witness.run("create table seen (n int, client int)")
    return database


@pytest.fixture
def load_by(pgbench: Pgbench, monkeypatch: pytest.MonkeyPatch) -> Callable[..., PgbenchLoad]:
    """A load by this pgbench."""
    monkeypatch.setattr(running, "find_pgbench", lambda: pgbench.path)

    def make(
        dsn: str, workload: Workload, load: Load = SHORT, *, connections: int = 3, threads: int = 2
    ) -> PgbenchLoad:
        name = f"{PREFIX}run/load"
        return PgbenchLoad(Target(dsn, DriverName.PGBENCH, connections, application_name=name), load, workload, threads)

    return make


LoadBy = Callable[..., PgbenchLoad]


@pytest.mark.parametrize("mode", QueryMode)
async def test_what_pgbench_does_is_what_is_counted(load_by: LoadBy, seen: Database, mode: QueryMode) -> None:
    ticks: list[tuple[int, Tally]] = []
    async with load_by(seen.dsn, script(WRITE, mode)) as load:
        brought = await load.run(1.0, 1.0, lambda second, tally: ticks.append((second, tally)))
    total = brought.total
    async with witness_of(seen) as witness:
        assert await witness.value("select count(*) from seen") == sum(total.completions.values())
        assert await witness.rows("select distinct client from seen order by 1") == [(0,), (1,), (2,)]
    assert brought.is_complete
    assert not total.errors
    assert 0 < total.counts[Outcome.OK] < sum(total.completions.values())  # the warm-up does not count
    assert set(total.durations) == {Series.RESPONSE, Series.SERVICE}
    assert {histogram.n for histogram in total.durations.values()} == {total.counts[Outcome.OK]}
    assert len(brought.seconds) in (2, 3)
    assert total.completions[0] > 0  # since the anchor
    assert sum(second.completed for second in brought.seconds) == sum(total.completions.values())
    assert [second for second, _ in ticks] in ([0], [0, 1])
    assert sum(ticks[0][1].completions.values()) > 0
    assert brought.healths[0].done == total.counts[Outcome.OK]


@pytest.mark.slow
async def test_a_point_by_pgbench_stands_beside_others(load_by: LoadBy, seen: Database) -> None:
    session = await lifeline(seen.dsn, "run")
    sampler = Sampler(session, is_local=True, watch=Watch(0.2))
    measuring = Measuring(script(WRITE), 2, sampler=sampler)
    await measuring.calibrate()
    load = replace(SHORT, time_s=2.0)
    points: list[Point] = []
    for driver in (DriverName.PGBENCH, DriverName.DBPOOL):
        target = Target(seen.dsn, driver, 3, application_name=f"{PREFIX}run/load")
        points.append(await measuring.measure(target, load))
    await session.close()
    ours, theirs = (point_json(point, number=0, stage="bench", seed=1) for point in reversed(points))
    assert set(ours) == set(theirs)
    assert theirs["driver"] == "pgbench"
    assert (theirs["pool_size"], theirs["clients"], theirs["workers"], theirs["window_s"]) == (3, 3, 1, 2.0)
    assert theirs["tps"]["mean"] > 0
    assert (theirs["acquire_ms"], theirs["release_ms"], theirs["gate_wait_ms"]) == (None, None, None)
    assert theirs["generator"]["ceiling_tps"] is None
    assert theirs["server"]["connections"]["ours"]
    assert 2 <= sum(theirs["server"]["connections"]["ours"].values()) <= 4  # its clients go by our name
    assert sum(points[0].per_tenth) == pytest.approx(points[0].total.counts[Outcome.OK], abs=6)


async def test_an_open_load_counts_from_when_transactions_were_due(load_by: LoadBy, database: Database) -> None:
    load = at_rate(60.0, replace(SHORT, time_s=2.0))
    async with load_by(database.dsn, script("select pg_sleep(0.02)"), load) as running_load:
        total = (await running_load.run(1.0, 2.0)).total
    assert 60 < total.due < 200  # 120 expected
    assert set(total.durations) == {Series.RESPONSE, Series.SERVICE, Series.LAG}
    service, response, lag = (total.of(each) for each in (Series.SERVICE, Series.RESPONSE, Series.LAG))
    assert (service.min or 0) >= 20 * MS
    assert response.total == service.total + lag.total


async def test_what_would_be_too_late_is_skipped(load_by: LoadBy, database: Database) -> None:
    load = at_rate(60.0, replace(SHORT, limit_s=0.1))
    async with load_by(database.dsn, script("select pg_sleep(0.1)"), load) as running_load:
        total = (await running_load.run(1.0, 1.0)).total
    assert total.counts[Outcome.SKIPPED] > 0
    assert total.counts[Outcome.LATE] > 0


async def test_weights_definitions_and_the_scale_reach_it(load_by: LoadBy, seen: Database) -> None:
    parts = (
        Part("a", 3, script="insert into seen values (:scale, :x);"),
        Part("b", 0, script="insert into seen values (0, 0);"),
    )
    async with load_by(seen.dsn, Workload(parts, scale=7, defined={"x": "9"})) as load:
        await load.run(0.0, 1.0)
    async with witness_of(seen) as witness:
        assert await witness.rows("select distinct n, client from seen") == [(7, 9)]


async def test_a_client_that_gives_up_is_an_error_and_the_others_go_on(load_by: LoadBy, seen: Database) -> None:
    text = "select 1 / :client_id;\ninsert into seen values (1, :client_id);"
    async with load_by(seen.dsn, script(text)) as load:
        brought = await load.run(0.0, 1.0)
    assert brought.total.errors == {"client aborted: division by zero": 1}
    assert brought.total.counts[Outcome.ERROR] == 1
    assert brought.total.counts[Outcome.OK] > 0
    assert len(brought.seconds) >= 1


async def test_failures_that_may_be_retried_are_errors_by_sqlstate(load_by: LoadBy, database: Database) -> None:
    fails = "do $$ begin if random() < 0.5 then raise exception using errcode = '40001'; end if; end $$;"
    async with load_by(database.dsn, script(fails, QueryMode.SIMPLE)) as load:
        total = (await load.run(0.0, 1.0)).total
    assert total.errors == {"40001": total.counts[Outcome.ERROR]}
    assert min(total.counts[Outcome.ERROR], total.counts[Outcome.OK]) > 0


@pytest.mark.parametrize(
    ("text", "words"),
    [("select 1 / 0;", "division by zero"), ("\\set a 1 +", "syntax error"), ("\\nothing", "invalid command")],
)
async def test_a_script_that_cannot_run_is_told_in_its_words(
    load_by: LoadBy, database: Database, text: str, words: str
) -> None:
    async with load_by(database.dsn, script(text)) as load:
        with pytest.raises(WorkerFailed, match=f"pgbench: .*{words}") as caught:
            await load.run(0.0, 1.0)
    assert "/tmp" not in str(caught.value)


async def test_a_server_that_refuses_is_told_without_the_password(load_by: LoadBy, database: Database) -> None:
    async with role_in(database) as dsn:
        wrong = dsn_with(dsn, user="nobody_of_that_name", password="not-the-secret")
        async with load_by(wrong, script("select 1;")) as load:
            with pytest.raises(WorkerFailed, match="pgbench: connection to server") as caught:
                await load.run(0.0, 1.0)
    assert "not-the-secret" not in str(caught.value)


async def test_a_stopped_load_ends_now_with_what_was_written(load_by: LoadBy, seen: Database) -> None:
    load = replace(SHORT, warmup_s=0.0, time_s=60.0)
    async with load_by(seen.dsn, script(WRITE), load) as running_load:
        brought = await running_load.run(0.0, 60.0, lambda _second, _tally: running_load.stop())
        [pid] = running_load.pids
    assert not brought.is_complete
    assert brought.total.counts[Outcome.OK] > 0
    assert len(brought.seconds) < 30
    assert not _is_alive(pid)
    async with witness_of(seen) as witness:
        await witness.until_alone()


async def test_a_load_stopped_before_it_began_does_nothing(load_by: LoadBy, seen: Database) -> None:
    async with load_by(seen.dsn, script(WRITE)) as load:
        load.stop()
        brought = await load.run(0.0, 60.0)
        assert load.pids == []
    assert not brought.is_complete
    assert brought.total.due == 0


async def test_a_cancelled_load_leaves_no_process(load_by: LoadBy, seen: Database) -> None:
    pids: list[int] = []

    async def work() -> None:
        async with load_by(seen.dsn, script("select pg_sleep(0.01);")) as load:
            running_load = asyncio.ensure_future(load.run(0.0, 60.0))
            await becomes(lambda: load.pids)
            pids.extend(load.pids)
            await running_load

    working = asyncio.create_task(work())
    async with witness_of(seen) as witness:
        await until(witness.pids)
        working.cancel()
        with pytest.raises(asyncio.CancelledError):
            await working
        assert not any(_is_alive(pid) for pid in pids)
        await witness.until_alone()


async def test_a_statement_that_does_not_end_is_left_at_the_time_out(
    load_by: LoadBy, seen: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    load = replace(SHORT, clients=1, drain_s=-29.0)  # so that the load waits for a second
    async with witness_of(seen) as witness, witness.holding():
        async with load_by(seen.dsn, script("select pg_advisory_lock(1);"), load, connections=1) as running_load:
            brought = await running_load.run(0.0, 1.0)
        await witness.terminate(*await witness.pids())  # the server goes on with what nobody waits for
    assert not brought.is_complete
    assert brought.total.due == 0


async def test_what_it_cannot_do_is_refused_before_it_begins(load_by: LoadBy) -> None:
    with pytest.raises(SettingsError, match="no stages or ramps"):
        load_by("", script("select 1"), replace(SHORT, stages=(Stage(1.0, 1, 2),)))


def test_a_pgbench_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/no/such/folder")
    monkeypatch.setenv("DBPOOL_PG_BIN", "/no/such/folder")
    with pytest.raises(PgbenchMissing, match="none on the PATH"):
        find_pgbench()


def test_an_old_pgbench_is_told_from_one_that_is_not_there(pgbench: Pgbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBPOOL_PG_BIN", str(Path(pgbench.path).parent))
    monkeypatch.setattr(program, "OLDEST", 99)
    with pytest.raises(PgbenchMissing, match="99 or newer"):
        find_pgbench()


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
