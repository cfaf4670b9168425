"""How unequal callers' waits are when there are many times more of them than connections."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any, Final

import asyncpg

from bench import process
from bench.contenders import CONNECTIONS
from bench.order import order_of_round
from bench.process import MeasurementFailed, progress
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge
from dbpool import DatabasePool

EVEN: Final = Target(at_most=2.0, unit=" x")
SQL: Final = "select pg_sleep(0.001)"
WAYS: Final = {"acquire": "to a connection of its own", "one-shot": "to the answer"}

WARM_UP_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class _Pool:
    """What a caller may ask of a pool."""

    acquire: Callable[[], AbstractAsyncContextManager[Any]]
    one_shot: Callable[[], Awaitable[object]]


@asynccontextmanager
async def _dbpool(dsn: str) -> AsyncIterator[_Pool]:
    async with DatabasePool(dsn, max_connections=CONNECTIONS, min_connections=CONNECTIONS) as db:
        yield _Pool(db.acquire, partial(db.fetchrow, SQL))


@asynccontextmanager
async def _asyncpg_pool(dsn: str) -> AsyncIterator[_Pool]:
    async with asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:
        yield _Pool(pool.acquire, partial(pool.fetchrow, SQL))


@asynccontextmanager
async def _psycopg_pool(dsn: str) -> AsyncIterator[_Pool]:
    from psycopg_pool import AsyncConnectionPool

    options = {"autocommit": True, "prepare_threshold": 0}
    async with AsyncConnectionPool(
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=options, open=False, timeout=60
    ) as pool:
        await pool.wait()

        async def one_shot() -> object:
            async with pool.connection() as connection:
                return await (await connection.execute(SQL)).fetchone()

        yield _Pool(pool.connection, one_shot)


_OPENINGS: Final = {"dbpool": _dbpool, "asyncpg.Pool": _asyncpg_pool, "psycopg_pool": _psycopg_pool}


def measure_rounds(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """What ``measure`` says, by contender, of each round; those who cannot take part are left out.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``seconds`` (of each way in a round).
    """
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in _OPENINGS}
    for number in range(request["rounds"]):
        progress(f"{request['label']}: waits, round {number + 1} of {request['rounds']}")
        for name in order_of_round(list(runs), number):
            try:
                runs[name].append(process.measure("fairness", {**request, "contender": name}, loop=loop))
            except MeasurementFailed as error:
                progress(f"{name} is left out: {error}")
                del runs[name]
    return runs


async def measure(request: dict[str, Any]) -> dict[str, dict[str, float]]:
    """A closed loop of tasks, first by one way, then by the other.

    Returns: for each of WAYS ``per_s``, and in seconds ``median``, ``p99`` and ``longest`` of the waits.
    """
    async with _OPENINGS[request["contender"]](request["dsn"]) as pool:
        return {
            "acquire": await _closed_loop(partial(_wait_for_connection, pool), request["seconds"]),
            "one-shot": await _closed_loop(partial(_wait_for_answer, pool), request["seconds"]),
        }


async def _wait_for_connection(pool: _Pool) -> float:
    came = time.perf_counter()
    async with pool.acquire() as connection:
        waited_s = time.perf_counter() - came
        await connection.execute(SQL)
    return waited_s


async def _wait_for_answer(pool: _Pool) -> float:
    came = time.perf_counter()
    await pool.one_shot()
    return time.perf_counter() - came


async def _closed_loop(call: Callable[[], Awaitable[float]], seconds: float) -> dict[str, float]:
    waits: list[float] = []
    gc.collect()
    gc.freeze()  # a full collection stops everybody, whatever the pool; what there is now is not looked at again
    begins = time.perf_counter() + WARM_UP_S
    ends = begins + seconds

    async def call_on() -> None:
        while (came := time.perf_counter()) < ends:
            waited_s = await call()
            if came >= begins:
                waits.append(waited_s)

    await asyncio.gather(*(call_on() for _ in range(TARGET_TASKS)))
    waits.sort()
    return {
        "per_s": len(waits) / seconds,
        "median": median(waits),
        "p99": waits[len(waits) * 99 // 100],
        "longest": waits[-1],
    }


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    columns = ("from the call", "calls/s", "median", "p99", "longest", "longest / median", "worst round")
    for loop, runs in results.items():
        rows = []
        for way, label in WAYS.items():
            for name in runs:
                ratios = _ratios(runs[name], way)
                rows.append(
                    (
                        f"{label}: {name}",
                        f"{median(run[way]['per_s'] for run in runs[name]):,.0f}",
                        *(f"{_ms(runs[name], way, kind):.1f} ms" for kind in ("median", "p99", "longest")),
                        f"{median(ratios):.2f} x",
                        f"{max(ratios):.2f} x",
                    )
                )
        yield Table(f"{loop}: how long {TARGET_TASKS} tasks wait for {CONNECTIONS} connections", columns, rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, runs in results.items():
        for way, label in WAYS.items():
            if "dbpool" in runs:
                what = f"{loop}, {TARGET_TASKS} tasks: longest wait {label} over the median"
                yield judge(what, median(_ratios(runs["dbpool"], way)), EVEN)


def _ratios(runs: list[dict[str, Any]], way: str) -> list[float]:
    return [run[way]["longest"] / run[way]["median"] for run in runs]


def _ms(runs: list[dict[str, Any]], way: str, kind: str) -> float:
    return median(run[way][kind] for run in runs) * 1e3
