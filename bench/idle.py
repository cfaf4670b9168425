"""What one task pays for a pool that nobody else uses."""

from __future__ import annotations

import gc
import random
import time
from contextlib import AsyncExitStack
from functools import partial
from statistics import median
from typing import Any, Final

from bench import process
from bench.contenders import OPENINGS, Lookup, Unavailable
from bench.database import ROWS
from bench.order import order_of_round
from bench.process import progress

_CALLS = 100  # in a block: short enough that a block and its neighbours meet the same weather
_CONTENDERS = ("dbpool", "bare", "bare-tuned", "asyncpg.Pool")
COALESCE: Final = "dbpool-coalesce"  # of the same pool: two pools differ by more than that


# Where the system puts the server's processes is settled by chance when they start, and what waking one costs depends
# on it: so often are client and connections started anew.
PROCESSES = 7


def measure_often(request: dict[str, Any], *, loop: str) -> dict[str, float]:
    """The medians of what ``measure`` says in several processes."""
    progress(f"{request['label']}: one task on an idle pool")
    figures = [process.measure("idle", request, loop=loop) for _ in range(PROCESSES)]
    return {name: median(each[name] for each in figures) for name in figures[0]}


async def measure(request: dict[str, Any]) -> dict[str, float]:
    """Microseconds per call of each contender: the median of interleaved blocks.

    Args:
        request: ``dsn``, ``label``, ``blocks`` (of each contender).
    Returns: each contender's by its name; dbpool's excess over another, block by block, as ``over <name>``.
    """
    async with AsyncExitStack() as stack:
        lookups: dict[str, Lookup] = {}
        for name in _CONTENDERS:
            try:
                lookups[name] = (await stack.enter_async_context(OPENINGS[name](request["dsn"]))).lookups[0]
            except Unavailable:
                continue
        lookups[COALESCE] = partial(lookups["dbpool"], coalesce=True)
        for lookup in lookups.values():
            for _ in range(10):
                await _us_per_call(lookup)
        seen: dict[str, list[float]] = {name: [] for name in lookups}
        gc.collect()
        for number in range(request["blocks"]):
            for name in order_of_round(list(lookups), number):
                seen[name].append(await _us_per_call(lookups[name]))
    figures = {name: median(blocks) for name, blocks in seen.items()}
    for name, blocks in seen.items():
        if name != "dbpool":
            figures[f"over {name}"] = median(ours - other for ours, other in zip(seen["dbpool"], blocks, strict=True))
    return figures


async def _us_per_call(lookup: Lookup) -> float:
    keys = [random.randrange(1, ROWS + 1) for _ in range(_CALLS)]
    started = time.perf_counter()
    for key in keys:
        await lookup(key)
    return (time.perf_counter() - started) / _CALLS * 1e6
