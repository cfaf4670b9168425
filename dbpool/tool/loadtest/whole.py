"""``dbpool loadtest run``: all stages, one after the other."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from dbpool.core.loadtest.overloadplan import NORMAL, usual_limit_ms
from dbpool.core.loadtest.search import Outcome, Status
from dbpool.core.loadtest.stormplan import OURS
from dbpool.loadtest.judging import judge_run
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.safety import Refused, check_room
from dbpool.loadtest.stages.calibrate import REPEATS, calibrate
from dbpool.loadtest.stages.observing import stage_statements
from dbpool.loadtest.stages.overload import overload
from dbpool.loadtest.stages.queue import queue, sizes_around
from dbpool.loadtest.stages.soak import soak
from dbpool.loadtest.stages.stand import Stand
from dbpool.loadtest.stages.storm import plan_for, storm
from dbpool.loadtest.stages.sweep import Sweep, sweep
from dbpool.tool.loadtest.presets import BETWEEN_S
from dbpool.tool.loadtest.session import conduct
from dbpool.tool.loadtest.sweep import SweepPlan, sweep_of
from dbpool.tool.loadtest.where import server, slots_for
from dbpool.tool.running import DONE, Stop

OPTIONAL: Final = ("queue", "overload", "storm")
"""Stages that may be left out."""
CLIENTS: Final = 4  # for each connection that is recommended, waiting in line


@dataclass(frozen=True, slots=True)
class WholePlan:
    """What the options ask for."""

    sweep: SweepPlan
    skipped: frozenset[str]
    soak_minutes: float | None
    is_dry: bool

    @property
    def seconds(self) -> float:
        """About how long it takes."""
        pace, load = self.sweep.pace, self.sweep.plan.load
        point_s = load.time_s + load.warmup_s + BETWEEN_S
        parts = {
            "queue": pace.queues * point_s,
            "overload": (len(pace.shares) + 1) * (pace.step_s + load.warmup_s + BETWEEN_S) + 5,
            "storm": pace.storm_s * 7 + 5,
        }
        swept_s = pace.expected * point_s + REPEATS * (max(1.0, load.time_s / 2) + load.warmup_s + BETWEEN_S)
        return swept_s + sum(parts[name] for name in OPTIONAL if name not in self.skipped) + self.soak_s

    @property
    def soak_s(self) -> float:
        return 60.0 * (self.soak_minutes or 0.0)


def whole_of(options: Mapping[str, Any]) -> WholePlan:
    """The plan that *options* mean, as click has them by name.

    Raises:
        click.UsageError: they contradict each other.
    """
    swept = sweep_of("run", options)
    return WholePlan(
        sweep=swept,
        skipped=frozenset(options["skip"] if swept.pace.queues else (*options["skip"], "queue")),
        soak_minutes=options["soak"],
        is_dry=options["dry_run"],
    )


async def run(whole: WholePlan, stop: Stop) -> int:
    """Measure, judge, show; return the exit code."""
    if whole.is_dry:
        return await _tell_plan(whole)

    async def work(stand: Stand) -> None:
        within = whole.sweep.sweep_within(stand.limits)
        stand.note("note", "plan", _words(whole, _most(whole, within, stand.limits)))
        async with stage_statements(stand, "calibrate"):
            await calibrate(stand)
        async with stage_statements(stand, "sweep"):
            outcome = await sweep(stand, within, whole.sweep.assumptions)
        await _push(whole, stand, within, outcome)
        judge_run(stand, whole.sweep.plan.judging.thresholds)

    return await conduct(whole.sweep.plan, stop, work, room=whole.sweep.room)


async def _push(whole: WholePlan, stand: Stand, within: Sweep, outcome: Outcome) -> None:
    """What the recommended size does under more load than it was found with."""
    pace, sections = whole.sweep.pace, stand.run.sections
    expected = sections["recommendation"]["expected"]
    wanted = sections["recommendation"]["pool_size"] or max(1, outcome.at_least)
    size = min(wanted, within.effort.cap)  # rounded up for all instances, or for what tasks hold, it may be more
    if size < wanted:
        stand.note("note", "plan", f"{size} connections are loaded, not {wanted}: no more were to be taken")
    if "queue" not in whole.skipped and expected is not None:
        async with stage_statements(stand, "queue"):
            sizes = sizes_around(size, within.effort.cap, pace.queues)
            await queue(stand, sizes=sizes, clients=CLIENTS * size)
    if "overload" not in whole.skipped and not stand.is_stopped:
        if expected is None or outcome.status is Status.GENERATOR_BOUND:
            stand.note("note", "overload", "left out: without a peak there is no telling what is beyond it")
        else:
            async with stage_statements(stand, "overload"):
                await _overload(whole, stand, size, expected)
    if "storm" not in whole.skipped and stand.limits.others and not whole.sweep.plan.force:
        stand.note("note", "storm", "left out: others use this server (--force it if they may suffer)")
    elif "storm" not in whole.skipped and not stand.is_stopped:
        await _storm(whole, stand, size)
    if whole.soak_minutes is not None and not stand.is_stopped:
        if expected is None:
            stand.note("note", "soak", "left out: without a peak there is no telling what it can do for long")
        else:
            async with stage_statements(stand, "soak"):
                rate = NORMAL * expected["tps"]
                sections["soak"] = await soak(stand, size=size, rate=rate, minutes=whole.soak_minutes)


async def _overload(whole: WholePlan, stand: Stand, size: int, expected: Mapping[str, Any]) -> None:
    pace, limit_ms = whole.sweep.pace, whole.sweep.assumptions.latency_limit_ms
    if limit_ms is None:
        limit_ms = usual_limit_ms(expected["service_p99_ms"])
    stand.run.sections["overload"] = await overload(
        stand, size=size, peak_tps=expected["tps"], limit_ms=limit_ms, shares=pace.shares, step_s=pace.step_s
    )


async def _storm(whole: WholePlan, stand: Stand, size: int) -> None:
    pace, plan = whole.sweep.pace, whole.sweep.plan
    try:
        check_room(stand.limits, OURS + size, most=plan.max_connections, is_forced=plan.force)
    except Refused as error:
        stand.note("note", "storm", f"left out: {error}")
        return
    async with stage_statements(stand, "storm"):
        stand.run.sections["storm"] = await storm(
            stand,
            size=size,
            most=plan.max_connections,
            is_forced=plan.force,
            alone_s=pace.storm_s,
            rest_s=pace.storm_s / 2,
            rounds_s=pace.storm_s / 2,
            load_s=pace.storm_s,
        )


async def _tell_plan(whole: WholePlan) -> int:
    """Only look at the server, and say what would be done."""
    url = whole.sweep.plan.url
    if url is None:
        most = whole.sweep.room if "storm" in whole.skipped else slots_for(whole.sweep.room)
        sys.stdout.write(f"on an embedded server: {_words(whole, most)}\n")
        return DONE
    async with server(url) as where:
        most = _most(whole, whole.sweep.sweep_within(where.limits), where.limits)
        sys.stdout.write(f"{_words(whole, most)}\n")
    return DONE


def _most(whole: WholePlan, within: Sweep, limits: Limits) -> int:
    """Connections at the same time at the most, ours all included."""
    swept = 1 + within.effort.cap
    if "storm" in whole.skipped:
        return swept
    plan = whole.sweep.plan
    storm = plan_for(limits, connections=None, most=plan.max_connections, is_forced=plan.force)
    pooled = OURS + within.effort.cap
    if not plan.force:
        pooled = min(pooled, limits.cap if plan.max_connections is None else plan.max_connections)
    return max(swept, pooled, min(storm.most, limits.free))


def _words(whole: WholePlan, most: int) -> str:
    stages = ["calibrate", "sweep", *(name for name in OPTIONAL if name not in whole.skipped)]
    if whole.soak_minutes is not None:
        stages.append("soak")
    minutes = whole.seconds / 60
    return f"{', '.join(stages)}: about {minutes:.0f} min, at most {most} connections at once"
