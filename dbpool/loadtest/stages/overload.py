"""Overload: more and more arrivals a second, beyond what the server can do, then back to normal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from dbpool.core.loadtest.behaviour import Recovery, Step, behaviour
from dbpool.core.loadtest.overloadplan import NORMAL, SHARES, OverloadPlan, overload_plan
from dbpool.core.loadtest.recovery import back_from, is_within, usual_ms
from dbpool.core.stages import Stage
from dbpool.loadtest.load import Load
from dbpool.loadtest.point import NS_PER_MS, Point
from dbpool.loadtest.recording.tally import Outcome, Second, Series
from dbpool.loadtest.stages.stand import Measured, Stand

OVERLOADED_S: Final = 5.0  # at the highest rate, before it falls: the line is as long as it gets by then
ABOUT: Final = 0.11  # of the peak, more or less: a tenth, however it is rounded
LOST: Final = (Outcome.SKIPPED, Outcome.DROPPED, Outcome.ERROR)


async def overload(
    stand: Stand,
    *,
    size: int,
    peak_tps: float,
    limit_ms: float,
    shares: Sequence[float] = SHARES,
    step_s: float | None = None,
    overloaded_s: float = OVERLOADED_S,
) -> dict[str, Any]:
    """Offer *shares* of *peak_tps* to a pool of *size*, as independent users would, each for *step_s*.

    Work that waits too long to be done within *limit_ms* is skipped; nothing ends because a line is full. At the end
    the highest rate falls to 70 % of the peak within one load, which shows the way back.

    Args:
        step_s: None: as long as the stand's load.
        overloaded_s: how long the highest rate lasts before it falls.
    Returns: the section ``overload`` of the document. ``goodput_tps`` are transactions done within the limit, per
        second; ``uncorrected_p99_ms`` is what a tool would report that times from sending: the service alone.
        ``recovery_s`` are whole seconds, 0 if the first was fine; None: not within the time, or it was stopped.
    Raises:
        SettingsError: a share, the peak, the size or the limit is not above 0.
        WorkerFailed: a worker cannot connect.
    Cancelling: ends what is measured, with its connections.
    """
    plan = overload_plan(peak_tps, size, limit_ms / 1000, shares, most_in_flight=stand.load.max_in_flight)
    load = replace(
        stand.load,
        time_s=stand.load.time_s if step_s is None else step_s,
        limit_s=limit_ms / 1000,
        skip_after_s=plan.skip_after_s,
        timeout_s=max(stand.load.timeout_s, 2 * limit_ms / 1000),  # whatever is given up was late before that
        max_in_flight=plan.max_in_flight,
    )
    text = f"up to {plan.steps[-1][0]:.0%} of {peak_tps:,.0f} a second, by a pool of {size}"
    seconds = (len(plan.steps) + 1) * load.time_s + len(plan.steps) * load.warmup_s + overloaded_s
    stand.begin("overload", text, points=len(plan.steps) + 1, seconds=seconds)
    steps: list[tuple[float, Measured]] = []
    for share, rate in plan.steps:
        if stand.is_stopped:
            break
        done = await stand.measure("overload", stand.target(size), _at(load, rate).by(stand.driver, size))
        if done.point.window_s:
            steps.append((share, done))
    usual_ms = _usual_ms(steps, limit_ms)
    recovery = None if stand.is_stopped else await _recover(stand, size, load, plan, usual_ms, overloaded_s)
    return _section(size, peak_tps, limit_ms, steps, recovery)


def _at(load: Load, rate: float, warmup_rate: float | None = None) -> Load:
    return replace(load, stages=(Stage(load.time_s, rate, rate),), warmup_rate=warmup_rate)


def _usual_ms(steps: Sequence[tuple[float, Measured]], limit_ms: float) -> float:
    """Up to where a response is nothing unusual: twice the p99 at about the load that is returned to, or the limit."""
    near = [(abs(share - NORMAL), done.point) for share, done in steps if abs(share - NORMAL) <= ABOUT]
    if not near:
        return limit_ms
    _, point = min(near, key=lambda each: each[0])
    p99_ms = _p99_ms(point, Series.RESPONSE)
    return usual_ms(p99_ms, limit_ms)


async def _recover(
    stand: Stand, size: int, load: Load, plan: OverloadPlan, limit_ms: float, overloaded_s: float
) -> dict[str, Any] | None:
    falling = _at(replace(load, warmup_s=overloaded_s), plan.normal_rate, warmup_rate=plan.steps[-1][1])
    done = await stand.measure("recovery", stand.target(size), falling.by(stand.driver, size))
    point = done.point
    if not point.is_complete:
        return None
    since = point.seconds[int(overloaded_s) : int(overloaded_s + load.time_s)]
    back = back_from([_is_good(second, limit_ms) for second in since])
    return {
        "point": done.json["id"],
        "recovery_s": None if back is None else float(back),
        "limit_ms": limit_ms,
        "looked_s": float(len(since)),
    }


def _is_good(second: Second, limit_ms: float) -> bool | None:
    missed = sum(second.counts[outcome] for outcome in LOST)
    return is_within(second.response, limit_ms * NS_PER_MS, missed=missed)


def _section(
    size: int,
    peak_tps: float,
    limit_ms: float,
    steps: Sequence[tuple[float, Measured]],
    recovery: dict[str, Any] | None,
) -> dict[str, Any]:
    looked_s = None if recovery is None else recovery.pop("looked_s")
    told = [
        Step(share, done.point.total.due, _good(done.point), _goodput(done.point), bool(done.point.bound_by_generator))
        for share, done in steps
    ]
    back = None if recovery is None or looked_s is None else Recovery(NORMAL, recovery["recovery_s"], looked_s)
    return {
        "size": size,
        "peak_tps": peak_tps,
        "limit_ms": limit_ms,
        "steps": [_step_json(share, done) for share, done in steps],
        "recovery": recovery,
        "behaviour": behaviour(told, back, limit_ms),
    }


def _step_json(share: float, done: Measured) -> dict[str, Any]:
    point = done.point
    counts = point.total.counts
    service_ms = _p99_ms(point, Series.SERVICE)
    return {
        "share": share,
        "offered_rate": point.load.mean_rate,
        "point": done.json["id"],
        "goodput_tps": _goodput(point),
        "late_rate": point.total.rate(Outcome.LATE),
        "skipped": counts[Outcome.SKIPPED],
        "dropped": counts[Outcome.DROPPED],
        "timeouts": counts[Outcome.TIMEOUT],
        "errors": counts[Outcome.ERROR],
        "response_p99_ms": _p99_ms(point, Series.RESPONSE),
        "service_p99_ms": service_ms,
        "uncorrected_p99_ms": service_ms,
    }


def _good(point: Point) -> int:
    """Transactions done within the limit: of those counted as late some timed out, and all that timed out are late."""
    counts = point.total.counts
    return counts[Outcome.OK] - counts[Outcome.LATE] + counts[Outcome.TIMEOUT]


def _goodput(point: Point) -> float:
    return _good(point) / point.window_s


def _p99_ms(point: Point, series: Series) -> float | None:
    p99 = point.durations(series).quantile(0.99)
    return None if p99 is None else p99 / NS_PER_MS
