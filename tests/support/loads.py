"""Loads of a few seconds on a real server."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dbpool.core.stages import Stage
from dbpool.loadtest.load import DriverName, Load, Part, Target, Workload, shares_of
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.workers.fleet import Fleet, Loaded

SHORT = Load(clients=4, warmup_s=0.2, time_s=0.8, timeout_s=10.0)


def script(text: str, mode: QueryMode = QueryMode.PREPARED) -> Workload:
    return Workload((Part("test", script=text),), mode)


def at_rate(per_s: float, load: Load = SHORT) -> Load:
    """*load* with so many arrivals a second."""
    return replace(load, stages=(Stage(load.time_s, per_s, per_s),))


async def loaded(
    dsn: str,
    workload: Workload,
    load: Load = SHORT,
    *,
    driver: DriverName = DriverName.DBPOOL,
    connections: int = 4,
    gate: int | None = None,
    min_connections: int | None = None,
    workers: int = 1,
    seen: Sequence[int] | None = None,
) -> Loaded:
    """What a load brought; *seen* gets the workers' process ids."""
    target = Target(dsn, driver, connections, gate, min_connections=min_connections)
    async with Fleet(shares_of(target, load, workload, workers)) as fleet:
        if isinstance(seen, list):
            seen += fleet.pids
        return await fleet.run(load.warmup_s, load.time_s)
