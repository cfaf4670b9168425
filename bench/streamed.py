"""How much memory ``map`` takes while a generator's items go through it."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any, Final

from bench import process
from bench.contenders import CONNECTIONS, SQL
from bench.database import ROWS
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool import DatabasePool

GROWTH: Final = Target(at_most=15.0, unit=" MB")
WARM_UP: Final = 10_000
_LOOK_EVERY: Final = 1000  # items


def measure_rounds(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """What ``measure`` says in several processes.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``items``.
    """
    rounds = []
    for number in range(request["rounds"]):
        progress(f"{request['label']}: {request['items']:,} items through map, {number + 1} of {request['rounds']}")
        rounds.append(process.measure("streamed", request, loop=loop))
    return {"items": request["items"], "rounds": rounds}


async def measure(request: dict[str, Any]) -> dict[str, float]:
    """Bytes in memory ``before`` but after a warm-up, at the ``peak`` and at the ``end``; ``per_s``, items a second."""
    import psutil

    resident = psutil.Process().memory_info
    async with DatabasePool(request["dsn"], max_connections=CONNECTIONS, min_connections=CONNECTIONS) as db:

        async def stream(items: int) -> int:
            done = peak = 0
            async for key, row, _ in db.map_row(SQL, (number % ROWS + 1 for number in range(items))):
                assert row[0] == key
                done += 1
                if done % _LOOK_EVERY == 0:
                    peak = max(peak, resident().rss)
            assert done == items
            return peak

        await stream(WARM_UP)
        gc.collect()
        before = resident().rss
        started = time.perf_counter()
        peak = await stream(request["items"])
        per_s = request["items"] / (time.perf_counter() - started)
        return {"before": before, "peak": max(peak, before), "end": resident().rss, "per_s": per_s}


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    columns = ("loop", "items/s", f"after {WARM_UP:,}", "peak", "at the end", "growth", "of the worst round")
    rows = [
        (
            loop,
            f"{median(each['per_s'] for each in measured['rounds']):,.0f}",
            *(
                f"{median(each[when] for each in measured['rounds']) / 1e6:.1f} MB"
                for when in ("before", "peak", "end")
            ),
            f"{median(_growths_mb(measured)):.1f} MB",
            f"{max(_growths_mb(measured)):.1f} MB",
        )
        for loop, measured in results.items()
    ]
    items = max(measured["items"] for measured in results.values())
    yield Table(f"Memory of a process that streams {items:,} items through map", columns, rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        what = f"{loop}: {measured['items']:,} items streamed through map: how far memory grows"
        yield judge(what, median(_growths_mb(measured)), GROWTH)


def _growths_mb(measured: Mapping[str, Any]) -> list[float]:
    return [(each["peak"] - each["before"]) / 1e6 for each in measured["rounds"]]
