"""Workers finish what they have begun when they are told to stop, and lose and double nothing."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from tests.support.databases import Database
from tests.support.pools import until
from tests.support.serving import ROOT, Process, program

Witness: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
WORKER, QUEUE_WORKER = "examples/services/worker.py", "examples/services/queue_worker.py"


@pytest.fixture
async def witness(database: Database) -> AsyncIterator[Witness]:
    """A connection of the test's own to a database with the workers' tables."""
    witness: Witness = await asyncpg.connect(database.dsn)
    try:
        for script in ("outbox", "queue"):
            await witness.execute((ROOT / f"examples/services/{script}.sql").read_text())
        yield witness
    finally:
        await witness.close()


async def count(witness: Witness, table: str) -> int:
    return int(await witness.fetchval(f"select count(*) from {table}"))


async def put_mails(witness: Witness, mails: int) -> None:
    await witness.execute(
        "insert into outbox (recipient, body) select 'r' || n, '' from generate_series(1, $1::int) n", mails
    )


def delivered(*workers: Process) -> list[str]:
    return sorted(line for worker in workers for line in worker.log.splitlines() if line.startswith("delivered"))


async def test_a_worker_delivers_each_mail_once_and_ends_when_told(witness: Witness, database: Database) -> None:
    await put_mails(witness, 40)
    async with (
        program(WORKER, dsn=database.dsn, DELIVERY_S="0.02") as one,
        program(WORKER, dsn=database.dsn, DELIVERY_S="0.02") as other,
    ):
        for worker in (one, other):
            await worker.says("ready")  # before that, a signal ends it as any program
        await until(lambda: is_empty(witness, "outbox"))
        assert [await one.stop(), await other.stop()] == [0, 0]
    assert len(delivered(one, other)) == len(set(delivered(one, other))) == 40


async def is_empty(witness: Witness, table: str) -> bool:
    return await count(witness, table) == 0


async def test_a_worker_told_to_stop_takes_nothing_new_and_finishes_what_it_has(
    witness: Witness, database: Database
) -> None:
    await put_mails(witness, 20)
    async with program(WORKER, dsn=database.dsn, DELIVERY_S="0.5") as worker:

        async def has_begun() -> bool:
            return bool(await witness.fetchval("select count(*) = 4 from outbox where attempts > 0"))

        await until(has_begun)
        assert await worker.stop() == 0
    assert len(delivered(worker)) == 4
    assert await count(witness, "outbox where attempts = 0") == await count(witness, "outbox") == 16
    assert "Traceback" not in worker.log


async def test_a_worker_whose_time_is_over_says_so_and_another_one_gets_the_rest(
    witness: Witness, database: Database
) -> None:
    await put_mails(witness, 1)
    async with program(WORKER, dsn=database.dsn, DELIVERY_S="60", GRACE_S="0.1") as worker:
        await until(lambda: has_rows(witness, "outbox where attempts > 0"))
        worker.tell(signal.SIGINT)
        assert await worker.end() == 1
    assert "cut off" in worker.log
    assert await count(witness, "outbox where claimed_until > now()") == 1


async def has_rows(witness: Witness, table: str) -> bool:
    return await count(witness, table) > 0


async def put_jobs(witness: Witness, jobs: int, account: str = "ada") -> None:
    await witness.execute(
        "insert into jobs (account, amount) select $2, n from generate_series(1, $1::int) n", jobs, account
    )


async def test_queue_workers_do_each_job_once_through_the_loss_of_every_connection(
    witness: Witness, database: Database
) -> None:
    await put_jobs(witness, 100)
    async with program(QUEUE_WORKER, dsn=database.dsn) as one, program(QUEUE_WORKER, dsn=database.dsn) as other:
        for worker in (one, other):
            await worker.says("ready")
        for _ in range(2):
            await witness.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )
            await put_jobs(witness, 100)
            await until(lambda: is_empty(witness, "jobs"), 20)
        assert [await one.stop(), await other.stop()] == [0, 0]
    for worker in (one, other):
        assert "notifications may be missing" in worker.log
    assert await witness.fetchval("select total from balances where account = 'ada'") == 3 * 5050


async def test_a_queue_worker_hears_at_once_and_stops_after_the_job_under_way(
    witness: Witness, database: Database
) -> None:
    async with program(QUEUE_WORKER, dsn=database.dsn) as worker:
        await worker.says("ready")
        await put_jobs(witness, 1)
        await until(lambda: is_empty(witness, "jobs"), 4)  # it looks by itself after 5 s only
        async with witness.transaction():
            await witness.execute("select from balances where account = 'ada' for update")
            async with asyncio.TaskGroup() as group:
                group.create_task(put_by_another(database, 1))
            await until(lambda: has_a_lock_awaited(witness))
            worker.tell()
            await worker.says("stopping")
        assert await worker.end() == 0
    assert await witness.fetchval("select total from balances") == 2
    assert "Traceback" not in worker.log


async def put_by_another(database: Database, jobs: int) -> None:
    other: Witness = await asyncpg.connect(database.dsn)
    try:
        await put_jobs(other, jobs)
    finally:
        await other.close()


async def has_a_lock_awaited(witness: Witness) -> bool:
    return bool(await witness.fetchval("select count(*) from pg_locks where not granted"))


async def test_a_job_of_a_worker_that_was_killed_is_done_by_another_one_once(
    witness: Witness, database: Database
) -> None:
    await witness.execute("insert into balances values ('ada', 0)")
    await put_jobs(witness, 1)
    async with witness.transaction():
        await witness.execute("select from balances for update")
        async with program(QUEUE_WORKER, dsn=database.dsn) as killed:
            await until(lambda: has_a_lock_awaited(witness))
            await killed.kill()
    async with program(QUEUE_WORKER, dsn=database.dsn) as worker:
        await until(lambda: is_empty(witness, "jobs"))
        await worker.says("ready")
        assert await worker.stop() == 0
    assert await witness.fetchval("select total from balances") == 1


async def test_a_job_that_fails_is_put_off_and_given_up_and_holds_nobody_up(
    witness: Witness, database: Database
) -> None:
    await witness.execute("alter table balances add check (account <> 'eve')")
    await put_jobs(witness, 1, "eve")
    await witness.execute("update jobs set attempts = 4")
    await put_jobs(witness, 10)
    async with program(QUEUE_WORKER, dsn=database.dsn) as worker:
        await worker.says("ready")
        await until(lambda: is_empty(witness, "jobs where attempts < 5"))
        assert await worker.stop() == 0
    assert "violates check constraint" in await witness.fetchval("select error from jobs")
    assert await witness.fetchval("select total from balances") == 55


@pytest.mark.parametrize("script", [WORKER, QUEUE_WORKER])
async def test_a_worker_that_cannot_start_says_why_in_a_line(script: str) -> None:
    async with program(script, dsn="postgresql://127.0.0.1:1/none", DBPOOL_OUTAGE_PATIENCE="0.1") as worker:
        assert await worker.end() == 1
    assert worker.log.count("\n") <= 2
    assert "connect" in worker.log.lower()
