"""A worker without a framework: delivers what is in a table, and on SIGTERM finishes what it has begun.

psql "$DATABASE_URL" -f examples/services/outbox.sql
python examples/services/worker.py

It delivers at least once: no connection is held while the outside world takes its time, and what a worker that was
killed had claimed is delivered by another one when the claim is over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from dataclasses import dataclass

from dbpool import DatabasePool, DbPoolError

WORKERS = 4
POLL_S = 1.0
GRACE_S = float(os.environ.get("GRACE_S", "20"))  # less than an orchestrator waits before it kills: 30 in Kubernetes

CLAIM = """
update outbox set claimed_until = now() + interval '1 minute', attempts = attempts + 1
where id = (
    select id from outbox where claimed_until < now() order by claimed_until limit 1 for update skip locked
)
returning id, recipient, body
"""

log = logging.getLogger("worker")


@dataclass
class Mail:
    id: int
    recipient: str
    body: str


async def deliver(mail: Mail) -> None:
    """What takes time: in life, a call of somebody's API."""
    await asyncio.sleep(float(os.environ.get("DELIVERY_S", "0.1")))
    log.info("delivered %d to %s", mail.id, mail.recipient)


async def work(db: DatabasePool, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            if mail := await db.fetchrow(CLAIM, into=Mail):
                await deliver(mail)
                await db.execute("delete from outbox where id = $1", mail.id)
                continue
        except DbPoolError as error:  # an outage is not the end of a worker
            log.warning("%s", error)
        except Exception:
            log.exception("a delivery failed; it is tried again when its claim is over")
            continue
        await first_of(stopping, POLL_S)


async def first_of(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def main() -> int:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    try:
        async with DatabasePool.from_env(name="worker", max_connections=WORKERS) as db, asyncio.timeout(None) as limit:

            def stop() -> None:
                log.info("stopping: no new work")
                stopping.set()
                limit.reschedule(loop.time() + GRACE_S)

            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, stop)
            log.info("ready")
            async with asyncio.TaskGroup() as group:
                for _ in range(WORKERS):
                    group.create_task(work(db, stopping))
    except TimeoutError:
        log.error("cut off after %.0f s; another worker delivers the rest", GRACE_S)
        return 1
    log.info("all that was begun is done")
    return 0


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        sys.exit(asyncio.run(main()))
    except DbPoolError as error:
        sys.exit(f"worker: {error}")
