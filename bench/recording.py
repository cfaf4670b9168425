"""What a pool writes down of each call so that a report can be made of it at any time, in microseconds."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any, Final

from bench.order import order_of_round
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool import Gate
from dbpool.waiter import Waiter

RECORD: Final = Target(at_most=2.0, unit=" µs")

_CALLS = 1000
_DEPTH = 4  # as far above as the caller of db.fetchrow() is


async def measure(request: dict[str, Any]) -> dict[str, float]:
    """Microseconds a call of each part.

    Whoever asks always gets a place, so what it costs is the difference to one of the pool's own errands, which have
    none. What those write down as well, the holder and its task, is measured by itself.

    Args:
        request: ``blocks`` of each.
    """
    progress("what is written down of each call")
    loop = asyncio.get_running_loop()
    gate = Gate(1)
    holding: dict[Waiter, None] = {}

    def with_place() -> None:
        waiter = Waiter(gate.line, gate.sites.of(_DEPTH))
        gate.request(waiter, 1.0, loop)
        gate.leave(waiter)

    def without_place() -> None:
        waiter = Waiter(gate.line, None)
        gate.request(waiter, 1.0, loop)
        gate.leave(waiter)

    def holder() -> None:
        waiter = Waiter(gate.line, None)
        waiter.asker = asyncio.current_task(loop)
        holding[waiter] = None
        del holding[waiter]

    def no_holder() -> None:
        Waiter(gate.line, None)

    works: dict[str, Callable[[], None]] = {
        each.__name__: each for each in (with_place, without_place, holder, no_holder)
    }
    seen: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    for number in range(request["blocks"]):
        for name in order_of_round(list(works), number):
            seen[name].append(_us_each(works[name]))
    us = {name: median(blocks) for name, blocks in seen.items()}
    return {
        "all": us["with_place"],
        "place": us["with_place"] - us["without_place"],
        "holder": us["holder"] - us["no_holder"],
    }


def _us_each(work: Callable[[], None]) -> float:
    started = time.perf_counter()
    for _ in range(_CALLS):
        work()
    return (time.perf_counter() - started) / _CALLS * 1e6


def tables(us: Mapping[str, float]) -> Iterator[Table]:
    rows = [
        ("the place in the program, its calls and seconds", f"{us['place']:.2f}"),
        ("the holder and its task", f"{us['holder']:.2f}"),
        ("a permit asked for and given back, all of that included", f"{us['all']:.2f}"),
    ]
    yield Table("What is written down of each call", ("", "µs"), rows)


def judged(us: Mapping[str, float]) -> Iterator[Judged]:
    yield judge("what is written down of each call", us["place"] + us["holder"], RECORD)
