"""What a long line of waiting callers costs: bytes for each, seconds to cancel them all."""

from __future__ import annotations

import asyncio
import gc
import random
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from statistics import median
from typing import Any, Final

import asyncpg

from bench.contenders import CONNECTIONS, SQL
from bench.process import progress
from dbpool import DatabasePool, Gate

_FOREVER_S: Final = 600.0  # no wait ends by itself
ORDERS: Final = ("oldest first", "newest first", "random")

Wait = Callable[[], Coroutine[Any, Any, object]]  # the task's own coroutine, so that nothing of it counts twice


@asynccontextmanager
async def _future(_dsn: str) -> AsyncIterator[Wait]:
    """The least that anybody can wait with."""
    new_future = asyncio.get_running_loop().create_future

    async def wait() -> None:
        await new_future()

    yield wait


@asynccontextmanager
async def _fetchrow(dsn: str) -> AsyncIterator[Wait]:
    async with (
        DatabasePool(dsn, max_connections=CONNECTIONS, acquire_timeout=_FOREVER_S) as db,
        AsyncExitStack() as held,
    ):
        for _ in range(CONNECTIONS):
            await held.enter_async_context(db.acquire())
        yield lambda: db.fetchrow(SQL, 1)
        assert db.stats().waiting == 0


@asynccontextmanager
async def _gate(_dsn: str) -> AsyncIterator[Wait]:
    gate = Gate(1, timeout=_FOREVER_S)

    async def wait() -> None:
        async with gate:
            pass

    async with gate:
        yield wait
        assert gate.waiting == 0


@asynccontextmanager
async def _asyncpg_pool(dsn: str) -> AsyncIterator[Wait]:
    async with (
        asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool,
        AsyncExitStack() as held,
    ):
        for _ in range(CONNECTIONS):
            await held.enter_async_context(pool.acquire())
        yield lambda: pool.fetchrow(SQL, 1)


PLACES: Final = {"future": _future, "fetchrow": _fetchrow, "gate": _gate, "asyncpg.Pool": _asyncpg_pool}


async def measure(request: dict[str, Any]) -> dict[str, float]:
    """One figure.

    Args:
        request: ``dsn``, ``place`` to wait in, ``waiters``; ``repeats``, 0 for bytes instead of seconds.
    Returns: ``bytes`` that a waiting task takes, itself included; or the median of the seconds by each of ORDERS.
    """
    waiters = request["waiters"]
    async with PLACES[request["place"]](request["dsn"]) as wait:
        if request["repeats"] == 0:
            progress(f"bytes of {waiters} waiting in {request['place']}")
            return {"bytes": await _bytes_each(wait, waiters)}
        progress(f"cancelling {waiters} waiting in {request['place']}")
        return {
            order: median([await _seconds_to_cancel(wait, waiters, order) for _ in range(request["repeats"])])
            for order in ORDERS
        }


async def _bytes_each(wait: Wait, waiters: int) -> float:
    tasks: list[Any] = [None] * waiters
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for number in range(waiters):
        tasks[number] = asyncio.create_task(wait())
    await _settle()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    await _cancel(tasks)
    return (after - before) / waiters


async def _seconds_to_cancel(wait: Wait, waiters: int, order: str) -> float:
    tasks: list[asyncio.Task[object]] = [asyncio.create_task(wait()) for _ in range(waiters)]
    await _settle()
    if order == "newest first":
        tasks.reverse()
    elif order == "random":
        random.shuffle(tasks)
    gc.collect()
    started = time.perf_counter()
    await _cancel(tasks)
    return time.perf_counter() - started


async def _cancel(tasks: Sequence[asyncio.Task[object]]) -> None:
    for task in tasks:
        task.cancel()
    while not all(map(asyncio.Task.done, tasks)):  # noqa: ASYNC110 - a callback on each would be measured too
        await asyncio.sleep(0)


async def _settle() -> None:
    """Let every task come to where it waits; more turns of the loop than any of them needs."""
    for _ in range(10):
        await asyncio.sleep(0)
