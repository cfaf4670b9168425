"""``dbpool loadtest bench``: one fixed point for each driver."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, replace

import click

from dbpool.core.arrivals import Arrival
from dbpool.core.loadtest.thresholds import Threshold, judge
from dbpool.core.stages import Stage, line_of
from dbpool.errors import DbPoolError
from dbpool.faults import one_line
from dbpool.loadtest.document import Run
from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload
from dbpool.loadtest.measuring import Measuring
from dbpool.loadtest.metrics import measured
from dbpool.loadtest.point import Point
from dbpool.loadtest.recording.tally import Outcome
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, application_name, ensure_gone
from dbpool.loadtest.server.safety import Refused, check_room
from dbpool.loadtest.server.tables import SCHEMA, make_tables, scale_of
from dbpool.tool.loadtest.results import print_points
from dbpool.tool.loadtest.screen import Progress
from dbpool.tool.loadtest.where import Where, refused, server
from dbpool.tool.loadtest.workload import builtin_part, check_mix
from dbpool.tool.running import DONE, FAILED, INTERRUPTED, Stop

MISSED = 3
"""The exit code where a threshold was not met."""


class NoTables(DbPoolError):
    """A builtin script has no tables to run on."""


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """What the options ask for."""

    url: str | None
    drivers: tuple[DriverName, ...]
    load: Load
    workload: Workload
    pool_size: int
    gate: int | None
    workers: int
    max_connections: int | None
    force: bool
    progress: int
    as_json: bool
    thresholds: tuple[Threshold, ...]
    needs_tables: bool

    def load_of(self, driver: DriverName) -> Load:
        """The load by *driver*: one that connects for each transaction has no pool that would bound its connections."""
        if driver is DriverName.ASYNCPG_CONNECT and self.load.is_open:
            return replace(self.load, max_in_flight=min(self.load.max_in_flight, self.pool_size))
        return self.load

    @property
    def most_connections(self) -> int:
        """Connections that the load takes at the same time at the most, the lifeline included."""
        by_driver = {
            DriverName.NOOP: 0,
            DriverName.ASYNCPG_CONNECT: self.load_of(DriverName.ASYNCPG_CONNECT).most_clients,
        }
        return 1 + max(by_driver.get(driver, self.pool_size) for driver in self.drivers)


def plan_of(
    *,
    url: str | None,
    drivers: tuple[str, ...],
    clients: int,
    rate: str | None,
    stages: list[Stage] | None,
    arrival: str,
    time_s: float,
    warmup_s: float,
    latency_limit: float | None,
    timeout: float,
    pool_size: int | None,
    gate: int | None,
    max_inflight: int,
    builtins: tuple[Part, ...],
    files: tuple[Part, ...],
    defined: tuple[tuple[str, str], ...],
    protocol: str,
    scale: int,
    workers: int,
    seed: int,
    thresholds: tuple[Threshold, ...],
    max_connections: int | None,
    force: bool,
    progress: int,
    as_json: bool,
) -> BenchPlan:
    """The plan that the options mean.

    Raises:
        click.UsageError: they contradict each other.
    """
    if rate is not None and stages is not None:
        raise click.UsageError("--rate and --stages both say when transactions are due: give one of them")
    parts = (*builtins, *files) or (builtin_part("select-only"),)
    try:
        check_mix(parts)
        shape = tuple(stages or ([line_of(rate, time_s)] if rate is not None else []))
    except DbPoolError as error:
        raise click.UsageError(str(error)) from None
    if shape and not sum(stage.area for stage in shape):
        raise click.UsageError("at that rate nothing is ever due: it must be above 0")
    if stages is not None:
        time_s = sum(stage.duration_s for stage in stages)
    load = Load(
        clients=clients,
        stages=shape,
        arrival=Arrival(arrival),
        warmup_s=warmup_s,
        time_s=time_s,
        timeout_s=timeout / 1000,
        limit_s=None if latency_limit is None else latency_limit / 1000,
        max_in_flight=max_inflight,
    )
    return BenchPlan(
        url=url,
        drivers=tuple(map(DriverName, dict.fromkeys(drivers))),
        load=load,
        workload=Workload(parts, QueryMode(protocol), scale, seed, dict(defined)),
        pool_size=pool_size or (10 if load.is_open else clients),
        gate=gate,
        workers=workers,
        max_connections=max_connections,
        force=force,
        progress=progress,
        as_json=as_json,
        thresholds=thresholds,
        needs_tables=any(part.script is not None and f"{SCHEMA}." in part.script for part in parts),
    )


async def run(plan: BenchPlan, stop: Stop) -> int:
    """Measure; print; return the exit code."""
    async with server(plan.url, room=plan.most_connections) as where:
        try:
            check_room(where.limits, plan.most_connections, most=plan.max_connections, is_forced=plan.force)
        except Refused as error:
            return refused("bench", error)
        workload = await _with_tables(plan, where)
        measuring = Measuring(workload, plan.workers, lifeline=where.lifeline, is_local=where.limits.is_local)
        # a signal cancels this future, and with it what is measured; what there is by then is printed
        told: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        told.add_done_callback(lambda _: measuring.stop())
        stop.cancels(told)
        if stop.is_asked:  # by a signal that came before
            told.cancel()
        done = Run(
            run_id=where.run_id,
            argv=["dbpool", *sys.argv[1:]],
            stage="bench",
            workload=workload,
            limits=where.limits,
            is_embedded=where.is_embedded,
        )
        await _measure_all(plan, where, measuring, done)
        done.warnings += await _look_behind(where)
    return _tell(plan, done, is_stopped=stop.is_asked)


async def _with_tables(plan: BenchPlan, where: Where) -> Workload:
    """The workload with the scale that the tables have; on an embedded server they are made.

    Raises:
        NoTables: there are none.
    """
    if not plan.needs_tables or plan.drivers == (DriverName.NOOP,):
        return plan.workload
    if where.is_embedded:
        await make_tables(where.lifeline, plan.workload.scale)
        return plan.workload
    scale = await scale_of(where.lifeline)
    if scale is None:
        raise NoTables(
            f"the builtin scripts need the tables in schema {SCHEMA}, which are not there: make them with 'dbpool "
            f"loadtest init', or run a script of your own with -f"
        )
    return replace(plan.workload, scale=scale)


async def _measure_all(plan: BenchPlan, where: Where, measuring: Measuring, done: Run) -> None:
    progress = Progress(0 if plan.as_json and not sys.stderr.isatty() else plan.progress)
    progress.say(f"PostgreSQL {where.limits.version}{', embedded' if where.is_embedded else ''}; calibrating")
    done.ceiling_tps = await measuring.calibrate()
    for driver in plan.drivers:
        if measuring.is_stopped:
            break
        load = plan.load_of(driver)
        name = application_name(where.run_id, "load")
        gate = plan.gate if driver is DriverName.DBPOOL else None
        target = Target(where.dsn, driver, plan.pool_size, gate, name)
        progress.begin(driver.value, load)
        point = await measuring.measure(target, load, progress.tick)
        done.points.append(point)
        done.judgements += [judge(threshold, measured(point)) for threshold in plan.thresholds]
        done.warnings += _warnings(point)


async def _look_behind(where: Where) -> list[tuple[str, str]]:
    """Whether every session has left; the server takes a moment to notice that a client is gone."""
    if where.limits.is_pooled:  # the pooler keeps what it has opened
        return []
    try:
        if await ensure_gone(where.lifeline, application_name(where.run_id, "load")):
            return []
    except CONNECT_ERRORS as error:
        return [("lifeline_lost", f"the connection that looks at the server was lost: {one_line(error)}")]
    return [("sessions_left", "some of its sessions had not left after 5 s: see pg_stat_activity")]


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


def _tell(plan: BenchPlan, done: Run, *, is_stopped: bool) -> int:
    went_well = all(point.total.counts[Outcome.OK] for point in done.points)
    if is_stopped:
        status, code = "interrupted", INTERRUPTED
    elif not done.points or not went_well:
        status, code = "failed", FAILED
    else:
        status, code = "complete", DONE if all(each.is_met for each in done.judgements) else MISSED
    if plan.as_json:
        sys.stdout.write(json.dumps(done.as_json(status=status, exit_code=code)) + "\n")
    else:
        print_points(done)
    if status == "failed":
        sys.stderr.write("dbpool loadtest bench: no transaction went well\n")
    return code
