"""Soak: a steady load for long, and what creeps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from dbpool.core.histogram import merged
from dbpool.core.loadtest.bins import bin_s, binned
from dbpool.core.loadtest.drift import Drift, drift_text
from dbpool.core.loadtest.intervals import CONFIDENCE
from dbpool.core.loadtest.trend import Trend, trend_of
from dbpool.core.stages import Stage
from dbpool.loadtest.load import Load
from dbpool.loadtest.point import NS_PER_MS, NS_PER_S, Point
from dbpool.loadtest.recording.tally import Second
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, all_gone, sessions
from dbpool.loadtest.stages.stand import Stand

MINUTE_S: Final = 60.0
TRENDS: Final = 4
TOGETHER: Final = 1 - (1 - CONFIDENCE) / TRENDS  # for each, so that 5 % of steady loads show any (Bonferroni)
LOOKS: Final = 3600  # at the server, at the most: each is kept
LEAVE_S: Final = 5.0  # for sessions to leave by themselves: after that they have been left


async def soak(stand: Stand, *, size: int, rate: float, minutes: float) -> dict[str, Any]:
    """Load a pool of *size* with *rate* arrivals a second for *minutes*, and look what rises or falls meanwhile.

    The seconds of a run are kept: some 70 MB for an hour. Looks at the server are at most 3,600, however long it takes.

    Returns: the section ``soak`` of the document: trends of throughput, p99, memory of the load processes (MiB) and
        client sessions on the server, for those that are known and long enough. ``shown`` are trends whose 95 %
        interval excludes 0; of others the slope means nothing. ``leaked_sessions`` are our own that had not left five
        seconds after the end; None: a pooler keeps them, or the server cannot be asked.
    Raises:
        SettingsError: there is no time, or no rate.
        WorkerFailed: a worker cannot connect.
    Cancelling: ends the load, with its connections.
    """
    time_s = minutes * MINUTE_S
    load = replace(stand.load, stages=(Stage(time_s, rate, rate),), time_s=time_s).by(stand.driver, size)
    target = stand.target(size)
    stand.begin(
        "soak",
        f"{minutes:g} min at {rate:,.0f} a second, by a pool of {size}",
        points=1,
        seconds=time_s + load.warmup_s,
    )
    if time_s > LOOKS:
        stand.look_every(time_s / LOOKS)
    done = await stand.measure("soak", target, load)
    leaked = await _leaked(stand, target.application_name)
    drifts = _drifts(done.point)
    lasted = round(done.point.window_s / MINUTE_S, 2)
    return {
        "point": done.json["id"],
        "minutes": lasted,
        "trends": [_trend_json(drift, drift.trend) for drift in drifts if drift.trend is not None],
        "leaked_sessions": leaked,
        "text": drift_text(drifts, minutes=lasted, rate=rate, leaked=leaked),
    }


async def _leaked(stand: Stand, name: str) -> int | None:
    if stand.limits.is_pooled:
        return None
    try:
        return 0 if await all_gone(stand.lifeline, name, timeout_s=LEAVE_S) else await sessions(stand.lifeline, name)
    except CONNECT_ERRORS:
        return None


def _drifts(point: Point) -> list[Drift]:
    seconds = _window(point.seconds, point.load, int(point.window_s))
    rate = sum(second.completed for second in seconds) / max(1, len(seconds))
    length = bin_s(len(seconds), rate)
    telling = bin_s(len(seconds), rate, tells_p99=True)
    looks = [None if sample.ours is None else float(sum(sample.ours.values())) for sample in point.samples]
    look_s = _spacing_s([sample.at_ns for sample in point.samples])

    def trend(value: Callable[[Second], float | None]) -> Trend | None:
        return trend_over([value(second) for second in seconds], length, 1.0)

    return [
        Drift("tps", "throughput", "/s", trend(lambda second: float(second.completed))),
        Drift("response_p99_ms", "response p99", "ms", trend_over(_p99s_ms(seconds, telling), 1, float(telling))),
        Drift("rss_mb", "memory of the load processes", "MiB", trend(lambda second: second.rss_mb)),
        Drift("connections", "the number of connections", "", trend_over(looks, bin_s(len(looks), rate), look_s)),
    ]


def _window(seconds: Sequence[Second], load: Load, many: int) -> Sequence[Second]:
    first = round(load.warmup_s)
    return seconds[first : first + many]


def _p99s_ms(seconds: Sequence[Second], length: int) -> list[float | None]:
    p99s = [
        merged(second.response for second in seconds[first : first + length]).quantile(0.99)
        for first in range(0, len(seconds) - length + 1, length)
    ]
    return [None if p99 is None else p99 / NS_PER_MS for p99 in p99s]


def trend_over(values: Sequence[float | None], length: int, spacing_s: float) -> Trend | None:
    """The trend of what is known all along."""
    found = binned(values, length)
    return trend_of(found, length * spacing_s, TOGETHER) if found and spacing_s > 0 else None


def _spacing_s(at_ns: Sequence[int]) -> float:
    return (at_ns[-1] - at_ns[0]) / (len(at_ns) - 1) / NS_PER_S if len(at_ns) > 1 else 0.0


def _trend_json(drift: Drift, trend: Trend) -> dict[str, Any]:
    return {
        "name": drift.name,
        "unit": drift.unit,
        "per_hour": trend.per_hour,
        "low": trend.interval.low,
        "high": trend.interval.high,
        "settled": trend.is_settled,
        "shown": trend.is_shown,
    }
