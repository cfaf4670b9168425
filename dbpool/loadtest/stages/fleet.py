"""Fleet: several instances of an application, each with a pool; more of them while a new version replaces the old."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from dbpool.core.loadtest.budget import Fleet
from dbpool.core.loadtest.fairness import jains_index
from dbpool.loadtest.load import POOLS, DriverName
from dbpool.loadtest.point import NS_PER_MS
from dbpool.loadtest.recording.tally import Series
from dbpool.loadtest.server.safety import check_reach
from dbpool.loadtest.stages.refusals import refusals_of
from dbpool.loadtest.stages.stand import Measured, Stand
from dbpool.wording import counted

WAIT_S: Final = 10.0  # of a process that gets no connection, for one: beyond the end of the others, who free theirs


async def fleet(
    stand: Stand,
    *,
    size_per_process: int,
    instances: int,
    surge: float = 1.0,
    time_s: float | None = None,
    most: int | None = None,
    is_forced: bool = False,
) -> dict[str, Any]:
    """Load the server from *instances* processes, each with a pool of *size_per_process* and as many clients.

    Then from *surge* times as many, as during a deployment. Pools begin without a connection; a process that is refused
    one counts that, and goes on with what it has. Where the stand's driver has no pool, they are DatabasePools.

    Args:
        time_s: of each of the two; None: as long as the stand's load.
        most: connections to take at the most; None: the limits' cap, or more where nobody else is there.
        is_forced: others may be refused.
    Returns: the section ``fleet`` of the document. ``connections`` are those that the pools may have together;
        ``fairness`` is Jain's index of what the processes got done: 1 if all did the same, 1 / n if one did everything.
    Raises:
        Refused: it would leave no connection to others.
        SettingsError: there is no instance, or a surge below 1.
        WorkerFailed: a process ended.
    Cancelling: ends the processes, with their connections.
    """
    counts = sorted({instances, Fleet(instances, surge).most})
    what = f"{counted(counts[-1], 'pool')} of {size_per_process}"
    connections = 1 + counts[-1] * size_per_process
    check_reach(stand.limits, connections, f"a fleet of {what}", most=most, is_forced=is_forced)
    seconds = len(counts) * (stand.load.warmup_s + (stand.load.time_s if time_s is None else time_s))
    stand.begin("fleet", f"up to {what}", points=len(counts), seconds=seconds)
    steps = []
    for processes in counts:
        if stand.is_stopped:
            break
        done = await _measure(stand, processes, size_per_process, time_s)
        steps.append(_step_json(processes, size_per_process, done))
        if refusals := refusals_of(done.point):
            named = ", ".join(f"{count:,} x {label}" for label, count in refusals.most_common())
            stand.note("refused", "fleet", f"{processes} processes were refused connections: {named}")
    return {"steps": steps}


async def _measure(stand: Stand, processes: int, size: int, time_s: float | None) -> Measured:
    driver = stand.driver if stand.driver in POOLS else DriverName.DBPOOL
    target = replace(stand.target(processes * size, driver=driver), min_connections=0)
    load = replace(
        stand.load,
        clients=processes * size,
        stages=(),
        time_s=stand.load.time_s if time_s is None else time_s,
        timeout_s=min(stand.load.timeout_s, WAIT_S),
    )
    return await stand.measure("fleet", target, load, workers=processes)


def _step_json(processes: int, size: int, done: Measured) -> dict[str, Any]:
    point = done.point
    p99 = point.durations(Series.RESPONSE).quantile(0.99)
    return {
        "processes": processes,
        "per_process": size,
        "connections": processes * size,
        "tps": None if point.tps is None else point.tps.value,
        "response_p99_ms": None if p99 is None else p99 / NS_PER_MS,
        "fairness": jains_index([float(health.done) for health in point.healths]),
        "refusals": dict(refusals_of(point).most_common()),
        "point": done.json["id"],
    }
