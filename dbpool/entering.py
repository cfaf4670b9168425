"""The way into a gate, and out again."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from dbpool.core.pacing import Pace, Rate
from dbpool.core.permits import GONE, Line
from dbpool.errors import SettingsError
from dbpool.settings import positive_seconds, whole_number
from dbpool.sites import Sites
from dbpool.waiter import Waiter


class Door(Protocol):
    """What a gate has behind all its lanes."""

    name: str
    sites: Sites
    timeout: float
    warns_of_nesting: bool
    loop: asyncio.AbstractEventLoop | None

    def request(self, waiter: Waiter, timeout: float, loop: asyncio.AbstractEventLoop) -> bool: ...

    def leave(self, waiter: Waiter) -> bool: ...


class GateLane:
    """A way into a gate, with a line and a share of the permits of its own; ``Gate.lane`` makes one."""

    def __init__(self, gate: Door, line: Line) -> None:
        self._gate = gate
        self._line = line
        self.inside: dict[asyncio.Task[Any] | None, list[Stay]] = {}

    @property
    def held(self) -> int:
        """Permits that its callers hold."""
        return self._line.held

    @property
    def waiting(self) -> int:
        """Callers in its line."""
        return self._line.waiting

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
        seconds = None if timeout is None else positive_seconds(timeout, "timeout")
        return Stay(self._gate, self._line, seconds)

    async def __aenter__(self) -> None:
        stay = Stay(self._gate, self._line, None)
        await stay.__aenter__()
        self.inside.setdefault(asyncio.current_task(), []).append(stay)

    async def __aexit__(self, *exc: object) -> None:
        mine = asyncio.current_task(self._gate.loop)  # the running one, if any runs
        task = mine if mine in self.inside else next(iter(self.inside))  # another task entered, so any will do
        stay = self.inside[task].pop()
        if not self.inside[task]:
            del self.inside[task]
        await stay.__aexit__(*exc)

    def __repr__(self) -> str:
        share = f" of {self._line.at_most}" if self._line.at_most is not None else ""
        return f"<GateLane {self._line.name} of {self._gate.name}: {self.held}{share} held, {self.waiting} waiting>"


class Stay:
    """What ``Gate.enter`` returns: a class, for a generator that waits in line does not notice that it is closed."""

    __slots__ = ("_gate", "_timeout", "_waiter")

    def __init__(self, gate: Door, line: Line, timeout: float | None) -> None:
        self._gate = gate
        self._timeout = gate.timeout if timeout is None else timeout
        self._waiter = Waiter(line)

    async def __aenter__(self) -> None:
        gate, waiter, loop = self._gate, self._waiter, asyncio.get_running_loop()
        waiter.check_new()
        if gate.warns_of_nesting:
            waiter.site = gate.sites.of(2)
        if gate.request(waiter, self._timeout, loop):
            waiter.site = gate.sites.of(2)
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
        waiter.site = gate.sites.of(2)  # not before: to look at a caller's frame makes it larger, and many wait

    async def __aexit__(self, *exc: object) -> None:
        self._gate.leave(self._waiter)


def new_line(name: str, at_most: int | None, reserved: int, max_waiting: int | None, rate: Rate | None) -> Line:
    """The line of a lane.

    Raises:
        SettingsError: a number is out of range, or it reserves more than it may hold.
    """
    if at_most is not None:
        whole_number(at_most, "at_most", 1)
    if max_waiting is not None:
        whole_number(max_waiting, "max_waiting", 0)
    if rate is not None and not isinstance(rate, Rate):
        raise SettingsError(f"rate must be a Rate, as Rate(500, per=60), not {rate!r}")
    if whole_number(reserved, "reserved", 0) > (reserved if at_most is None else at_most):
        raise SettingsError(f"lane {name!r} cannot reserve {reserved} permits and hold at most {at_most}")
    return Line(
        name, at_most=at_most, reserved=reserved, max_waiting=max_waiting, pace=None if rate is None else Pace(rate)
    )
