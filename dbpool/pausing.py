"""Nothing is granted, nor, if asked for, is any connection open, until somebody resumes."""

from __future__ import annotations

import asyncio

from dbpool.errors import LeasesRemain, PoolClosed, UsageError
from dbpool.events import Paused, Resumed
from dbpool.leases import Leases
from dbpool.listening import Listeners
from dbpool.upkeep import Upkeep
from dbpool.wording import counted


class Pauses:
    """The pauses of an open pool that were asked for and not resumed."""

    # Always true between two calls: the gate is paused while there is any.

    def __init__(self, leases: Leases, upkeep: Upkeep, listeners: Listeners) -> None:
        self._leases = leases
        self._upkeep = upkeep
        self._listeners = listeners
        self._waited: dict[asyncio.Timeout, bool] = {}  # by what ends the wait: whether it has come to its end

    async def pause(self, seconds: float, *, disconnect: bool) -> None:
        """See ``DatabasePool.pause``."""
        try:
            async with asyncio.timeout(None) as this:
                self._waited[this] = False
                self._leases.gate.pause()
                await self._wait_paused(seconds, disconnect=disconnect)
            if this not in self._waited:
                raise UsageError(f"{self._leases.gate.name} was resumed while pause() waited, and goes on")
        except BaseException as error:
            if self._waited.pop(this, None) is not None and not self._waited:  # else another one goes on
                self._go_on()
            if this.expired() and isinstance(error, TimeoutError):
                raise PoolClosed(f"{self._leases.gate.name} was closed while pause() waited") from None
            raise
        is_first = not any(self._waited.values())
        self._waited[this] = True
        if is_first:
            self._leases.events.tell(Paused())

    def resume(self) -> None:
        """Grant and listen again; does nothing if nothing is paused."""
        was_told = any(self._waited.values())
        self._waited.clear()
        if self._leases.gate.is_paused:
            self._go_on()
            if was_told:
                self._leases.events.tell(Resumed())
            self._upkeep.look()

    def end(self) -> None:
        """Tell everyone who waits for a pause that the pool is being closed."""
        now = self._leases.loop.time()
        for this, has_ended in self._waited.items():
            if not has_ended:
                this.reschedule(now)

    def _go_on(self) -> None:
        self._leases.gate.resume()
        self._listeners.resume()

    async def _wait_paused(self, seconds: float, *, disconnect: bool) -> None:
        gate, clock = self._leases.gate, self._leases.loop.time
        deadline = clock() + seconds
        try:
            async with asyncio.timeout_at(deadline):
                await (self._upkeep.wait_unused() if disconnect else gate.wait_empty())
        except TimeoutError:
            if gate.held or (disconnect and self._leases.connector.opening):  # else they ended in this very instant
                raise self._remain(seconds) from None
        if disconnect and gate.is_paused:
            self._upkeep.disconnect()  # before anybody can resume
            self._listeners.pause()
            left_s = max(0.0, deadline - clock())
            await asyncio.gather(self._upkeep.wait_disconnected(left_s), self._listeners.wait_paused(left_s))

    def _remain(self, seconds: float) -> LeasesRemain:
        report = self._leases.gate.report()
        what = counted(report.held, "lease") if report.held else "a connect that its caller left"
        return LeasesRemain(
            f"{report.name} was not paused: {what} had not ended after {seconds:g} s.{report.holders_in_short()}",
            report=report,
        )
