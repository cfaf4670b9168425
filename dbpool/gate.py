"""A fair, bounded place to wait in front of anything scarce."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, KeysView
from math import inf
from typing import Self

from dbpool.core.pacing import Rate
from dbpool.core.permits import WAITING, Closed, Full, Line, Permits
from dbpool.deadlines import Deadlines, forget
from dbpool.entering import GateLane, new_line
from dbpool.errors import PoolClosed, PoolDeadlock, SettingsError, UsageError
from dbpool.knots import DeadlockWatch, Tangle
from dbpool.learning import Learner
from dbpool.nesting import NestingWatch
from dbpool.observing import Observing
from dbpool.refusals import Refusals
from dbpool.report import Report
from dbpool.settings import positive_seconds, whole_number
from dbpool.sites import Sites
from dbpool.waiter import Parcel, Waiter


class Gate(GateLane):
    """At most *capacity* holders at once; everyone else waits in line, first come, first served.

    Newcomers never overtake. A caller cancelled in line or in the instant of its grant costs O(1) and passes the permit
    on. A gate belongs to the event loop in which it is first used; it may be made before any loop runs.

    Args:
        capacity: permits, at least 1.
        max_waiting: callers in line before newcomers are refused with LineFull; None: no limit.
        timeout: seconds in line, unless ``enter`` says otherwise.
        rate: how often permits are granted at the most.
        name: stands in every message.
        advice: the last sentence of a time-out's message, unless a pause, a rate or a lane's ``at_most`` was the cause;
            asked for when one is raised.
        deadline_aware: refuse a caller with Overloaded at once if, by its place in line and by how long holders have
            held, it would wait for longer than it may.
        adaptive: use fewer permits while that gets as much or more done; found by trying, see core/limiter.py.
        warn_nested: warn (NestedAcquire) of a task that asks for a permit while one is out that it asked for, once for
            each two places.
    Raises:
        SettingsError: a number is out of range.
    Example::

        gate = Gate(5, rate=Rate(500, per=60))
        async with gate:                     # or: async with gate.enter(timeout=2)
            await call_something_scarce()
    """

    def __init__(
        self,
        capacity: int,
        *,
        max_waiting: int | None = None,
        timeout: float = 30.0,
        rate: Rate | None = None,
        name: str = "gate",
        advice: Callable[[], str] = lambda: "Hold permits for less time, or raise the capacity.",
        deadline_aware: bool = False,
        adaptive: bool = False,
        warn_nested: bool = False,
    ) -> None:
        super().__init__(self, new_line("", None, 0, max_waiting, rate))
        self.name = name
        self.sites = Sites()
        self.observing = Observing(self.sites)
        self.timeout = positive_seconds(timeout, "timeout")
        self._permits: Permits[Waiter] = Permits(whole_number(capacity, "capacity", 1), self._line)
        self._learner: Learner | None = None
        if deadline_aware or adaptive:
            self._learner = Learner(self._permits, deadline_aware=deadline_aware, adaptive=adaptive)
        self.warns_of_nesting = warn_nested
        self.refusals = Refusals(name, self._permits, self.sites, advice)
        self._nesting = NestingWatch(self.refusals.named) if warn_nested else None
        self.watch = DeadlockWatch(self._permits, self._refuse_deadlocked)
        self._deadlines: Deadlines[Waiter] = Deadlines(self._expire)
        self.on_deadlock: Callable[[PoolDeadlock], object] = lambda _: None
        self.loop: asyncio.AbstractEventLoop | None = None
        self._emptied: asyncio.Future[None] | None = None
        self._next_grant: asyncio.TimerHandle | None = None
        self._is_paced = rate is not None  # some line is

    @property
    def capacity(self) -> int:
        return self._permits.capacity

    @property
    def held(self) -> int:
        return self._permits.held

    @property
    def waiting(self) -> int:
        return self._permits.waiting

    @property
    def line(self) -> Line:
        """The line of those who come by no lane."""
        return self._line

    @property
    def lines(self) -> list[Line]:
        """Every lane's line, that of those who come by no lane first."""
        return self._permits.lines

    @property
    def limit(self) -> int:
        """Permits in use: fewer than the capacity where that is adaptive."""
        return self._permits.limit

    @property
    def holding(self) -> KeysView[Waiter]:
        """Who holds a permit, in the order of the grants."""
        return self._permits.holding.keys()

    @property
    def is_closed(self) -> bool:
        return self._permits.closed

    @property
    def is_paused(self) -> bool:
        return self._permits.is_paused

    def oldest_wait_s(self) -> float:
        """How long the one who waits longest has waited, in seconds; 0 when nobody waits."""
        waits = [first.since for line in self.lines if isinstance(first := line.next_in_line, Waiter)]
        return 0.0 if not waits or self.loop is None else self.loop.time() - min(waits)

    def report(self) -> Report:
        """Who holds, since when, from where in the program and where they stand now; who waits; who used it most."""
        return self.refusals.report(0.0 if self.loop is None else self.loop.time())

    def lane(
        self,
        name: str,
        *,
        at_most: int | None = None,
        reserved: int = 0,
        max_waiting: int | None = None,
        rate: Rate | None = None,
    ) -> GateLane:
        """A line of its own, whose callers share the permits with all others'.

        Under saturation a permit goes to the lane that holds the fewest beyond its reserve, so that no lane starves.

        Args:
            name: stands in every message about it.
            at_most: permits that its callers may hold together; None: as many as there are.
            reserved: permits that nobody else gets, even while they are idle.
            max_waiting: callers in its line before newcomers are refused with LineFull; None: no limit.
            rate: how often its callers are granted a permit at the most.
        Raises:
            SettingsError: there is a lane of that name, it reserves more than it may hold, or the reserves leave no
                permit for others.
        """
        return GateLane(self, self.add_line(name, at_most, reserved, max_waiting, rate))

    def resize(self, capacity: int) -> None:
        """Have *capacity* permits from now on; those held beyond it are not taken away, but not granted again.

        Raises:
            SettingsError: it is less than 1, or leaves no permit beside the lanes' reserves.
        """
        whole_number(capacity, "capacity", 1)
        reserved = self._permits.reserved
        if reserved and capacity <= reserved:
            raise SettingsError(
                f"{self.name} cannot be resized to {capacity}: its lanes reserve {reserved} permits, and one must be "
                f"left for all others"
            )
        self._permits.capacity = self._permits.limit = capacity
        if self._learner is not None:
            self._learner.resized()
        self._grant_all()

    def pause(self) -> None:
        """Grant nothing until ``resume``; callers wait in line, each until its deadline."""
        self._permits.is_paused = True

    def resume(self) -> None:
        """Grant permits again, first to those who wait."""
        self._permits.is_paused = False
        self._grant_all()

    async def close(self) -> None:
        """Refuse newcomers, fail everyone in line with PoolClosed at once, then wait for the holders to leave.

        Cancelling: the gate stays closed; only the wait ends.
        """
        self.close_nowait()
        await self.wait_empty()

    def close_nowait(self) -> None:
        """Refuse newcomers and fail everyone in line with PoolClosed, without waiting for the holders."""
        self.watch.stop()
        for waiter in self._permits.close():
            forget(waiter)
            waiter.refused(
                PoolClosed(f"{self.refusals.named(waiter.line)} was closed while this caller waited in line")
            )
        self._stop_timer()

    def reopened(self) -> Self:
        """Take callers again after ``close``; return the gate."""
        self._permits.closed = False
        return self

    async def wait_empty(self) -> None:
        """Return once nobody holds a permit."""
        while self.held:
            if self._emptied is None or self._emptied.done():
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    # What a facade with tickets of its own builds on. None of these waits.

    def add_line(
        self, name: str, at_most: int | None, reserved: int, max_waiting: int | None, rate: Rate | None
    ) -> Line:
        """What ``lane`` adds."""
        if not name or not isinstance(name, str):
            raise SettingsError(f"a lane needs a name, a str that is not empty, not {name!r}")
        if any(line.name == name for line in self.lines):
            raise SettingsError(f"{self.name} has a lane {name!r} already: keep what lane() returned the first time")
        line = new_line(name, at_most, reserved, max_waiting, rate)
        left = self.capacity - self._permits.reserved
        if reserved and reserved >= left:
            raise SettingsError(
                f"lane {name!r} cannot reserve {reserved} of {self.name}'s {self.capacity} permits: {left} are not "
                f"reserved yet, and one must be left for all others"
            )
        self._permits.add(line)
        if self._learner is not None:
            self._learner.resized()
        self._is_paced = self._is_paced or rate is not None
        return line

    def request(self, waiter: Waiter, timeout: float, loop: asyncio.AbstractEventLoop) -> bool:
        """Give *waiter* a permit (True) or the last place in its line, for *timeout* seconds at the most (False).

        Raises: LineFull, Overloaded, PoolClosed, UsageError.
        """
        if self.loop is not loop:
            self._move_to(loop)
        waiter.asked_at = waiter.since = now = loop.time()
        waiter.asker = asyncio.current_task(loop)
        if self._nesting is not None:
            self._nesting.check(waiter, self.holding)
        try:
            if self._permits.request(waiter, now):
                return True
        except Full:
            raise self.refusals.line_full(waiter.line) from None
        except Closed:
            raise self.refusals.closed(waiter.line) from None
        if self._learner is not None and (late_s := self._learner.retry_after_s(waiter.line, timeout, now)) is not None:
            self._permits.leave(waiter)
            raise self.refusals.overloaded(waiter.line, timeout, late_s)
        self.set_deadline(waiter, now + timeout)
        if next(iter(self._permits.holding), waiter).ends_by_itself:
            self.watch.look_later(loop)
        else:
            self.watch.look_soon(loop)
        if waiter.line.pace is not None:
            self._wait_for_pace(now)
        return False

    def would_wait(self, line: Line) -> bool:
        """Whether a newcomer in *line* would stand in line, its pace aside."""
        return bool(line.tickets) or not self._permits.has_room(line, inf)

    def join_beside(self, line: Line) -> None:
        """Count one more caller for whom another one's ticket stands, until ``line.beside`` is lowered again.

        Raises: LineFull, PoolClosed.
        """
        if self.is_closed:
            raise self.refusals.closed(line)
        try:
            self._permits.check_not_full(line)
        except Full:
            raise self.refusals.line_full(line) from None
        line.beside += 1

    def seize(self, waiter: Waiter, loop: asyncio.AbstractEventLoop, *, beyond: bool = False) -> bool:
        """Give *waiter* a permit for the pool's own work, also while paused; False if none is free.

        With *beyond* it gets one all the same, for what the capacity does not count.
        """
        if self.loop is not loop:
            self._move_to(loop)
        waiter.since = loop.time()
        return self._permits.seize(waiter, beyond=beyond)

    def set_deadline(self, waiter: Waiter, deadline: float) -> None:
        """Have *waiter* refused, or called overdue once it holds a permit, at *deadline* instead of before."""
        assert self.loop is not None
        if waiter.bucket is None:
            waiter.deadline = deadline
        elif deadline >= waiter.deadline:  # the timer that is set finds it moved
            waiter.deadline = deadline
            return
        else:
            forget(waiter)
            waiter.deadline = deadline
        self._deadlines.add(waiter, self.loop)

    def leave(self, waiter: Waiter, parcel: Parcel = None) -> bool:
        """Take *waiter* out, waiting or holding; give its permit, with *parcel*, to the next in line.

        Returns: whether somebody was next.
        """
        if waiter.bucket is not None:
            forget(waiter)
        assert self.loop is not None
        now = self.loop.time()
        if self.observing.observers:
            self.observing.left(waiter, now)
        if waiter.place is not WAITING:
            waiter.left_at = now
            if waiter.site is not None:
                waiter.site.calls_total += 1
                waiter.site.held_s_total += now - waiter.since
            if self._learner is not None:
                self._learner.left(waiter, now)
        waiter.asker = None
        granted = self._permits.leave(waiter, now)
        if granted is not None:
            self._tell_granted(granted, parcel, now)
        elif self._emptied is not None and not self._permits.held and not self._emptied.done():
            self._emptied.set_result(None)
        if self._is_paced or self._learner is not None:  # one more may be due in this instant, or the limit raised
            self._grant_all()
        return granted is not None

    def _tell_granted(self, granted: Waiter, parcel: Parcel, now: float) -> None:
        granted.line.waited_s_total += now - granted.since
        granted.since = now
        granted.granted(parcel, now)

    def _grant_all(self) -> None:
        """Grant what can be granted though nobody has left."""
        if self.loop is None:  # then nobody waits
            return
        now = self.loop.time()
        self._stop_timer()  # it may be what calls this
        while (granted := self._permits.grant_next(now)) is not None:
            self._tell_granted(granted, None, now)
            self.watch.look_later(self.loop)  # while nobody held, it did not look
        self._wait_for_pace(now)

    def _wait_for_pace(self, now: float) -> None:
        next_at = self._permits.next_at(now)
        if self._next_grant is not None and self._next_grant.when() == next_at:
            return
        self._stop_timer()
        if next_at is not None and self.loop is not None:
            self._next_grant = self.loop.call_at(next_at, self._grant_all)

    def _stop_timer(self) -> None:
        if self._next_grant is not None:
            self._next_grant.cancel()
            self._next_grant = None

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.held + self.waiting:
            raise UsageError(f"{self.name} is in use in another event loop: make one gate for each loop")
        self._deadlines.close()  # its timers are another loop's
        self.watch.stop()
        self._stop_timer()
        self.loop = loop
        self.observing.clock = loop.time

    def _expire(self, waiter: Waiter) -> None:
        if waiter.place is not WAITING:
            waiter.overdue()
            return
        assert self.loop is not None
        now = self.loop.time()
        self.observing.left(waiter, now)
        self._permits.leave(waiter)
        if self._is_paced:
            self._wait_for_pace(now)
        waiter.refused(self.refusals.acquire_timeout(waiter.line, now - waiter.since, now))

    def _refuse_deadlocked(self, waiter: Waiter, knot: Tangle) -> None:
        assert self.loop is not None
        error = self.refusals.deadlock(knot, self.loop.time())
        if waiter in waiter.line.tickets:  # else it leaves when it is told
            self._permits.leave(waiter)
        forget(waiter)
        self.on_deadlock(error)
        waiter.refused(error)

    def __repr__(self) -> str:
        state = ", closed" if self.is_closed else ", paused" if self.is_paused else ""
        return f"<Gate {self.name}: {self.held} of {self.capacity} held, {self.waiting} waiting{state}>"
