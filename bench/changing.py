"""One pool under a load that changes: what it achieved, what its callers waited."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from statistics import median
from typing import Any, Final

import asyncpg

from dbpool import DatabasePool

ADAPTIVE: Final = "adaptive"
MOST: Final = 20  # connections: the largest fixed size, and what the adaptive limit never exceeds

_CPU_S = 0.003
_CPU_SQL = "select count(distinct md5(n::text)) from generate_series(1, $1) as n"
_TABLE = """
create table if not exists counters (id integer primary key, n bigint not null);
insert into counters values (1, 0) on conflict do nothing;
"""

LABELS: Final = {
    "wait": "each call waits for 5 ms: pg_sleep(0.005)",
    "cpu": f"each call needs {_CPU_S * 1e3:.0f} ms of a processor: count(distinct md5(n::text))",
    "rows": "each call is a transaction that locks and updates the same row",
}

Connection = Any  # asyncpg's, as the pool lends it
Work = Callable[[Connection], Awaitable[object]]
Acquire = Callable[[], AbstractAsyncContextManager[Connection]]


async def prepare(dsn: str) -> int:
    """Make the table; find how many md5s take _CPU_S on an idle server."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute(_TABLE)
        md5s = 1000
        for _ in range(4):
            started = time.perf_counter()
            for _ in range(20):
                await connection.fetchval(_CPU_SQL, md5s)
            md5s = max(1, round(md5s * _CPU_S * 20 / (time.perf_counter() - started)))
        return md5s
    finally:
        await connection.close()


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    """A closed loop of tasks, one load after the other, without a pause.

    Args:
        request: ``dsn``, ``contender`` (a size, or ADAPTIVE), ``loads``, ``phase_s``, ``tasks``, ``md5s``.
    Returns: ``phases``, figures of each load in turn; ``all``, those of all of them together.
    """
    works, loads, phase_s = _works(request["md5s"]), request["loads"], request["phase_s"]
    seen: list[list[tuple[float, float, int]]] = [[] for _ in loads]
    async with _opened(request["dsn"], request["contender"]) as (acquire, limit):
        await asyncio.gather(*(_warm(acquire, works.values()) for _ in range(MOST)))
        started = time.perf_counter()

        async def call_on() -> None:
            while (phase := int(((came := time.perf_counter()) - started) / phase_s)) < len(loads):
                async with acquire() as connection:
                    began = time.perf_counter()
                    await works[loads[phase]](connection)
                    service_s = time.perf_counter() - began
                ended = time.perf_counter()
                if ended < started + phase_s * len(loads):
                    seen[int((ended - started) / phase_s)].append((ended - came, service_s, limit()))

        await asyncio.gather(*(call_on() for _ in range(request["tasks"])))
    phases = [_figures(calls, phase_s) for calls in seen]
    return {"phases": phases, "all": _figures([call for calls in seen for call in calls], phase_s * len(loads))}


@asynccontextmanager
async def _opened(dsn: str, contender: str) -> AsyncIterator[tuple[Acquire, Callable[[], int]]]:
    """How to get a connection, and how many may be out at this moment."""
    is_adaptive = contender == ADAPTIVE
    size = MOST if is_adaptive else int(contender)
    async with DatabasePool(dsn, max_connections=size, min_connections=size, adaptive=is_adaptive) as db:
        yield db.acquire, lambda: db.stats().limit


def _works(md5s: int) -> dict[str, Work]:
    async def wait(connection: Connection) -> None:
        await connection.fetchval("select pg_sleep(0.005)")

    async def cpu(connection: Connection) -> None:
        await connection.fetchval(_CPU_SQL, md5s)

    async def rows(connection: Connection) -> None:
        async with connection.transaction():
            await connection.fetchval("select n from counters where id = 1 for update")
            await connection.execute("update counters set n = n + 1 where id = 1")

    return {"wait": wait, "cpu": cpu, "rows": rows}


async def _warm(acquire: Acquire, works: Iterable[Work]) -> None:
    for work in works:
        async with acquire() as connection:
            await work(connection)


def _figures(calls: Sequence[tuple[float, float, int]], seconds: float) -> dict[str, float]:
    responses, services, limits = zip(*calls, strict=True) if calls else ((0.0,), (0.0,), (0,))
    return {
        "per_s": len(calls) / seconds,
        "p50_s": median(responses),
        "p99_s": _p99(responses),
        "service_p99_s": _p99(services),
        "limit": median(limits),
    }


def _p99(values: Sequence[float]) -> float:
    return sorted(values)[len(values) * 99 // 100]
