"""How a pool gets its connections while everybody wants one: at its start, and after it lost all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import Final, TypeAlias

from dbpool.core.loadtest.recovery import level_from
from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.load import Load, Target
from dbpool.loadtest.point import NS_PER_S, Point
from dbpool.loadtest.recording.tally import TENTHS
from dbpool.loadtest.server.census import Census
from dbpool.loadtest.stages.stand import Measured, Stand

LOOK_EVERY_S: Final = 0.05
AS_BEFORE: Final = 0.9  # of the throughput: within its usual ups and downs
HOLD: Final = 5  # tenths of a second for which it must stand there, on average
LOST_AFTER: Final = 1 / 3  # of the window: before is what it is compared with


OnLook: TypeAlias = Callable[[int, int], Awaitable[None]]


@dataclass(slots=True)
class Refill:
    """What a pool of *size* did under load, from *begin_ns* on, monotonic, when it had no connection.

    Args:
        open_s: from there until all were open; None: they never were, *most_open* were.
        throughput_s: until the throughput was at 90 % of what it was otherwise, to stay; None: it never was.
        lost: sessions that were ended.
    """

    size: int
    begin_ns: int
    done: Measured
    open_s: float | None
    most_open: int
    throughput_s: float | None
    lost: int = 0


async def cold(stand: Stand, census: Census, target: Target, load: Load) -> Refill:
    """Load a pool that has no connection yet, with a client for each that it may have."""
    looks: list[tuple[int, int]] = []

    async def look(at_ns: int, sessions: int) -> None:
        looks.append((at_ns, sessions))

    load = replace(load, clients=target.connections, stages=(), warmup_s=0.0)
    done = await _watched(stand, census, replace(target, min_connections=0), load, look)
    begin_ns, tenths = done.point.anchor_ns, done.point.per_tenth
    steady = tenths[len(tenths) // 2 :]
    back = level_from(tenths, AS_BEFORE * fmean(steady), HOLD) if steady else None
    open_s, most_open = _opened(looks, begin_ns, target.connections)
    return Refill(target.connections, begin_ns, done, open_s, most_open, _seconds(back))


async def kill(stand: Stand, census: Census, target: Target, load: Load) -> Refill:
    """The same of a pool that has all of them, which are ended in the middle of the load."""
    looks: list[tuple[int, int]] = []
    due_ns = killed_ns = lost = 0

    async def look(at_ns: int, sessions: int) -> None:
        nonlocal due_ns, killed_ns, lost
        looks.append((at_ns, sessions))
        if not due_ns and sessions >= target.connections:  # they load from about now on
            due_ns = at_ns + round((load.warmup_s + load.time_s * LOST_AFTER) * NS_PER_S)
        if due_ns and not killed_ns and at_ns >= due_ns:
            killed_ns = now_ns()
            lost = await census.terminate()

    done = await _watched(stand, census, target, replace(load, clients=target.connections, stages=()), look)
    begin_ns = killed_ns or now_ns()
    open_s, most_open = _opened(looks, begin_ns, target.connections)
    back_s = _back_s(done.point, killed_ns) if killed_ns else None
    return Refill(target.connections, begin_ns, done, open_s, most_open, back_s, lost)


async def _watched(stand: Stand, census: Census, target: Target, load: Load, on_look: OnLook) -> Measured:
    """Load, and look again and again how many sessions there are."""
    measuring = asyncio.create_task(stand.measure("storm", target, load))
    try:
        while not measuring.done():
            sessions = await census.count()
            await on_look(now_ns(), sessions)
            await asyncio.wait([measuring], timeout=LOOK_EVERY_S)
    finally:
        measuring.cancel()
        await asyncio.wait([measuring])
    return measuring.result()


def _opened(looks: Sequence[tuple[int, int]], begin_ns: int, size: int) -> tuple[float | None, int]:
    """Seconds from *begin_ns* until *size* were there, and the most that were."""
    since = [(at_ns, sessions) for at_ns, sessions in looks if at_ns >= begin_ns]
    full_ns = next((at_ns for at_ns, sessions in since if sessions >= size), None)
    return None if full_ns is None else (full_ns - begin_ns) / NS_PER_S, max((each for _, each in since), default=0)


def _back_s(point: Point, killed_ns: int) -> float | None:
    first = round(point.load.warmup_s * TENTHS)
    killed = int((killed_ns - point.anchor_ns) / NS_PER_S * TENTHS) - first
    before, since = point.per_tenth[:killed], point.per_tenth[killed:]
    return _seconds(level_from(since, AS_BEFORE * fmean(before), HOLD)) if killed > 0 else None


def _seconds(tenths: int | None) -> float | None:
    return None if tenths is None else tenths / TENTHS
