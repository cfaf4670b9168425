"""Event loops for tests: their clock jumps, a deadlock fails at once, the order of what is ready can be shuffled."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from contextvars import Context
from typing import Any, TypeVarTuple

from dbpool.testing.suspensions import cancel_at_suspension, count_suspensions
from dbpool.testing.virtualtime import Deadlock, run
from dbpool.testing.virtualtime import VirtualTimeLoop as JumpingLoop

__all__ = [
    "Deadlock",
    "JumpingLoop",
    "SteppingLoop",
    "cancel_at_suspension",
    "count_suspensions",
    "now",
    "outcomes",
    "run",
    "running_loop",
    "settle",
]

Ts = TypeVarTuple("Ts")


class SteppingLoop(JumpingLoop):
    """A jumping loop that looks after every step whether *check* still holds.

    Args:
        check: raises where something that must always be true is not.
        seed: chooses what runs next of what is ready; None: asyncio's own order. A shuffled order is more than asyncio
            promises, so a failure in it alone is a matter of robustness.
    """

    def __init__(self, seed: int | None = None, check: Callable[[], None] = lambda: None) -> None:
        self.check = check
        self.steps = 0
        self._random = None if seed is None else random.Random(seed)
        self._ready_calls: list[tuple[asyncio.Handle, Callable[[], object], Context | None]] = []
        super().__init__()

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready_calls.append((handle, lambda: callback(*args), context))
        super().call_soon(self._step)
        return handle

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        def due() -> None:
            if not timer.cancelled():
                callback(*args)

        timer = super().call_at(when, lambda: self.call_soon(due), context=context)
        return timer

    def _step(self) -> None:
        calls = self._ready_calls
        at = 0 if self._random is None else self._random.randrange(len(calls))
        handle, call, context = calls.pop(at)
        if handle.cancelled():
            return
        self.steps += 1
        if context is None:
            call()
        else:
            context.run(call)
        try:
            self.check()
        except AssertionError as error:
            self.fail(error)


def running_loop() -> JumpingLoop:
    """The one in which the test runs."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop), loop
    return loop


async def settle() -> None:
    """Return once everything else is blocked; no time passes."""
    await running_loop().settled()


def now() -> float:
    """The running loop's clock, in seconds."""
    return asyncio.get_running_loop().time()


async def outcomes(*tasks: asyncio.Future[Any]) -> list[Any]:
    """What each returned or raised, once all are done."""
    return await asyncio.gather(*tasks, return_exceptions=True)
