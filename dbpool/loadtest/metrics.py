"""A point's figures by the names that thresholds have for them."""

from __future__ import annotations

from dbpool.core.histogram import Histogram, is_enough
from dbpool.core.loadtest.thresholds import Measured
from dbpool.loadtest.load import DriverName, Load
from dbpool.loadtest.point import NS_PER_MS, Point
from dbpool.loadtest.recording.tally import TENTHS, Outcome, Series, Tally

_RATES = {"error_rate": Outcome.ERROR, "late_rate": Outcome.LATE, "dropped_rate": Outcome.DROPPED}
_SERIES = {"response_ms": Series.RESPONSE, "service_ms": Series.SERVICE, "wait_ms": Series.GATE_WAIT}


def measured(point: Point) -> Measured:
    """What *point* measured; None for what it did not, or what n is too small for."""

    def value(metric: str, aggregate: str) -> float | None:
        if metric == "tps":
            return _of_throughput(point, aggregate)
        if metric in _RATES:
            return _rate(point.load, point.total, metric)
        histogram = _durations(point, metric)
        return None if histogram is None else _of_durations(histogram, aggregate)

    return value


def measured_in_second(load: Load, tally: Tally) -> Measured:
    """The same for one second of *load* with a pool; a throughput is the second's own, whatever the aggregate."""

    def value(metric: str, aggregate: str) -> float | None:
        if metric == "tps":
            return float(sum(tally.completions.values()))
        if metric in _RATES:
            return _rate(load, tally, metric)
        return _of_durations(tally.of(_SERIES[metric]), aggregate) if metric in _SERIES else None

    return value


def _durations(point: Point, metric: str) -> Histogram | None:
    if metric == "connect_ms" and point.target.driver is DriverName.ASYNCPG_CONNECT:
        return point.durations(Series.ACQUIRE)
    return point.durations(_SERIES[metric]) if metric in _SERIES else None


def _of_durations(histogram: Histogram, aggregate: str) -> float | None:
    match aggregate:
        case "avg":
            found = histogram.mean
        case "min":
            found = histogram.min
        case "max":
            found = histogram.max
        case _:
            found = histogram.quantile(float(aggregate[2:-1]) / 100)
    return None if found is None else found / NS_PER_MS


def _of_throughput(point: Point, aggregate: str) -> float | None:
    """Of whole seconds, but for the average."""
    if aggregate == "avg":
        return None if point.tps is None else point.tps.value
    tenths = point.per_tenth
    seconds = sorted(sum(tenths[at : at + TENTHS]) for at in range(0, len(tenths) - TENTHS + 1, TENTHS))
    if not seconds:
        return None
    if aggregate in ("min", "max"):
        return float(seconds[0] if aggregate == "min" else seconds[-1])
    share = float(aggregate[2:-1]) / 100
    return float(seconds[int(share * len(seconds))]) if is_enough(len(seconds), share) else None


def _rate(load: Load, tally: Tally, metric: str) -> float | None:
    if (metric == "late_rate" and load.limit_s is None) or (metric == "dropped_rate" and not load.is_open):
        return None
    rate = tally.rate(_RATES[metric])
    if metric == "error_rate" and rate is not None:  # a transaction that timed out went wrong, too
        rate += tally.rate(Outcome.TIMEOUT) or 0.0
    return rate
