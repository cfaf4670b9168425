"""``dbpool loadtest sweep``: throughput against the size of the pool, and where it stops growing."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from dbpool.core.loadtest.sizes import LARGEST, Sizes
from dbpool.errors import SettingsError
from dbpool.loadtest.assumptions import ASSUMED, Assumptions
from dbpool.loadtest.judging import judge_run
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.safety import Refused, check_room
from dbpool.loadtest.stages.calibrate import calibrate
from dbpool.loadtest.stages.stand import Stand
from dbpool.loadtest.stages.sweep import Sweep, sweep
from dbpool.tool.loadtest.plan import Plan, load_of, plan_of
from dbpool.tool.loadtest.presets import PACES, Pace, Preset
from dbpool.tool.loadtest.session import conduct
from dbpool.tool.running import Stop

SCRIPT = "range-sum"


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What the options ask for, beside what they ask of every command."""

    plan: Plan
    pace: Pace
    assumptions: Assumptions
    sizes: Sizes | None
    repeat: int | None
    is_shuffled: bool
    most_workers: int

    def sweep_within(self, limits: Limits) -> Sweep:
        """What to measure on a server with such *limits*.

        Raises:
            Refused: more connections than may be taken were asked for, or there is not one.
        """
        effort = self.pace.effort
        allowed = (limits.cap if self.plan.max_connections is None else self.plan.max_connections) - 1
        asked = 1 if self.sizes is None else self.sizes.most
        check_room(limits, asked + 1, most=self.plan.max_connections, is_forced=self.plan.force)
        most = effort.cap if self.sizes is None else self.sizes.most
        # the lifeline has one; what a pooler lets in, is not known here
        room = LARGEST if limits.is_pooled else limits.free - 1
        cap = min(most, room) if self.plan.force else min(most, room, allowed)
        if cap < 1:
            raise Refused(f"there is no connection left to load with: {limits.slots.binding}")
        return Sweep(
            effort=replace(effort, cap=cap, repeats=self.repeat or effort.repeats),
            is_servers=cap == room,
            sizes=() if self.sizes is None else self.sizes.listed,
            is_shuffled=self.is_shuffled,
            most_workers=self.most_workers,
        )

    @property
    def room(self) -> int:
        """Connections that an embedded server needs: the sweep's, the lifeline, and a few of a storm's."""
        return 4 + (self.pace.effort.cap if self.sizes is None else self.sizes.most)


def sweep_of(command: str, options: Mapping[str, Any]) -> SweepPlan:
    """The plan that *options* mean, as click has them by name.

    Raises:
        click.UsageError: they contradict each other.
    """
    preset = Preset(options["preset"])
    pace = PACES[preset]
    times = {name: getattr(pace, name) if options[name] is None else options[name] for name in ("time_s", "warmup_s")}
    # without -j it begins with one process, and takes more only where that one is what limits
    most_workers = options["workers"] or max(1, (os.cpu_count() or 1) // 2)
    try:
        assumptions = Assumptions(
            driver=options["driver"],
            workers=most_workers,
            latency_limit_ms=options["latency_limit"],
            **{name: options[name] for name in ASSUMED},
        )
        _ = assumptions.fleet
    except SettingsError as error:
        raise click.UsageError(str(error)) from None
    plan = plan_of(
        command,
        {**options, **times, "workers": 1},
        drivers=[options["driver"]],
        load=load_of({**options, **times}),
        script=SCRIPT,
        settings=assumptions.as_json(),
        preset=preset.value,
    )
    return SweepPlan(
        plan=plan,
        pace=pace,
        assumptions=assumptions,
        sizes=options["pool_size"],
        repeat=options["repeat"],
        is_shuffled=options["order"] == "random",
        most_workers=most_workers,
    )


async def run(asked: SweepPlan, stop: Stop) -> int:
    """Measure; print; return the exit code."""

    async def work(stand: Stand) -> None:
        within = asked.sweep_within(stand.limits)
        await calibrate(stand)
        await sweep(stand, within, asked.assumptions)
        judge_run(stand, asked.plan.judging.thresholds)

    return await conduct(asked.plan, stop, work, room=asked.room)
