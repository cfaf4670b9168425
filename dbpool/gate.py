"""A fair, bounded place to wait in front of anything scarce."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeAlias

from dbpool.core.permits import GONE, NEW, WAITING, Closed, Full, Permits, Ticket
from dbpool.deadlines import Bucket, Deadlines, forget
from dbpool.errors import AcquireTimeout, LineFull, PoolClosed, UsageError
from dbpool.settings import positive_seconds, whole_number

Parcel: TypeAlias = Any  # whatever goes from one holder to the next together with the permit


class Waiter(Ticket):
    """A task's place in line; ``wakeup`` tells None when it is granted, else why it is not."""

    __slots__ = ("bucket", "deadline", "since", "wakeup")

    bucket: Bucket | None
    deadline: float
    since: float
    wakeup: asyncio.Future[Any]

    def __init__(self) -> None:
        super().__init__()
        self.bucket = None

    def check_new(self) -> None:
        """Raise UsageError for one that has stood in line before."""
        if self.place is not NEW:
            raise UsageError("this context manager was used already: make one for each block")

    def granted(self, parcel: Parcel, now: float) -> None:  # noqa: ARG002 - for those who build on this
        """It holds a permit since *now*, in seconds of the loop's clock, and *parcel* came with it."""
        forget(self)
        if not self.wakeup.done():  # else its task was cancelled, and gives the permit back when it runs
            self.wakeup.set_result(None)

    def overdue(self) -> None:
        """Its deadline has passed while it held a permit; only those that set one then get here."""
        raise AssertionError("a waiter has no deadline once it holds")

    def refused(self, error: Exception) -> None:
        if not self.wakeup.done():
            self.wakeup.set_result(error)  # not set_exception: a caller cancelled now never looks


class LineCounters:
    """What happened at a gate since it was made."""

    __slots__ = ("granted_total", "refused_total", "timeouts_total", "waited_s_total", "waited_total")

    def __init__(self) -> None:
        self.granted_total = self.waited_total = self.timeouts_total = self.refused_total = 0
        self.waited_s_total = 0.0


