"""How late an event loop is: what its own timers miss by, no waiter can be blamed for."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

_EVERY_S: Final = 0.005
_KEPT: Final = 4000  # twenty seconds


class LoopLag:
    """Of a loop, for as long as it is watched."""

    def __init__(self) -> None:
        self.worst_s = 0.0
        self._due = float("inf")
        self._seen: deque[tuple[float, float]] = deque(maxlen=_KEPT)

    async def watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = self._due = clock() + _EVERY_S
            await asyncio.sleep(_EVERY_S)
            late = max(0.0, clock() - due)
            self._seen.append((due, late))
            self.worst_s = max(self.worst_s, late)

    def within(self, last_s: float) -> float:
        """How late all of its timers of the last seconds were together: what a chain of them may have lost."""
        now = asyncio.get_running_loop().time()
        overdue = max(0.0, now - self._due)  # the timer that has not run yet, where the loop was away until just now
        return overdue + sum(late for due, late in self._seen if due + late >= now - last_s)


@asynccontextmanager
async def watched_lag() -> AsyncIterator[LoopLag]:
    lag = LoopLag()
    task = asyncio.create_task(lag.watch(), name="loop lag")
    try:
        yield lag
    finally:
        task.cancel()
        await asyncio.wait([task])
