"""What the options of a command that loads a server ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import click

from dbpool.core.arrivals import Arrival
from dbpool.core.loadtest.thresholds import Threshold
from dbpool.errors import DbPoolError
from dbpool.loadtest.load import DriverName, Load, Part, Workload
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server.connecting import Session
from dbpool.loadtest.server.tables import SCHEMA, make_tables, scale_of
from dbpool.loadtest.server.watch import Watch
from dbpool.tool.loadtest.values import WebAddress
from dbpool.tool.loadtest.workload import builtin_part, check_mix


class NoTables(DbPoolError):
    """A builtin script has no tables to run on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs:
    """Where what is measured goes, besides the terminal."""

    as_json: bool = False
    progress: int = 1
    folder: Path | None = None
    html: Path | None = None
    timeseries: Path | None = None
    web: WebAddress | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What the run must meet."""

    thresholds: tuple[Threshold, ...] = ()
    baseline: Path | None = None
    max_regression: float = 0.05
    is_strict: bool = False
    is_aborting: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What all commands that load a server are told.

    Args:
        load: what points have in common.
        settings: of the analysis, as the document has them; None: nothing is analysed.
    """

    command: str
    url: str | None
    drivers: tuple[DriverName, ...]
    workload: Workload
    load: Load
    workers: int
    max_connections: int | None
    force: bool
    outputs: Outputs
    judging: Judging
    watch: Watch = field(default_factory=Watch)
    preset: str | None = None
    settings: Mapping[str, Any] | None = None

    @property
    def needs_tables(self) -> bool:
        is_ours = any(part.script is not None and f"{SCHEMA}." in part.script for part in self.workload.parts)
        return is_ours and self.drivers != (DriverName.NOOP,)


def load_of(options: Mapping[str, Any]) -> Load:
    """The times of ``-T --warmup -L --timeout`` (which have values by now), the arrivals, the tries."""
    limit_ms = options["latency_limit"]
    return Load(
        arrival=Arrival(options.get("arrival", "poisson")),
        warmup_s=options["warmup_s"],
        time_s=options["time_s"],
        timeout_s=options["timeout"] / 1000,
        limit_s=None if limit_ms is None else limit_ms / 1000,
        max_in_flight=options.get("max_inflight", Load().max_in_flight),
        max_tries=options["max_tries"],
    )


def plan_of(
    command: str,
    options: Mapping[str, Any],
    *,
    drivers: Sequence[str],
    load: Load,
    script: str,
    settings: Mapping[str, Any] | None = None,
    preset: str | None = None,
) -> Plan:
    """The plan that *options* mean, as click has them by name; *script* is the builtin one by default.

    Raises:
        click.UsageError: they contradict each other.
    """
    parts: tuple[Part, ...] = (*options["builtins"], *options["files"]) or (builtin_part(script),)
    try:
        check_mix(parts)
    except DbPoolError as error:
        raise click.UsageError(str(error)) from None
    return Plan(
        command=command,
        url=options["url"],
        drivers=tuple(map(DriverName, dict.fromkeys(drivers))),
        workload=Workload(
            parts, QueryMode(options["protocol"]), options["scale"], options["seed"], dict(options["defined"])
        ),
        load=load,
        workers=options["workers"],
        max_connections=options["max_connections"],
        force=options["force"],
        outputs=Outputs(
            **{name: options[name] for name in ("as_json", "progress", "folder", "html", "timeseries", "web")}
        ),
        judging=Judging(
            thresholds=options["thresholds"],
            baseline=options["baseline"],
            max_regression=options["max_regression"],
            is_aborting=options["threshold_abort"],
            is_strict=options.get("strict", False),
        ),
        watch=Watch(**{name: options[name] for name in ("interval_s", "pgbouncer_admin", "server_cmd")}),
        preset=preset,
        settings=settings,
    )


async def with_tables(plan: Plan, lifeline: Session, *, is_embedded: bool) -> Workload:
    """The workload with the scale that the tables have; on an embedded server they are made.

    Raises:
        NoTables: there are none.
    """
    if not plan.needs_tables:
        return plan.workload
    if is_embedded:
        await make_tables(lifeline, plan.workload.scale)
        return plan.workload
    scale = await scale_of(lifeline)
    if scale is None:
        raise NoTables(
            f"the builtin scripts need the tables in schema {SCHEMA}, which are not there: make them with 'dbpool "
            f"loadtest init', or run a script of your own with -f"
        )
    return replace(plan.workload, scale=scale)