class Gate:
    """At most *capacity* holders at once; everyone else waits in one line, first come, first served.

    Newcomers never overtake. A caller cancelled in line or in the instant of its grant costs O(1) and passes the permit
    on. A gate belongs to the event loop in which it is first used; it may be made before any loop runs.

    Args:
        capacity: permits, at least 1.
        max_waiting: callers in line before newcomers are refused with LineFull; None: no limit.
        timeout: seconds in line, unless ``enter`` says otherwise.
        name: stands in every message.
        advice: the last sentence of a time-out's message; asked for when one is raised.
    Raises:
        SettingsError: a number is out of range.
    Example::

        gate = Gate(5)
        async with gate:                     # or: async with gate.enter(timeout=2)
            await call_something_scarce()
    """

    def __init__(
        self,
        capacity: int,
        *,
        max_waiting: int | None = None,
        timeout: float = 30.0,
        name: str = "gate",
        advice: Callable[[], str] = lambda: "Hold permits for less time, or raise the capacity.",
    ) -> None:
        if max_waiting is not None:
            whole_number(max_waiting, "max_waiting", 0)
        self.name = name
        self._advice = advice
        self.counters = LineCounters()
        self._timeout = positive_seconds(timeout, "timeout")
        self._permits: Permits[Waiter] = Permits(whole_number(capacity, "capacity", 1), max_waiting)
        self._deadlines: Deadlines[Waiter] = Deadlines(self._expire)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._inside: list[Stay] = []
        self._emptied: asyncio.Future[None] | None = None

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
    def is_closed(self) -> bool:
        return self._permits.closed

    def oldest_wait_s(self) -> float:
        """How long the first in line has waited, in seconds; 0 when nobody waits."""
        oldest = self._permits.next_in_line
        return 0.0 if oldest is None or self._loop is None else self._loop.time() - oldest.since

    def enter(self, *, timeout: float | None = None) -> Stay:
        """Hold a permit for the length of a block: ``async with gate.enter(timeout=2)``.

        Args:
            timeout: seconds to wait in line at the most; None: the gate's.
        Raises:
            AcquireTimeout: no permit in time.
            LineFull: ``max_waiting`` callers wait already.
            PoolClosed: the gate was closed, before or while waiting.
        Cancelling: leaves the line, or gives the permit back.
        """
        return Stay(self, self._timeout if timeout is None else positive_seconds(timeout, "timeout"))

    async def __aenter__(self) -> None:
        stay = Stay(self, self._timeout)
        await stay.__aenter__()
        self._inside.append(stay)

    async def __aexit__(self, *exc: object) -> None:
        await self._inside.pop().__aexit__(*exc)  # any of them: permits held this way are alike

    async def close(self) -> None:
        """Refuse newcomers, fail everyone in line with PoolClosed at once, then wait for the holders to leave.

        Cancelling: the gate stays closed; only the wait ends.
        """
        self.close_nowait()
        await self.wait_empty()

    def close_nowait(self) -> None:
        """Refuse newcomers and fail everyone in line with PoolClosed, without waiting for the holders."""
        error = f"{self.name} was closed while this caller waited in line"
        for waiter in self._permits.close():
            forget(waiter)
            waiter.refused(PoolClosed(error))

    async def wait_empty(self) -> None:
        """Return once nobody holds a permit."""
        while self.held:
            if self._emptied is None or self._emptied.done():
                self._emptied = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._emptied)

    # What a facade with tickets of its own builds on. None of these waits.

    def request(self, waiter: Waiter, timeout: float, loop: asyncio.AbstractEventLoop) -> bool:
        """Give *waiter* a permit (True) or the last place in line, for *timeout* seconds at the most (False).

        Raises: LineFull, PoolClosed, UsageError.
        """
        if self._loop is not loop:
            self._move_to(loop)
        permits = self._permits
        try:
            if permits.request(waiter):
                self.counters.granted_total += 1
                return True
        except Full:
            self.counters.refused_total += 1
            raise LineFull(
                f"{self.name} refuses at once: {permits.held} of {permits.capacity} permits held and {permits.waiting} "
                f"callers in line, which is max_waiting. Send fewer at a time, or raise max_waiting.",
                capacity=permits.capacity,
                held=permits.held,
                waiting=permits.waiting,
            ) from None
        except Closed:
            raise PoolClosed(f"{self.name} is closed: it takes no more callers") from None
        waiter.since = now = loop.time()
        self.set_deadline(waiter, now + timeout)
        return False

    def set_deadline(self, waiter: Waiter, deadline: float) -> None:
        """Have *waiter* refused, or called overdue once it holds a permit, at *deadline* instead of before."""
        assert self._loop is not None
        if waiter.bucket is None:
            waiter.deadline = deadline
        elif deadline >= waiter.deadline:  # the timer that is set finds it moved
            waiter.deadline = deadline
            return
        else:
            forget(waiter)
            waiter.deadline = deadline
        self._deadlines.add(waiter, self._loop)

    def leave(self, waiter: Waiter, parcel: Parcel = None) -> bool:
        """Take *waiter* out, waiting or holding; give its permit, with *parcel*, to the next in line.

        Returns: whether somebody was next.
        """
        if waiter.bucket is not None:
            forget(waiter)
        granted = self._permits.leave(waiter)
        if granted is None:
            if self._emptied is not None and not self._permits.held and not self._emptied.done():
                self._emptied.set_result(None)
            return False
        assert self._loop is not None
        now = self._loop.time()
        counters = self.counters
        counters.granted_total += 1
        counters.waited_total += 1
        counters.waited_s_total += now - granted.since
        granted.granted(parcel, now)
        return True

    def _move_to(self, loop: asyncio.AbstractEventLoop) -> None:
        if self.held + self.waiting:
            raise UsageError(f"{self.name} is in use in another event loop: make one gate for each loop")
        self._deadlines.close()  # its timers are another loop's
        self._loop = loop

    def _expire(self, waiter: Waiter) -> None:
        if waiter.place is not WAITING:
            waiter.overdue()
            return
        assert self._loop is not None
        waited_s = self._loop.time() - waiter.since
        self._permits.leave(waiter)
        waiter.refused(self.acquire_timeout(waited_s))

    def acquire_timeout(self, waited_s: float) -> AcquireTimeout:
        """The error for a caller that waited *waited_s* seconds for nothing, with the numbers of this moment."""
        self.counters.timeouts_total += 1
        permits = self._permits
        try:
            advice = self._advice()
        except Exception as error:  # the caller must be told all the same
            advice = f"(No advice: {error!r})"
        return AcquireTimeout(
            f"nothing from {self.name} after {waited_s:.2f} s: {permits.held} of {permits.capacity} permits held, "
            f"{permits.waiting} other callers in line. {advice}",
            waited_s=waited_s,
            capacity=permits.capacity,
            held=permits.held,
            waiting=permits.waiting,
        )

    def __repr__(self) -> str:
        closed = ", closed" if self.is_closed else ""
        return f"<Gate {self.name}: {self.held} of {self.capacity} held, {self.waiting} waiting{closed}>"


class Stay:
    """What ``Gate.enter`` returns: a class, for a generator that waits in line does not notice that it is closed."""

    __slots__ = ("_gate", "_timeout", "_waiter")

    def __init__(self, gate: Gate, timeout: float) -> None:
        self._gate = gate
        self._timeout = timeout
        self._waiter = Waiter()

    async def __aenter__(self) -> None:
        gate, waiter, loop = self._gate, self._waiter, asyncio.get_running_loop()
        waiter.check_new()
        if gate.request(waiter, self._timeout, loop):
            return
        waiter.wakeup = loop.create_future()
        try:
            refusal = await waiter.wakeup
        except BaseException:
            if waiter.place is not GONE:  # cancelled in line, or in the instant of the grant
                gate.leave(waiter)
            raise
        if refusal is not None:
            raise refusal

    async def __aexit__(self, *exc: object) -> None:
        self._gate.leave(self._waiter)
