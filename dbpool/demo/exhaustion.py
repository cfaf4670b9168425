"""What a caller hears when there is nothing left to give."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from time import perf_counter

from dbpool import AcquireTimeout, DatabasePool, LineFull
from dbpool.demo.plan import DemoError

CONNECTIONS = 2
MAX_WAITING = 3
TIMEOUT_S = 0.25


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """The two refusals, word by word."""

    timeout_message: str
    timeout_after_s: float
    refusal_message: str
    refusal_after_s: float
    served_in_line: int
    """Callers who were in line when the connections came back."""


async def exhaust(dsn: str, application_name: str) -> Exhaustion:
    """Hold every connection of a small pool; return what the next callers are told."""
    small = DatabasePool(
        dsn, CONNECTIONS, name="small", max_waiting=MAX_WAITING, server_settings={"application_name": application_name}
    )
    async with small, asyncio.TaskGroup() as line:
        async with small.acquire(), small.acquire():
            timeout_message, timeout_after_s = await _refused(small, AcquireTimeout)
            waiters = [line.create_task(small.fetchval("SELECT 1")) for _ in range(MAX_WAITING)]
            while small.stats().waiting < MAX_WAITING:
                await asyncio.sleep(0)
            refusal_message, refusal_after_s = await _refused(small, LineFull)
        served = sum(await asyncio.gather(*waiters))
    return Exhaustion(timeout_message, timeout_after_s, refusal_message, refusal_after_s, served)


async def _refused(pool: DatabasePool, expected: type[AcquireTimeout | LineFull]) -> tuple[str, float]:
    """Ask for what cannot be had; return what was said, with the seconds it took."""
    started_at = perf_counter()
    try:
        await pool.fetchval("SELECT 1", timeout=TIMEOUT_S)
    except expected as error:
        return str(error), perf_counter() - started_at
    raise DemoError(f"A query got a connection where all were held: there should have been {expected.__name__}.")
