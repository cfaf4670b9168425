"""What a caller hears when there is nothing left to give."""

from __future__ import annotations

import asyncio
from time import perf_counter

from dbpool import AcquireTimeout, DatabasePool, LineFull
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
    async with small, asyncio.TaskGroup() as line:
        async with small.acquire(), small.acquire():
            timeout_message, timeout_s = await _refused(small, AcquireTimeout)
            waiters = [line.create_task(small.fetchval("SELECT 1")) for _ in range(MAX_WAITING)]
            while small.stats().waiting < MAX_WAITING:  # noqa: ASYNC110 - they join within one turn of the loop
                await asyncio.sleep(0)
            refusal_message, refusal_s = await _refused(small, LineFull)
        served = sum(await asyncio.gather(*waiters))
    return Refusals(
        acquire_timeout_message=timeout_message,
        acquire_timeout_s=timeout_s,
        line_full_message=refusal_message,
        line_full_s=refusal_s,
        served_in_line=served,
    )


async def _refused(pool: DatabasePool, expected: type[AcquireTimeout | LineFull]) -> tuple[str, float]:
    """Ask for what cannot be had; return what was said, with the seconds it took."""
    started_at = perf_counter()
    try:
        await pool.fetchval("SELECT 1", timeout=TIMEOUT_S)
    except expected as error:
        return str(error), perf_counter() - started_at
    raise DemoError(f"A query got a connection where all were held: there should have been {expected.__name__}.")
