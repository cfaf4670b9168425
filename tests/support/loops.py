"""Event loops for tests: their clock jumps, a deadlock fails at once, the order of what is ready can be shuffled."""

from __future__ import annotations

import asyncio
from typing import Any

from dbpool.testing.stepping import SteppingLoop
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
