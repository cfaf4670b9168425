"""The pool size to use, how much it can be trusted, and why."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from math import ceil
from typing import Final

from dbpool.core.loadtest.budget import Fleet, Slots, deadlock_minimum
from dbpool.core.loadtest.curve import Knee
from dbpool.core.loadtest.search import Outcome, Status

REPEATS: Final = 3  # of the knee, for the best grade
NARROW: Final = 0.05  # of the throughput: half of its interval, for the best grade
FAIR: Final = 0.10  # the same for the second best


class Grade(Enum):
    """How much a recommendation can be trusted."""

    A = "A"
    B = "B"
    C = "C"
    NONE = "no recommendation"


class Binding(Enum):
    """What keeps the size from being larger, or smaller."""

    KNEE = "throughput stops growing"
    MEASURED = "the largest size that was measured"
    LATENCY = "the latency limit"
    FLEET = "the slots that each instance can have"
    DEADLOCK = "tasks that hold several connections at once"


@dataclass(frozen=True, slots=True)
class Recommendation:
    """``per_instance`` connections in each pool, ``pool_size`` in all; None without a recommendation.

    ``low`` and ``high`` are of ``pool_size``; a ``high`` of None: nothing larger was ruled out.
    """

    grade: Grade
    reasons: tuple[str, ...]
    pool_size: int | None = None
    per_instance: int | None = None
    low: int | None = None
    high: int | None = None
    binding: Binding | None = None


@dataclass(frozen=True, slots=True)
class Tasks:
    """*at_once* tasks of one instance, each of which holds up to *connections_each* together."""

    at_once: int = 1
    connections_each: int = 1


@dataclass(frozen=True, slots=True)
class Trust:
    """What the grade rests on: how often and how exactly the knee was measured, and *doubts* in words.

    ``off``: half the interval of the throughput at the knee, as a share of it; None if unknown.
    """

    repeats: int = 1
    off: float | None = None
    doubts: Sequence[str] = ()


PLAIN: Final = Tasks()
UNKNOWN: Final = Trust()


def recommend(
    found: Outcome, slots: Slots, fleet: Fleet, *, tasks: Tasks = PLAIN, trust: Trust = UNKNOWN
) -> Recommendation:
    """The smallest of knee, latency bound and what fits; at least what cannot deadlock."""
    room = fleet.share_of(slots)
    obstacle = _obstacle(found, room, fleet, slots)
    if obstacle or found.knee is None:
        return Recommendation(Grade.NONE, (obstacle or found.why,))
    bounds = _bounds(found, found.knee, room, fleet)
    binding = min(bounds, key=lambda each: bounds[each])
    per_instance = max(1, bounds[binding])
    is_all = found.status is Status.LOWER_BOUND and found.is_refused
    still_grew = found.largest is None or found.largest <= found.knee.size
    if is_all and binding is Binding.KNEE and still_grew:
        binding = Binding.FLEET
        reasons = [f"{slots.binding} lets in no more than were measured, and throughput still grew"]
    else:
        reasons = [_reason(binding, found, found.knee, room, fleet, slots)]
        if is_all and binding is Binding.KNEE:
            reasons.append(f"{slots.binding} lets in no more than {found.largest}, which brought no more")
        elif found.status is Status.LOWER_BOUND and binding is Binding.KNEE:
            binding = Binding.MEASURED
    # up to at_least throughput is known to grow: where something else ends before that, the knee need not be known
    is_sure = (
        found.status is Status.BOUNDED
        or is_all
        or (binding not in (Binding.KNEE, Binding.MEASURED) and per_instance * fleet.instances <= found.at_least)
    )
    if not is_sure:
        reasons.append(f"{found.status.value}: {found.why}")
        if found.status is Status.UNRESOLVED:
            return Recommendation(Grade.NONE, tuple(reasons[1:]))
    minimum = deadlock_minimum(tasks.at_once, tasks.connections_each)
    if per_instance < minimum:
        needs = f"{tasks.at_once} tasks that hold {tasks.connections_each} connections each need {minimum}"
        if minimum > room:
            return Recommendation(Grade.NONE, (f"{needs} in each instance, and there is room for {room}",))
        per_instance, binding = minimum, Binding.DEADLOCK
        reasons.append(f"{needs}, or they can wait for each other forever")
    size = per_instance * fleet.instances
    if binding is Binding.LATENCY and size > bounds[binding] * fleet.instances:
        reasons.append("each instance needs at least one connection, so all together exceed that limit")
    ends = [bounds[each] * fleet.instances for each in bounds if each is not Binding.KNEE]
    if found.knee.high is not None:
        ends.append(found.knee.high)
    return Recommendation(
        grade=_grade(trust, is_sure=is_sure),
        reasons=(*reasons, *_doubts(trust)),
        pool_size=size,
        per_instance=per_instance,
        low=min(found.knee.low, size),
        high=max(size, min(ends)) if is_sure else None,
        binding=binding,
    )


def _obstacle(found: Outcome, room: int, fleet: Fleet, slots: Slots) -> str | None:
    if found.status in (Status.GENERATOR_BOUND, Status.DRIFTING):
        return f"{found.status.value}: {found.why}"
    if room < 1:
        many = f"{fleet.instances} instances" if fleet.instances > 1 else "one instance"
        surge = f", {fleet.surge:g} times as many during a deployment" if fleet.surge > 1 else ""
        return f"{slots.free} free slots less {fleet.reserve} in reserve are not enough for {many}{surge}"
    if found.latency_size == 0:
        return f"even one connection takes more than {found.latency_limit_ms:.3g} ms at p99"
    return None


def _bounds(found: Outcome, knee: Knee, room: int, fleet: Fleet) -> dict[Binding, int]:
    """Each bound for one instance. A knee is rounded up: a little above it costs less than a little below."""
    bounds = {Binding.KNEE: ceil(knee.size / fleet.instances), Binding.FLEET: room}
    if found.latency_size is not None:
        bounds[Binding.LATENCY] = found.latency_size // fleet.instances
    return bounds


def _reason(binding: Binding, found: Outcome, knee: Knee, room: int, fleet: Fleet, slots: Slots) -> str:
    match binding:
        case Binding.LATENCY:
            return f"above {found.latency_size} connections service p99 exceeds {found.latency_limit_ms:.3g} ms"
        case Binding.FLEET:
            surge = f" (times {fleet.surge:g} during a deployment)" if fleet.surge > 1 else ""
            fit = f"{fleet.instances} x {room} connections{surge} are all that {slots.binding} has room for"
            return f"{fit}; more would bring more throughput"
        case _:
            share = min(1.0, knee.tps / knee.peak_tps)  # the peak is a mean of all that could be as good
            return f"{knee.size} connections give {share:.0%} of the peak, {knee.peak_tps:,.0f}/s"


def _grade(trust: Trust, *, is_sure: bool) -> Grade:
    if not is_sure or trust.off is None or trust.off >= FAIR:
        return Grade.C
    if trust.off >= NARROW or trust.repeats < REPEATS:
        return Grade.C if trust.doubts else Grade.B
    return Grade.B if trust.doubts else Grade.A


def _doubts(trust: Trust) -> list[str]:
    told = list(trust.doubts)
    if trust.repeats < REPEATS:
        times = "once" if trust.repeats == 1 else f"{trust.repeats} times"
        told.append(f"measured {times}; three repeats would show how much runs differ")
    if trust.off is None:
        told.append("how exactly the throughput is known could not be told")
    elif trust.off >= NARROW:
        told.append(f"the throughput is known to {trust.off:.0%} only")
    return told
