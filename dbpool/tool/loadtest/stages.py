"""``dbpool loadtest overload``, ``storm``, ``soak`` and ``fleet``: one stage of a run alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from dbpool.core.loadtest.budget import Fleet
from dbpool.core.loadtest.overloadplan import NORMAL, usual_limit_ms
from dbpool.core.loadtest.stormplan import OURS
from dbpool.core.loadtest.thresholds import judge
from dbpool.errors import DbPoolError
from dbpool.loadtest.judging import judge_run
from dbpool.loadtest.metrics import measured
from dbpool.loadtest.server.safety import check_alone, check_reach, check_room
from dbpool.loadtest.stages.fleet import fleet
from dbpool.loadtest.stages.observing import stage_statements
from dbpool.loadtest.stages.overload import overload
from dbpool.loadtest.stages.peak import Peak, peak
from dbpool.loadtest.stages.soak import soak
from dbpool.loadtest.stages.stand import Stand
from dbpool.loadtest.stages.storm import storm
from dbpool.tool.loadtest.plan import Plan, load_of, plan_of
from dbpool.tool.loadtest.session import conduct
from dbpool.tool.running import Stop

SCRIPT: Final = "select-only"


class NoPeak(DbPoolError):
    """A pool did nothing of which shares could be offered."""


@dataclass(frozen=True, slots=True)
class StagePlan:
    """What the options ask for, beside what they ask of every command; what a stage has no option for is None."""

    plan: Plan
    pool_size: int
    peak_tps: float | None = None
    connections: int | None = None
    minutes: float | None = None
    instances: int | None = None
    surge: float | None = None

    @property
    def room(self) -> int:
        """Connections that an embedded server needs."""
        pools = Fleet(self.instances or 1, self.surge or 1.0).most
        return OURS + max(pools * self.pool_size, self.connections or 0)

    def check(self, stand: Stand, connections: int) -> None:
        """Raises: Refused: it may not take so many."""
        check_room(stand.limits, connections, most=self.plan.max_connections, is_forced=self.plan.force)


Section: TypeAlias = Callable[[StagePlan, Stand], Awaitable[dict[str, Any] | None]]


def stage_of(command: str, options: Mapping[str, Any]) -> StagePlan:
    """The plan that *options* mean, as click has them by name.

    Raises:
        click.UsageError: they contradict each other.
    """
    plan = plan_of(command, options, drivers=[options["driver"]], load=load_of(options), script=SCRIPT)
    own = ("pool_size", "peak_tps", "connections", "minutes", "instances", "surge")
    return StagePlan(plan, **{name: options[name] for name in own if name in options})


async def run(asked: StagePlan, stop: Stop) -> int:
    """Do the stage; show what came of it; return the exit code."""
    command = asked.plan.command

    async def work(stand: Stand) -> None:
        async with stage_statements(stand, command):
            stand.run.sections[command] = await _SECTIONS[command](asked, stand)
        _judge(asked, stand)

    return await conduct(asked.plan, stop, work, room=asked.room)


def _judge(asked: StagePlan, stand: Stand) -> None:
    """Thresholds of durations and rates are those of a soak's load; of other stages only what each is about."""
    thresholds = asked.plan.judging.thresholds
    if asked.plan.command != "soak" or not stand.measured:
        judge_run(stand, thresholds)
        return
    last = stand.measured[-1]
    stand.run.judgements += [(judge(each, measured(last.point)), last.json["id"]) for each in thresholds]


async def _peak(asked: StagePlan, stand: Stand) -> Peak | None:
    """What was asked for, or is measured; None: it was stopped before that.

    Raises: NoPeak.
    """
    await stand.calibrate()
    if asked.peak_tps is not None:
        return Peak(asked.peak_tps, None)
    found = await peak(stand, asked.pool_size)
    if found is None and not stand.is_stopped:
        raise NoPeak(f"a pool of {asked.pool_size} got no transaction done: there is no peak to start from")
    return found


async def _overload(asked: StagePlan, stand: Stand) -> dict[str, Any] | None:
    asked.check(stand, 1 + asked.pool_size)
    if (found := await _peak(asked, stand)) is None:
        return None
    limit_s = stand.load.limit_s
    limit_ms = usual_limit_ms(found.service_p99_ms) if limit_s is None else limit_s * 1000
    return await overload(stand, size=asked.pool_size, peak_tps=found.tps, limit_ms=limit_ms)


async def _soak(asked: StagePlan, stand: Stand) -> dict[str, Any] | None:
    asked.check(stand, 1 + asked.pool_size)
    assert asked.minutes is not None
    if (found := await _peak(asked, stand)) is None:
        return None
    return await soak(stand, size=asked.pool_size, rate=NORMAL * found.tps, minutes=asked.minutes)


async def _storm(asked: StagePlan, stand: Stand) -> dict[str, Any] | None:
    most, is_forced = asked.plan.max_connections, asked.plan.force
    check_alone(stand.limits, "a storm is felt by all", is_forced=is_forced)
    asked.check(stand, OURS + asked.pool_size)
    if asked.connections is not None:
        what = f"a storm of {asked.connections} connections"
        check_reach(stand.limits, OURS + asked.connections, what, most=most, is_forced=is_forced)
    return await storm(stand, size=asked.pool_size, connections=asked.connections, most=most, is_forced=is_forced)


async def _fleet(asked: StagePlan, stand: Stand) -> dict[str, Any] | None:
    assert asked.instances is not None
    assert asked.surge is not None
    return await fleet(
        stand,
        size_per_process=asked.pool_size,
        instances=asked.instances,
        surge=asked.surge,
        most=asked.plan.max_connections,
        is_forced=asked.plan.force,
    )


_SECTIONS: Final[Mapping[str, Section]] = {"overload": _overload, "storm": _storm, "soak": _soak, "fleet": _fleet}
