"""Finds those who wait for each other at a gate, and proves that nobody else can help them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from itertools import chain
from math import inf
from types import CoroutineType
from typing import Any, TypeAlias

from dbpool.awaits import Future, awaited_by, suspended_on
from dbpool.awaits import chain as coroutines_of
from dbpool.core.deadlock import Knot, find_deadlock
from dbpool.core.permits import Line, Permits
from dbpool.ownership import only_held_by
from dbpool.sites import PACKAGE
from dbpool.waiter import Waiter

Task: TypeAlias = asyncio.Task[Any]
Tangle: TypeAlias = Knot[Waiter, Waiter]

# How soon a deadlock is seen that comes about without anybody asking for a permit: a holder begins to wait for a task
# that is in line already.
LOOK_AGAIN_S = 0.1
# How soon after somebody was refused: when it has had its turns of the event loop.
LOOK_ON_S = 0.001
# A look may take a twentieth of the event loop's time.
REST = 19


class DeadlockWatch:
    """Looks for deadlocks a turn of the event loop after somebody has joined a line, and now and then while it lasts.

    Args:
        refuse: told who must be refused.
    """

    def __init__(self, permits: Permits[Waiter], refuse: Callable[[Waiter, Tangle], None]) -> None:
        self._permits = permits
        self._crowd: dict[Future, Waiter] | None = None  # who waits, by wakeup; made in a look that needs it
        self._refuse = refuse
        self._next: asyncio.Handle | None = None
        self._later: asyncio.TimerHandle | None = None
        # A proof takes long: for the same waiters it is tried again ever more rarely.
        self._doubts: frozenset[Waiter] = frozenset()
        self._doubted_until = self._doubt_s = 0.0
        self.known: list[object] = [permits.holding]
        """What refers to holders, or to what ends their leases, but gives nobody the means to."""
        self.beside: Callable[[], Iterable[Waiter]] = tuple
        """Those who wait, but have another one's ticket stand in line for them."""

    def look_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look when no task runs."""
        if self._next is None:
            self._next = loop.call_soon(self._look, loop)

    def look_later(self, loop: asyncio.AbstractEventLoop) -> None:
        """Look some time: the oldest holder's permit soon comes back by itself, so most likely all is well."""
        if self._later is None and self._next is None:
            self._later = loop.call_later(LOOK_AGAIN_S, self._look, loop)

    def stop(self) -> None:
        for handle in (self._next, self._later):
            if handle is not None:
                handle.cancel()
        self._next = self._later = None
        self._doubts = frozenset()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stop_later()
        self._next = None
        began = loop.time()
        knot = self._find(began)
        again_s = LOOK_AGAIN_S
        if knot is None:
            pass
        elif self._is_proven(knot):
            self._refuse(knot.victim, knot)
            again_s = LOOK_ON_S  # others of the knot may be stuck as before
        else:
            self._doubt(knot, began)
        self._crowd = None
        if self._permits.waiting and self._permits.held:
            took_s = loop.time() - began
            self._later = loop.call_later(again_s + REST * took_s, self._look, loop)

    def stop_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    def _doubt(self, knot: Tangle, now: float) -> None:
        self._doubt_s = 2 * self._doubt_s if self._doubts.issuperset(knot.waiters) else LOOK_AGAIN_S
        self._doubts, self._doubted_until = frozenset(knot.waiters), now + self._doubt_s

    def _find(self, now: float) -> Tangle | None:
        doubts = self._doubts if now < self._doubted_until else frozenset()
        for line in self._permits.lines:
            knot = find_deadlock(line, self) if line.tickets else None
            if knot is not None and not doubts.issuperset(knot.waiters):
                return knot
        return None

    def _is_proven(self, knot: Tangle) -> bool:
        """Whether nobody but those in the knot has what ends the leases in it."""
        tasks = [waiter.task for waiter in (*knot.waiters, *knot.holders) if waiter.task is not None]
        for task in tasks:  # and those between a holder and the waiter that it awaits
            tasks += set(awaited_by(task)).difference(tasks)
        known = [knot.own, knot.holders, *self.known, *(thing for holder in knot.holders for thing in holder.known())]
        return only_held_by([*knot.holders, *(key for holder in knot.holders for key in holder.means())], tasks, known)

    # The situation, as core.deadlock asks for it

    def waiter_of(self, task: Task) -> Waiter | None:
        future = suspended_on(task)
        if future is None or not _stands_in_this_package(task):
            return None
        if self._crowd is None:
            in_line = (ticket for line in self._permits.lines for ticket in line.tickets)
            by_themselves = (ticket for ticket in in_line if isinstance(ticket, Waiter) and ticket.task is not None)
            self._crowd = {waiter.wakeup: waiter for waiter in chain(by_themselves, self.beside())}
        waiter = self._crowd.get(future)
        if waiter is not None:
            waiter.asker = task  # of one beside it is known only now
        return waiter

    def lane_of(self, waiter: Waiter) -> Line:
        return waiter.line

    def arrival_of(self, waiter: Waiter) -> float:
        return waiter.since

    def in_the_way_of(self, lane: Line) -> Iterable[Waiter]:
        permits = self._permits
        if permits.is_paused or permits.limit < permits.capacity or permits.has_room(lane, inf):
            return ()  # somebody resumes, or the limit rises, or a pace alone holds it back
        if lane.at_most is not None and lane.held >= lane.at_most:
            return (holder for holder in permits.holding if holder.line is lane)
        if lane.held < lane.reserved or permits.lent < permits.limit - permits.reserved:
            return permits.holding  # all that is missing is a permit, whoever gives it back
        return (holder for holder in permits.holding if holder.line is lane or holder.line.held > holder.line.reserved)

    def task_of(self, holder: Waiter) -> Task | None:
        if holder.ends_by_itself or holder.task is None or holder.task.done():
            return None
        return holder.task

    def awaited_by(self, task: Task) -> Iterable[Task]:
        return awaited_by(task)


def _stands_in_this_package(task: Task) -> bool:
    """Whether the innermost coroutine of *task* is this package's, as that of everyone in line is."""
    *_, innermost = coroutines_of(task) or [None]
    return isinstance(innermost, CoroutineType) and innermost.cr_code.co_filename.startswith(PACKAGE)
