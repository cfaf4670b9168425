"""What a caller hears when there is nothing left to give."""

from __future__ import annotations

import asyncio
from time import perf_counter

from dbpool import AcquireTimeout, DatabasePool, LineFull, PoolDeadlock
from dbpool.demo.plan import DemoError
from dbpool.demo.report import Refusals

CONNECTIONS = 2
MAX_WAITING = 3
TIMEOUT_S = 0.25


async def exhaust(dsn: str, application_name: str) -> Refusals:
    """Hold every connection of a small pool; return what the next callers are told."""
    small = DatabasePool(
        dsn, CONNECTIONS, name="small", max_waiting=MAX_WAITING, server_settings={"application_name": application_name}
    )
    all_hold, may_leave = asyncio.Barrier(CONNECTIONS + 1), asyncio.Event()
    async with small, asyncio.TaskGroup() as tasks:
        for number in range(CONNECTIONS):
            tasks.create_task(_month_end(small, all_hold, may_leave), name=f"month-end {number + 1}")
        await all_hold.wait()
        timeout_message, timeout_s = await _refused(small, AcquireTimeout)
        waiters = [tasks.create_task(small.fetchval("SELECT 1")) for _ in range(MAX_WAITING)]
        while small.stats().waiting < MAX_WAITING:  # noqa: ASYNC110 - they join within one turn of the loop
            await asyncio.sleep(0)
        refusal_message, refusal_s = await _refused(small, LineFull)
        may_leave.set()
        served = sum(await asyncio.gather(*waiters))
        deadlock_message, deadlock_s = await _refused_to_themselves(small)
    return Refusals(
        acquire_timeout_message=timeout_message,
        acquire_timeout_s=timeout_s,
        line_full_message=refusal_message,
        line_full_s=refusal_s,
        served_in_line=served,
        deadlock_message=deadlock_message,
        deadlock_s=deadlock_s,
    )


async def _month_end(pool: DatabasePool, all_hold: asyncio.Barrier, may_leave: asyncio.Event) -> None:
    async with pool.transaction() as tx:
        await tx.fetchval("SELECT count(*) FROM orders")
        await all_hold.wait()
        await may_leave.wait()


async def _refused(pool: DatabasePool, expected: type[AcquireTimeout | LineFull]) -> tuple[str, float]:
    """Ask for what cannot be had; return what was said, with the seconds it took."""
    started_at = perf_counter()
    try:
        await pool.fetchval("SELECT 1", timeout=TIMEOUT_S)
    except expected as error:
        return str(error), perf_counter() - started_at
    raise DemoError(f"A query got a connection where all were held: there should have been {expected.__name__}.")


async def _refused_to_themselves(pool: DatabasePool) -> tuple[str, float]:
    """Have as many tasks as there are connections each ask for a second one; return what one of them was told."""
    all_hold = asyncio.Barrier(CONNECTIONS)
    started_at = perf_counter()

    async def greedy() -> None:
        async with pool.acquire():
            await all_hold.wait()
            await pool.fetchval("SELECT 1")

    results = await asyncio.gather(*(greedy() for _ in range(CONNECTIONS)), return_exceptions=True)
    for result in results:
        if isinstance(result, PoolDeadlock):
            return str(result), perf_counter() - started_at
    raise DemoError(
        "Two tasks that waited for each other got what they asked for: there should have been PoolDeadlock."
    )
