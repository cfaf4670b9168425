"""An event loop that looks after every step whether all is as it must be, and can shuffle what is ready."""

from __future__ import annotations

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable
from typing import Any

from dbpool.testing.virtualtime import VirtualTimeLoop


class SteppingLoop(VirtualTimeLoop):
    """A loop in virtual time that calls *check* after every step; what it raises comes out of the loop at once.

    Args:
        seed: chooses what runs next of what is ready; None: asyncio's own order. A shuffled order is more than asyncio
            promises, so a failure in it alone is a matter of robustness.
        check: raises AssertionError where something that must always be true is not.
    """

    def __init__(self, seed: int | None = None, check: Callable[[], object] = lambda: None) -> None:
        self.check = check
        self.steps = 0
        """Callbacks that have run: a task's run from one wait to the next is one."""
        self._random = None if seed is None else random.Random(seed)
        super().__init__()
        # asyncio's own, which it keeps for as long as it lives
        self._waiting_calls: deque[Any] = self._ready  # type: ignore[attr-defined]
        self._timer_heap: list[Any] = self._scheduled  # type: ignore[attr-defined]

    def start_over(self, seed: int | None = None) -> None:
        """Be as new: what is still ready or timed never runs. A new loop takes longer to make than many a schedule."""
        assert not self.is_running()
        self._waiting_calls.clear()
        self._timer_heap.clear()
        self._timer_cancelled_count = self.timers_started = self.steps = 0
        self._random = None if seed is None else random.Random(seed)
        self.check = self.clock.on_jump = lambda: None
        self.clock.now, self.clock.broken = 0.0, None
        self.clock.settling.clear()

    def _run_once(self) -> None:
        """As asyncio's: what is ready runs, then what has become due meanwhile; but it looks after each call."""
        ready, timers, clock = self._waiting_calls, self._timer_heap, self.clock
        while timers and timers[0]._cancelled:
            self._take_timer()
        if not ready or clock.broken is not None:
            until = None if not timers else max(0.0, timers[0]._when - clock.now)
            self._process_events(clock.select(0 if self._stopping else until))  # type: ignore[attr-defined]
        due = clock.now + self._clock_resolution  # type: ignore[attr-defined]
        while timers and timers[0]._when < due:
            ready.append(self._take_timer())
        for _ in range(len(ready)):
            handle = ready.popleft() if self._random is None else self._pick(self._random)
            if handle._cancelled:
                continue
            handle._run()
            self.steps += 1
            try:
                self.check()
            except AssertionError as error:
                self.check = lambda: None  # what follows is the end of what is broken
                self.fail(error)
            if clock.broken is not None:
                return

    def _take_timer(self) -> asyncio.TimerHandle:
        timer: Any = heapq.heappop(self._timer_heap)
        timer._scheduled = False
        if timer._cancelled:
            self._timer_cancelled_count -= 1
        return timer  # type: ignore[no-any-return]

    def _pick(self, chance: random.Random) -> Any:
        ready = self._waiting_calls
        at = int(chance.random() * len(ready))  # a third of the price of randrange()
        handle = ready[at]
        del ready[at]
        return handle
