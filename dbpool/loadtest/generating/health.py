"""How the generator itself fared: processor time, lateness of its event loop, transactions in flight."""

from __future__ import annotations

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dbpool.core.histogram import Histogram
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.recording.window import SECOND_NS, Window

LOOK_EVERY_S: Final = 0.02


@dataclass(slots=True)
class Health:
    """What was seen in the window; None: it was not looked at, for the window was too short or never came.

    Args:
        cpu: share of one processor, 0.0 upwards.
        starved: share of the time in which it could have run and others did; 0 where only Linux would tell.
        loop_lag: how late the event loop was by its own doing, others' share left out.
        in_flight: transactions, on average.
        rss_mb: the most memory that the process ever had.
        done: transactions of the window that went well.
        refusals: connects that failed, of which no transaction was told, by what results call the reason.
    """

    cpu: float | None = None
    starved: float | None = None
    in_flight: float | None = None
    rss_mb: float | None = None
    loop_lag: Histogram = field(default_factory=Histogram)
    done: int = 0
    refusals: Counter[str] = field(default_factory=Counter)


async def watch(window: Window, in_flight: Callable[[], int], is_stopped: Callable[[], bool]) -> Health:
    """Look until the window ends, or somebody stopped the load."""
    health, seen, looks = Health(), 0, 0
    while now_ns() < window.begins_ns and not is_stopped():  # noqa: ASYNC110 - the clock sets no event
        await asyncio.sleep(min(LOOK_EVERY_S, max(0.0, (window.begins_ns - now_ns()) / SECOND_NS)))
    began_cpu_s, began_ns, lags = time.process_time(), now_ns(), []
    began_delay_ns = before_delay_ns = _delay_ns()
    while (now := now_ns()) < window.ends_ns and not is_stopped():
        await asyncio.sleep(LOOK_EVERY_S)
        after, delay_ns = now_ns(), _delay_ns()
        lags.append(max(0, after - now - round(LOOK_EVERY_S * SECOND_NS) - (delay_ns - before_delay_ns)))
        before_delay_ns = delay_ns
        seen += in_flight()
        looks += 1
        health.cpu = (time.process_time() - began_cpu_s) / ((after - began_ns) / SECOND_NS)
        health.starved = (delay_ns - began_delay_ns) / (after - began_ns)
    health.loop_lag.add(lags)
    health.in_flight = seen / looks if looks else None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    health.rss_mb = peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
    return health


def memory_mb() -> float | None:
    """The memory that this process has now (resident, in MiB); None where that is not told: Linux does."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return None
    return pages * resource.getpagesize() / (1 << 20)


def _delay_ns() -> int:
    """How long this process has waited for a processor (the scheduler's run delay); 0 where that is not told."""
    try:
        return int(Path("/proc/self/schedstat").read_text(encoding="ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
