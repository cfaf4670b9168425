"""``dbpool loadtest bench``: fixed points, one for each driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import click

from dbpool.core.loadtest.thresholds import judge
from dbpool.core.stages import Stage, line_of
from dbpool.errors import DbPoolError
from dbpool.loadtest.load import DriverName, Load, Target
from dbpool.loadtest.metrics import measured
from dbpool.loadtest.pgbench.command import check
from dbpool.loadtest.point import Point
from dbpool.loadtest.server.safety import check_room
from dbpool.loadtest.stages.stand import Stand
from dbpool.tool.loadtest.plan import Plan, load_of, plan_of
from dbpool.tool.loadtest.session import conduct
from dbpool.tool.running import Stop

SCRIPT = "select-only"


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What the options ask for, beside what they ask of every command."""

    plan: Plan
    pool_size: int
    gate: int | None
    repeat: int
    order: str

    def load_of(self, driver: DriverName) -> Load:
        """The load by *driver*."""
        return self.plan.load.by(driver, self.pool_size)

    @property
    def turns(self) -> list[tuple[int, DriverName]]:
        """Who is measured when: each round has every driver once, so that all meet the same server."""
        random = Random(self.plan.workload.seed)
        turns = []
        for number in range(self.repeat):
            drivers = list(self.plan.drivers)
            if self.order == "random":
                random.shuffle(drivers)
            turns += [(number, driver) for driver in drivers]
        return turns

    @property
    def most_connections(self) -> int:
        """Connections that the load takes at the same time at the most, the lifeline included."""
        by_driver = {
            DriverName.NOOP: 0,
            DriverName.ASYNCPG_CONNECT: self.load_of(DriverName.ASYNCPG_CONNECT).most_clients,
        }
        return 1 + max(by_driver.get(driver, self.pool_size) for driver in self.plan.drivers)


def bench_of(options: Mapping[str, Any]) -> BenchPlan:
    """The plan that *options* mean, as click has them by name.

    Raises:
        click.UsageError: they contradict each other.
    """
    load = _shaped(options)
    plan = plan_of("bench", options, drivers=options["drivers"], load=load, script=SCRIPT)
    pool_size = options["pool_size"] or (10 if load.is_open else load.clients)
    if DriverName.PGBENCH in plan.drivers:
        try:
            check(Target("", DriverName.PGBENCH, pool_size), load, plan.workload)
        except DbPoolError as error:
            raise click.UsageError(str(error)) from None
    return BenchPlan(
        plan=plan,
        pool_size=pool_size,
        gate=options["gate"],
        repeat=options["repeat"],
        order=options["order"],
    )


def _shaped(options: Mapping[str, Any]) -> Load:
    """The load, with its arrivals if it is open, or its clients."""
    rate, stages = options["rate"], options["stages"]
    if rate is not None and stages is not None:
        raise click.UsageError("--rate and --stages both say when transactions are due: give one of them")
    load = replace(load_of(options), clients=options["clients"])
    if options["closed"]:
        return _of_clients(load, stages)
    try:
        shape: tuple[Stage, ...] = tuple(stages or ([line_of(rate, load.time_s)] if rate is not None else []))
    except DbPoolError as error:
        raise click.UsageError(str(error)) from None
    if shape and not sum(stage.area for stage in shape):
        raise click.UsageError("at that rate nothing is ever due: it must be above 0")
    time_s = load.time_s if stages is None else sum(stage.duration_s for stage in stages)
    return replace(load, stages=shape, time_s=time_s)


def _of_clients(load: Load, stages: list[Stage] | None) -> Load:
    if stages is None:
        raise click.UsageError("--closed says that --stages are clients: give it --stages")
    most = max(level for stage in stages for level in (stage.start, stage.end))
    if not (clients := int(most + 0.5)):
        raise click.UsageError("with those stages there is never a client: their number must be above 0")
    time_s = sum(stage.duration_s for stage in stages)
    return replace(load, client_stages=tuple(stages), clients=clients, time_s=time_s)


async def run(bench: BenchPlan, stop: Stop) -> int:
    """Measure; print; return the exit code."""

    async def measure(stand: Stand) -> None:
        plan = bench.plan
        check_room(stand.limits, bench.most_connections, most=plan.max_connections, is_forced=plan.force)
        await stand.calibrate()
        for number, driver in bench.turns:
            if stand.is_stopped:
                return
            await _measure(bench, stand, driver, number)

    return await conduct(bench.plan, stop, measure, room=bench.most_connections)


async def _measure(bench: BenchPlan, stand: Stand, driver: DriverName, number: int) -> None:
    gate = bench.gate if driver is DriverName.DBPOOL else None
    target: Target = stand.target(bench.pool_size, driver=driver, gate=gate)
    done = await stand.measure("bench", target, bench.load_of(driver), repeat=number)
    thresholds = bench.plan.judging.thresholds
    stand.run.judgements += [(judge(each, measured(done.point)), done.json["id"]) for each in thresholds]
    for code, text in _warnings(done.point):
        stand.run.warn(code, text)


def _warnings(point: Point) -> list[tuple[str, str]]:
    """What to know of a point before its figures are used."""
    driver = point.target.driver.value
    found = [("generator_bound", f"{driver}: {reason}") for reason in point.bound_by_generator]
    if "unsteady" in point.flags:
        found.append(("unsteady", f"{driver}: throughput had not settled in half of the time: give it more --warmup"))
    if "suspect" in point.flags:
        found.append(("suspect", f"{driver}: clients, throughput and response time do not fit together"))
    if point.samples and point.samples[-1].ours is None:
        found.append(("server_unseen", f"{driver}: what the server did could not be seen"))
    return found
