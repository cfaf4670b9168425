"""What a load test writes down of each transaction, in microseconds, beside the hdrhistogram package."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import accumulate
from random import Random
from statistics import median
from typing import Any, Final

from bench.order import order_of_round
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool.loadtest.recording.recorder import Recorder, Row, Splits
from dbpool.loadtest.recording.window import SECOND_NS, Window

VALUE: Final = Target(at_most=1.0, unit=" µs")

SERIES: Final = 6  # durations of a transaction: response, service, acquire, release, lag, wait at the gate
_OURS, _PEER = "dbpool.loadtest's recorder", "hdrhistogram, record_value()"
ROWS: Final = 10_000  # of a block: what a second of a busy load brings, after which it is taken
_LONGEST_NS: Final = 3600 * SECOND_NS
# the median of each part: lag, gate wait, acquire, service, release; log-normal, as response times are
_PARTS_NS: Final = (300_000, 40_000, 8_000, 900_000, 15_000)
_SPREAD: Final = 0.6


async def measure(request: dict[str, Any]) -> dict[str, float]:
    """Microseconds a transaction of either.

    Both are given the same stamps, and tell the same six durations of them, to three significant digits.

    Args:
        request: ``blocks`` of each.
    """
    from hdrh.histogram import HdrHistogram

    progress("what a load test writes down of each transaction")
    rows = _rows(Random(1))
    window = Window.of(0, warmup_s=0.0, time_s=10.0)

    def ours() -> None:
        recorder = Recorder(window, Splits(gate=True, schedule=True))
        for row in rows:
            recorder.ok(row)
        assert recorder.take().due == ROWS

    histograms = [HdrHistogram(1, _LONGEST_NS, 3) for _ in range(SERIES)]
    response, service, acquire, release, lag, wait = [each.record_value for each in histograms]

    def peer() -> None:
        for sched, start, gated, acquired, done, released in rows:
            response(done - sched)
            service(done - acquired)
            acquire(acquired - gated)
            release(released - done)
            lag(start - sched)
            wait(gated - start)

    works: dict[str, Callable[[], None]] = {_OURS: ours, _PEER: peer}
    seen: dict[str, list[float]] = {name: [] for name in works}
    gc.collect()
    for number in range(request["blocks"]):
        for name in order_of_round(list(works), number):
            started = time.perf_counter()
            works[name]()
            seen[name].append((time.perf_counter() - started) / ROWS * 1e6)
    return {name: median(blocks) for name, blocks in seen.items()}


def _rows(random: Random) -> list[Row]:
    rows: list[Row] = []
    for number in range(ROWS):
        parts = [int(typical * random.lognormvariate(0, _SPREAD)) for typical in _PARTS_NS]
        a, b, c, d, e, f = accumulate((number * SECOND_NS // ROWS, *parts))
        rows.append((a, b, c, d, e, f))
    return rows


def tables(us: Mapping[str, float]) -> Iterator[Table]:
    rows = [(name, f"{each:.2f}", f"{each / SERIES:.2f}") for name, each in us.items()]
    yield Table("Load test: what is written down", ("", "µs a transaction", "µs a duration"), rows)


def judged(us: Mapping[str, float]) -> Iterator[Judged]:
    yield judge("load test: writing down a duration", us[_OURS] / SERIES, VALUE)
