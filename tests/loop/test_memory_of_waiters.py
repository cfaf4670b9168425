"""What one more caller in line takes, beyond the task that it is."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import Awaitable, Callable

from dbpool.gate import Gate
from tests.support.loops import settle

WAITERS = 5_000
MOST_BYTES = 1024


async def bytes_each(wait: Callable[[], Awaitable[None]]) -> float:
    """Of so many tasks that wait."""
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tasks = [asyncio.ensure_future(_task(wait)) for _ in range(WAITERS)]
        await settle()
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return taken / WAITERS


async def _task(wait: Callable[[], Awaitable[None]]) -> None:
    await wait()


async def test_a_caller_in_line_takes_no_more_than_a_kibibyte_beyond_its_task() -> None:
    gate = Gate(1)

    async def bare() -> None:
        await asyncio.get_running_loop().create_future()

    async def in_line() -> None:
        async with gate:
            pass

    async with gate:
        await bytes_each(in_line)  # what is made once only is there by now
        alone, together = await bytes_each(bare), await bytes_each(in_line)
    assert together - alone <= MOST_BYTES
