"""Two runs of one job, connections that are lost: never twice, never lost."""

from __future__ import annotations

import asyncio
import os
import socket

import pytest

from dbpool import CommitOutcomeUnknown, JobBusy
from tests.support.databases import Database
from tests.support.jobs import CHUNK, COUNT, SQL, TABLES, assert_each_once, at_commit, entered, job_of, resumed, running
from tests.support.pools import pool_of, settled, until, witness_of
from tests.support.proxy import Do, Way, proxy_before

pytestmark = pytest.mark.timeout(120)


async def test_a_second_run_is_refused_at_once_and_told_who_has_the_job(shop: Database) -> None:
    async with pool_of(shop, 4) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (1)")
        async with witness.holding(1):
            first = asyncio.create_task(job_of(db, at_once=2).run())
            await witness.until_blocked()
            for work in (job_of(db).run(), job_of(db).retry_rejects(), db.forget_job("count")):
                with pytest.raises(
                    JobBusy, match=f"is run by process {os.getpid()} on {socket.gethostname()}"
                ) as raised:
                    await work
                assert (raised.value.pid, raised.value.host) == (os.getpid(), socket.gethostname())
                assert raised.value.since is not None
            (info,) = await db.jobs()
            assert (info.state, info.is_alive) == ("running", True)
        await first
        await assert_each_once(witness)


async def test_a_run_in_another_process_is_named_and_listed_as_dead_once_it_is_killed(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (150)")
        async with witness.holding(1):
            async with running(shop.dsn) as run:
                await witness.until_blocked()
                with pytest.raises(JobBusy, match=r"application_name 'nightly'\) since 2"):
                    await job_of(db).run()
                assert (await db.jobs())[0].is_alive
                await run.kill()
            assert not (await db.jobs())[0].is_alive
            assert (await db.jobs())[0].state == "running"
        await resumed(db, witness)


async def test_many_runs_at_once_do_everything_once(shop: Database) -> None:
    async with pool_of(shop, 5) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        results = await asyncio.gather(*(job_of(db).run() for _ in range(5)), return_exceptions=True)
        assert all(isinstance(result, JobBusy) or not isinstance(result, BaseException) for result in results)
        await resumed(db, witness)


async def test_a_run_whose_lease_was_taken_over_stops_and_says_so(
    shop: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dbpool.bulk.jobs.hold.BEAT_S", 0.01)
    async with pool_of(shop, 3) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await witness.run("insert into hold values (150)")
        async with witness.holding(1):
            task = asyncio.create_task(job_of(db).run())
            await witness.until_blocked()
            await witness.run("update dbpool_job set run = gen_random_uuid(), run_pid = 4711, run_host = 'elsewhere'")
        with pytest.raises(JobBusy, match="by process 4711 on elsewhere"):
            await task
        assert await witness.value("select run_pid from dbpool_job") == 4711
        await settled(db)


async def test_a_job_whose_owner_came_by_a_pooler_is_free_when_its_lease_expires(shop: Database) -> None:
    async with pool_of(shop) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        await entered(job_of(db))
        await witness.run(
            "update dbpool_job set state = 'running', run = gen_random_uuid(), run_pid = 4711, run_host = 'elsewhere', "
            "run_process = '', run_has_lock = false, run_started_at = now(), run_expires_at = now() + interval '1 hour'"
        )
        with pytest.raises(JobBusy, match="by process 4711 on elsewhere"):
            await job_of(db).run()
        await witness.run("update dbpool_job set run_expires_at = now() - interval '1 s'")
        await job_of(db).run()
        await assert_each_once(witness)


@pytest.mark.parametrize("todo", [Do.RESET, Do.FINISH])
@pytest.mark.parametrize("way", [Way.TO_SERVER, Way.TO_CLIENT])
@pytest.mark.parametrize("at_once", [1, 3])
async def test_a_commit_without_an_answer_is_looked_up_before_it_is_tried_again(
    shop: Database, todo: Do, way: Way, at_once: int
) -> None:
    async with witness_of(shop) as witness, proxy_before(shop.dsn) as proxy:
        await witness.run(TABLES)
        async with pool_of(proxy.dsn(shop.dsn), 3) as db:
            proxy.rule = at_commit(todo, way, often=3)
            result = await job_of(db, at_once=at_once).run()
            assert result.done + result.skipped == COUNT
            await assert_each_once(witness)
            await settled(db)


async def test_a_commit_that_is_under_way_still_is_waited_for(shop: Database) -> None:
    """The answer is lost while the old session still works on its COMMIT: the new one waits, then does nothing."""
    late = (
        "create function late() returns trigger language plpgsql as "
        "$$ begin perform pg_advisory_xact_lock(1); return null; end $$;"
        "create constraint trigger late after insert on seen deferrable initially deferred "
        "for each row when (new.n = 150) execute function late()"
    )
    async with witness_of(shop) as witness, proxy_before(shop.dsn) as proxy:
        await witness.run(TABLES)
        await witness.run(late)
        async with pool_of(proxy.dsn(shop.dsn), 2, quarantine_timeout=0.1) as db:
            async with witness.holding(1):
                task = asyncio.create_task(job_of(db).run())
                (pid,) = await witness.until_blocked()
                for session in proxy.sessions:
                    session.writers[Way.TO_CLIENT].transport.abort()

                async def waits() -> bool:
                    rows = await witness.backends()
                    return any(row["wait_event_type"] == "Lock" and row["pid"] != pid for row in rows)

                await until(waits, 30)
                assert pid in await witness.pids()
                assert await witness.value("select count(*) from seen") == CHUNK
            result = await task
            assert result.done + result.skipped == COUNT
            await assert_each_once(witness)


async def test_when_no_commit_is_ever_answered_it_is_said_and_the_next_run_finds_out(shop: Database) -> None:
    async with witness_of(shop) as witness, proxy_before(shop.dsn) as proxy:
        await witness.run(TABLES)
        async with pool_of(proxy.dsn(shop.dsn), 2) as db:
            proxy.rule = at_commit(Do.RESET, Way.TO_CLIENT, often=1000)
            with pytest.raises(CommitOutcomeUnknown, match="The ledger knows"):
                await db.job("count", SQL, range(1, COUNT + 1), chunk=CHUNK, at_once=1, retry=1).run()
        async with pool_of(shop) as db:
            assert (await resumed(db, witness)).skipped == CHUNK


async def test_sessions_that_are_ended_in_the_middle_cost_nothing(shop: Database) -> None:
    async with pool_of(shop, 3) as db, witness_of(shop) as witness:
        await witness.run(TABLES)
        task = asyncio.create_task(job_of(db, 10_000, at_once=3).run())
        for _ in range(4):
            before = await witness.value("select count(*) from seen")

            async def goes_on(before: int = before) -> bool:
                return bool(await witness.value("select count(*) from seen") > before) or task.done()

            await until(goes_on, 30)
            await witness.terminate(*await witness.pids())
        await task
        await assert_each_once(witness, 10_000)
        await settled(db)
