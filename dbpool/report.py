"""What a gate has to say of itself: who holds, who waits, who used it most."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

from dbpool.core.permits import WAITING, Line, Permits
from dbpool.sites import ASYNCIO, EXIT_STACKS, PACKAGE, USERS_OWN, Sites, SiteUse, short_path
from dbpool.waiter import Waiter
from dbpool.wording import counted

MOST_CALLERS = 20  # of those who wait, and of the places that used it most
MOST_IN_AN_ERROR = 3  # holders: the rest is in the report
LONGEST_SQL = 80  # characters, in a text


@dataclass(frozen=True, slots=True)
class Caller:
    """One who holds a permit, or waits for one."""

    lane: str
    task: str
    """Its name, as ``asyncio.Task.get_name`` has it; empty if no task asked."""
    where: str
    """Where in the program it is asked for, as ``app/jobs.py:41 in nightly``; empty for the pool's own work."""
    seconds: float
    """For how long it has held, or waited."""
    sql: str | None
    """What it runs, ran last, or is to run; parameters are never in it."""
    in_transaction: bool
    doing: str
    """What is being done for it, where that is not its own statement."""
    stack: tuple[str, ...]
    """Where its task stands now, outermost first, without frames of this package, asyncio, driver and SQLAlchemy."""

    def __str__(self) -> str:
        who = f"task '{self.task}'" if self.task else "no task"
        parts = [f"{self.seconds:.2f} s by {who}"]
        parts += [f"for lane '{self.lane}'"] if self.lane else []
        parts += [f"from {self.where}"] if self.where else []
        parts += ["in a transaction"] if self.in_transaction else []
        parts += [self.doing] if self.doing else []
        parts += [f"SQL: {_shortened(self.sql)}"] if self.sql else []
        parts += [f"now at {self.stack[-1]}"] if self.stack else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class LaneUse:
    """A lane's share at this moment."""

    name: str
    held: int
    waiting: int
    at_most: int | None
    reserved: int

    def __str__(self) -> str:
        limits = "" if self.at_most is None else f" of at most {self.at_most}"
        reserve = f", {self.reserved} reserved" if self.reserved else ""
        return f"lane '{self.name}': {self.held} held{limits}{reserve}, {self.waiting} waiting"


@dataclass(frozen=True, slots=True)
class Report:
    """A gate or pool at one moment; ``str`` of it is for people."""

    name: str
    capacity: int
    held: int
    waiting: int
    holders: tuple[Caller, ...]
    """Those who hold longest first."""
    waiters: tuple[Caller, ...]
    """The first of each line, then the second, and so on; at most 20."""
    lanes: tuple[LaneUse, ...]
    sites: tuple[SiteUse, ...]
    """The places in the program that held permits longest in all, at most 20."""
    notes: tuple[str, ...] = ()
    """What else there is to know, a sentence each."""

    def __str__(self) -> str:
        lines = [f"{self.name}: {self.held} of {self.capacity} permits held, {self.waiting} waiting"]
        lines += map(str, self.notes)
        lines += map(str, self.lanes)
        lines += [f"held {holder}" for holder in self.holders]
        lines += [f"waiting {waiter}" for waiter in self.waiters]
        if self.waiting > len(self.waiters):
            lines.append(f"waiting: {self.waiting - len(self.waiters)} more")
        for use in self.sites:
            lines.append(f"in all {use.held_s_total:.2f} s in {counted(use.calls_total, 'call')} from {use.where}")
        return "\n  ".join(lines)

    def holders_in_short(self, lane: str = "") -> str:
        """The few who hold longest, those of *lane* first, for the end of an error's message."""
        holders = sorted(self.holders, key=lambda holder: holder.lane != lane) if lane else self.holders
        shown = [f"\n  held {holder}" for holder in holders[:MOST_IN_AN_ERROR]]
        more = len(self.holders) - len(shown)
        return "".join(shown) + (f"\n  held by {more} more: see report()" if more > 0 else "")


def report(name: str, permits: Permits[Waiter], sites: Sites, now: float, notes: tuple[str, ...] = ()) -> Report:
    """Look at everything *now*, in seconds of the loop's clock."""
    lines = [itertools.islice(line.tickets, MOST_CALLERS) for line in permits.lines]
    first = [ticket for abreast in itertools.zip_longest(*lines) for ticket in abreast if isinstance(ticket, Waiter)]
    return Report(
        name=name,
        capacity=permits.capacity,
        held=permits.held,
        waiting=permits.waiting,
        holders=tuple(caller(holder, now) for holder in sorted(permits.holding, key=lambda holder: holder.since)),
        waiters=tuple(caller(waiter, now) for waiter in first[:MOST_CALLERS]),
        lanes=tuple(_lane(line) for line in permits.lines if line.name),
        sites=tuple(sites.busiest(MOST_CALLERS)),
        notes=notes,
    )


def stack_of(task: asyncio.Task[Any]) -> tuple[str, ...]:
    """Where a task that waits stands, outermost first, without frames of those in between: see ``Caller.stack``."""
    frames = [frame for frame in _frames(task.get_coro()) if not _is_machinery(frame)]
    return tuple(
        f"{short_path(frame.f_code.co_filename)}:{frame.f_lineno} in {frame.f_code.co_qualname}" for frame in frames
    )


def _is_machinery(frame: FrameType) -> bool:
    is_others = str(frame.f_globals.get("__name__")).startswith(("asyncpg.", "sqlalchemy."))
    path = frame.f_code.co_filename
    return is_others or (path.startswith((PACKAGE, ASYNCIO, EXIT_STACKS)) and not path.startswith(USERS_OWN))


def _frames(awaitable: Any) -> Iterator[FrameType]:  # noqa: ANN401 - whatever can be awaited
    """The frames of a coroutine and of what it awaits, in turn."""
    while awaitable is not None:
        for kind in ("cr", "ag", "gi"):
            frame = getattr(awaitable, f"{kind}_frame", None)
            if isinstance(frame, FrameType):
                yield frame
                awaitable = getattr(awaitable, "gi_yieldfrom" if kind == "gi" else f"{kind}_await")
                break
        else:
            return


def place_of(waiter: Waiter) -> str:
    """Where in the program it is asked for: of one in line, as far as noted, else where its task stands."""
    if waiter.site is not None:
        return str(waiter.site)
    if waiter.place is not WAITING or waiter.task is None:
        return ""
    return next(reversed(stack_of(waiter.task)), "")


def caller(waiter: Waiter, now: float) -> Caller:
    """What there is to say of one, *now*."""
    task = waiter.task
    stack = () if task is None or task.done() else stack_of(task)
    return Caller(
        lane=waiter.line.name,
        task=waiter.task_name,
        where=place_of(waiter),
        seconds=max(0.0, now - waiter.since),
        sql=waiter.statement(),
        in_transaction=waiter.is_in_transaction(),
        doing=waiter.doing(),
        stack=stack,
    )


def _lane(line: Line) -> LaneUse:
    return LaneUse(line.name, line.held, line.waiting, line.at_most, line.reserved)


def _shortened(sql: str) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= LONGEST_SQL else text[: LONGEST_SQL - 1] + "…"
