"""A queue in a table with LISTEN and NOTIFY: each job is done once, by whichever worker is free.

psql "$DATABASE_URL" -f examples/services/queue.sql
python examples/services/queue_worker.py                                       # as many as you like
psql "$DATABASE_URL" -c "insert into jobs (account, amount) values ('ada', 5)"

The table is the truth, a notification only says when to look: one that is missed costs POLL_S at the most.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from dataclasses import dataclass

from dbpool import DatabasePool, DbPoolError, Gap, Subscription, Transaction

TAKERS = 4
POLL_S = 5.0  # for jobs that are due again after an error, and as a safety net

TAKE = """
select id, account, amount, attempts from jobs where due_at <= now() and attempts < 5
order by due_at limit 1 for update skip locked
"""
PUT_BACK = """
update jobs set attempts = attempts + 1, error = $2, due_at = now() + interval '1 second' * 2 ^ attempts
where id = $1
"""

log = logging.getLogger("queue")


@dataclass
class Job:
    id: int
    account: str
    amount: int
    attempts: int


async def do(tx: Transaction, job: Job) -> None:
    """What a job does is stored together with its end, or not at all: so it happens once."""
    await tx.execute(
        "insert into balances values ($1, $2) on conflict (account) do update set total = balances.total + $2",
        job.account,
        job.amount,
    )


async def take_one(db: DatabasePool) -> bool:
    """Do the job that is due for longest and that nobody else is at; False if there is none."""
    async with db.transaction() as tx:
        job = await tx.fetchrow(TAKE, into=Job)
        if job is None:
            return False
        try:
            async with tx.transaction():  # a savepoint: what a job that fails has done is undone
                await do(tx, job)
            await tx.execute("delete from jobs where id = $1", job.id)
        except Exception as error:
            log.warning("job %d failed: %s", job.id, error)  # where the connection is lost, so is the next statement
            await tx.execute(PUT_BACK, job.id, str(error))
    return True


async def take_all(db: DatabasePool, news: asyncio.Event, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        news.clear()  # before looking: whoever clears it looks after what it told of
        try:
            while not stopping.is_set() and await take_one(db):
                pass
        except DbPoolError as error:
            log.warning("%s", error)  # the job is undone, or gone: the table knows
        try:
            async with asyncio.timeout(POLL_S):
                await news.wait()
        except TimeoutError:
            pass


async def pass_on(events: Subscription, news: asyncio.Event) -> None:
    async for event in events:
        if isinstance(event, Gap):  # the connection was lost: what was said meanwhile, only the table knows
            log.warning("notifications may be missing: looking at the table")
        news.set()


async def main() -> None:
    stopping, news, loop = asyncio.Event(), asyncio.Event(), asyncio.get_running_loop()
    async with (
        DatabasePool.from_env(name="queue", max_connections=TAKERS) as db,
        db.listen("jobs") as events,  # before the first look at the table
        asyncio.TaskGroup() as group,
    ):
        listening = group.create_task(pass_on(events, news))

        def stop() -> None:
            log.info("stopping: jobs under way are finished")
            stopping.set()
            news.set()
            listening.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        for _ in range(TAKERS):
            group.create_task(take_all(db, news, stopping))
        log.info("ready")


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        asyncio.run(main())
    except DbPoolError as error:
        sys.exit(f"queue worker: {error}")
