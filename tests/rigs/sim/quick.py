"""The loop of a schedule: one that does the same as any stepping loop with less around it."""

from __future__ import annotations

import asyncio
import heapq
from asyncio import events
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVarTuple

from tests.support.loops import SteppingLoop

Ts = TypeVarTuple("Ts")


class QuickLoop(SteppingLoop):
    """Without sockets, without debug mode, never called from other threads, and never closed while in use."""

    def __init__(self) -> None:
        super().__init__()
        self.clock._select = lambda _: []  # noqa: SLF001 - no socket is ever ready here
        self.stood_s = 0.0
        """How long something blocked it."""

    def start_over(self, seed: int | None = None) -> None:
        super().start_over(seed)
        self.stood_s = 0.0

    def stand_still(self, seconds: float) -> None:
        """Be blocked: the clock goes on, and what is due meanwhile comes late and together."""
        self.clock.now += seconds
        self.stood_s += seconds

    def ran_s(self) -> float:
        """How long it has run, without what blocked it: what a caller may expect of a time limit."""
        return self.clock.now - self.stood_s

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._waiting_calls.append(handle)
        return handle

    def call_at(
        self, when: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        timer: Any = asyncio.TimerHandle(when, callback, args, self, context)
        heapq.heappush(self._timer_heap, timer)
        timer._scheduled = True  # noqa: SLF001
        return timer  # type: ignore[no-any-return]

    def call_later(
        self, delay: float, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.clock.now + delay, callback, *args, context=context)

    @contextmanager
    def known(self) -> Iterator[None]:
        """Have ``asyncio.get_running_loop()`` give this one unasked, for the length of the block, in which it runs.

        CPython 3.11 asks the kernel for the process's number each time, which would be an eighth of a schedule.
        """
        asked = asyncio.get_running_loop
        asyncio.get_running_loop = events.get_running_loop = lambda: self
        try:
            yield
        finally:
            asyncio.get_running_loop = events.get_running_loop = asked
