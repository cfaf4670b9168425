"""A point as it stands in a run's JSON: times in ms, None for what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from dbpool.core import hdr
from dbpool.core.histogram import Histogram
from dbpool.core.loadtest.intervals import Interval
from dbpool.loadtest.load import DriverName
from dbpool.loadtest.point import NS_PER_MS, Point
from dbpool.loadtest.recording.tally import Outcome, Second, Series
from dbpool.loadtest.server.sampler import Sample

PERCENTILES: Final = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "p99_9": 0.999, "p99_99": 0.9999}


def durations_json(histogram: Histogram) -> dict[str, Any] | None:
    """Mean, percentiles, extremes; None for a histogram of nothing. A percentile that n is too small for is None."""
    if not histogram.n:
        return None
    assert histogram.mean is not None
    found = zip(PERCENTILES, histogram.quantiles(PERCENTILES.values()), strict=True)
    return {
        "n": histogram.n,
        "mean": histogram.mean / NS_PER_MS,
        "min": _ms(histogram.min),
        **{name: _ms(value) for name, value in found},
        "max": _ms(histogram.max),
        "hdr": hdr.encode(histogram),
    }


def intervals_json(point: Point, *, seed: int) -> dict[str, list[float] | None] | None:
    """Where the percentiles of the responses lie, from a bootstrap over seconds; None without numpy."""
    try:
        from dbpool.loadtest.bootstrap import quantile_intervals
    except ImportError:
        return None
    seconds = [second.response for second in point.seconds[int(point.load.warmup_s) :]]
    found = quantile_intervals(seconds, list(PERCENTILES.values()), seed=seed)
    longest = point.durations(Series.RESPONSE).max or 0  # of which the end of its bucket knows nothing
    return {
        name: None if interval is None else [min(end, longest) / NS_PER_MS for end in (interval.low, interval.high)]
        for name, interval in zip(PERCENTILES, found, strict=True)
    }


def point_json(point: Point, *, number: int, stage: str, seed: int) -> dict[str, Any]:
    """The entry of ``points`` in the document; *seed* is of what is drawn for its intervals."""
    target, load, tps = point.target, point.load, point.tps
    has_pool = target.driver not in (DriverName.ASYNCPG_CONNECT, DriverName.NOOP)
    return {
        "id": number,
        "stage": stage,
        "driver": target.driver.value,
        "workers": point.workers,
        "pool_sharded": point.workers > 1,
        "pool_size": target.connections if has_pool else None,
        "gate": target.gate,
        "clients": None if load.is_open else load.clients,
        "offered_rate": load.mean_rate,
        "arrival": load.arrival.value if load.is_open else None,
        "max_in_flight": load.max_in_flight if load.is_open else None,
        "window_s": point.window_s,
        "warmup_s": load.warmup_s,
        "tps": None
        if tps is None
        else {
            "mean": tps.value,
            "ci95": _interval(tps.interval),
            "n_batches": tps.n_batches,
            "is_settled": tps.is_settled,
        },
        **{f"{series.value}_ms": durations_json(point.durations(series)) for series in Series},
        "response_ci95_ms": intervals_json(point, seed=seed),
        "counts": counts_json(point),
        "rates": {
            "error": point.total.rate(Outcome.ERROR),
            "late": None if load.limit_s is None else point.total.rate(Outcome.LATE),
            "dropped": point.total.rate(Outcome.DROPPED) if load.is_open else None,
            "timeout": point.total.rate(Outcome.TIMEOUT),
        },
        "server": server_json(point.samples),
        "generator": {
            "cpu": point.cpu,
            "starved": point.starved,
            "in_flight": point.in_flight,
            "rss_mb": max((health.rss_mb for health in point.healths if health.rss_mb is not None), default=None),
            "loop_lag_p99_ms": _ms(point.loop_lag.quantile(0.99)),
            "loop_lag_max_ms": _ms(point.loop_lag.max),
            "ceiling_tps": point.ceiling_tps,
            "bound": bool(point.bound_by_generator),
            "reasons": point.bound_by_generator,
        },
        "flags": point.flags,
    }


def counts_json(point: Point) -> dict[str, Any]:
    """Transactions that were due in the window, by what became of them; late ones are among the ok or timed out."""
    total, load = point.total, point.load
    return {
        "due": total.due,
        "ok": total.counts[Outcome.OK],
        "late": None if load.limit_s is None else total.counts[Outcome.LATE],
        "skipped": total.counts[Outcome.SKIPPED] if load.is_open and load.limit_s is not None else None,
        "dropped": total.counts[Outcome.DROPPED] if load.is_open else None,
        "timeout": total.counts[Outcome.TIMEOUT],
        "retried": None if load.max_tries == 1 else total.counts[Outcome.RETRIED],
        "retries": None if load.max_tries == 1 else total.counts[Outcome.RETRIES],
        "errors": dict(total.errors.most_common()),
    }


def second_json(second: Second) -> dict[str, Any]:
    """What one second brought."""
    p50, p99 = second.response.quantiles((0.5, 0.99))
    return {
        "completed": second.completed,
        "response_p50_ms": _ms(p50),
        "response_p99_ms": _ms(p99),
        "response_max_ms": _ms(second.response_max),
        "errors": second.counts[Outcome.ERROR],
        "timeouts": second.counts[Outcome.TIMEOUT],
        "dropped": second.counts[Outcome.DROPPED],
        "skipped": second.counts[Outcome.SKIPPED],
        "late": second.counts[Outcome.LATE],
    }


def timeline_json(point: Point) -> list[dict[str, Any]]:
    """A line for each second since the anchor, the warm-up and the drain included."""
    return [{"t": number, **second_json(second)} for number, second in enumerate(point.seconds)]


def server_json(samples: Sequence[Sample]) -> dict[str, Any] | None:
    """What the server was seen doing, averaged over the looks; None: nobody looked."""
    if not samples:
        return None
    return {
        "samples": len(samples),
        "sample_ms": sum(sample.took_ms for sample in samples) / len(samples),
        "connections": {
            "ours": _average([sample.ours for sample in samples]),
            "others": _average([sample.others for sample in samples]),
        },
        "waits": _average([sample.waits for sample in samples]),
        "wait_events": _average([sample.wait_events for sample in samples]),
        "deltas": {
            view: _sum([sample.deltas[view] for sample in samples if view in sample.deltas])
            for view in samples[0].deltas
        },
        "cpu": _mean([sample.cpu for sample in samples]),
    }


def _average(parts: Sequence[Mapping[str, int] | None]) -> dict[str, float] | None:
    seen = [part for part in parts if part is not None]
    if not seen:
        return None
    names = sorted({name for part in seen for name in part})
    return {name: sum(part.get(name, 0) for part in seen) / len(seen) for name in names}


def _sum(parts: Sequence[Mapping[str, float | None] | None]) -> dict[str, float | None] | None:
    seen = [part for part in parts if part is not None]
    if not seen:
        return None
    sums: dict[str, float | None] = {}
    for name in seen[0]:
        values = [value for part in seen if (value := part.get(name)) is not None]
        sums[name] = sum(values) if values else None
    return sums


def _mean(values: Sequence[float | None]) -> float | None:
    seen = [value for value in values if value is not None]
    return sum(seen) / len(seen) if seen else None


def _interval(interval: Interval | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _ms(value: int | None) -> float | None:
    return None if value is None else value / NS_PER_MS
