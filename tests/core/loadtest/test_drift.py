"""How a long load is put together, and what is said of it."""

from __future__ import annotations

import pytest

from dbpool.core.loadtest.bins import bin_s, binned
from dbpool.core.loadtest.drift import Drift, drift_text
from dbpool.core.loadtest.intervals import Interval
from dbpool.core.loadtest.trend import Trend


@pytest.mark.parametrize(
    ("seconds", "rate", "tells_p99", "expected"),
    [
        (600, 100.0, False, 1),
        (601, 100.0, False, 2),
        (36_000, 100.0, False, 60),
        (600, 100.0, True, 12),
        (600, 5000.0, True, 1),
        (36_000, 100.0, True, 60),
        (0, 0.0, True, 1),
    ],
)
def test_so_many_seconds_are_put_together(seconds: int, rate: float, tells_p99: bool, expected: int) -> None:
    assert bin_s(seconds, rate, tells_p99=tells_p99) == expected


def test_what_is_left_over_and_what_is_not_known_is_left_out() -> None:
    assert binned([1.0, 3.0, 5.0, None, 9.0], 2) == [2.0, 5.0]
    assert binned([1.0, None, None, 2.0, 3.0, 4.0], 3) == [1.0, 3.0]
    assert binned([1.0, None, None, 2.0], 2) == [1.0, 2.0]
    assert binned([1.0, 1.0, None, None], 2) is None
    assert binned([], 3) == []


UP = Trend(12.34, Interval(10.0, 14.68), is_settled=True)
DOWN = Trend(-3.0, Interval(-5.0, -1.0), is_settled=True)
FLAT = Trend(1.0, Interval(-2.0, 4.0), is_settled=True)
TPS = Drift("tps", "throughput", "/s", FLAT)


def test_what_surely_rises_or_falls_is_said_with_its_interval() -> None:
    drifts = [TPS, Drift("p99", "p99", "ms", UP), Drift("n", "the number of connections", "", DOWN)]
    assert drift_text(drifts, minutes=10.0, rate=1700.0, leaked=1) == (
        "10 min at 1,700 a second; p99 rises by 12.3 ms an hour (10 to 14.7); "
        "the number of connections falls by 3 an hour (1 to 5); 1 session stayed behind"
    )


def test_what_stays_or_is_not_known_is_said_too() -> None:
    drifts = [TPS, Drift("m", "memory", "MiB", FLAT), Drift("p99", "p99", "ms", None)]
    assert drift_text(drifts, minutes=0.5, rate=7.0, leaked=0) == (
        "0.5 min at 7 a second; no trend in throughput or memory; nothing can be told of p99; no sessions stayed behind"
    )
    assert drift_text([TPS], minutes=1.0, rate=7.0, leaked=None) == "1 min at 7 a second; no trend in throughput"
