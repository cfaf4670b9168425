"""Many sessions at a time, each with a proxy of its own, and what the loop heard of them beside."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.rigs.looplag import watched_lag
from tests.rigs.wire.spots import Spot
from tests.rigs.wire.trial import Contender, Trial, one_trial

# What asyncpg says to the loop, and nobody can keep it from: the first is what it waits for at the end of a COPY, and
# forgets where the connection is lost before it gets there; the second is a ReadyForQuery that nobody waits for, upon
# which it closes the connection. Callers are told by other errors.
_LOST = "ConnectionDoesNotExistError: connection was closed in the middle of operation"
ASYNCPGS_NOISE = (
    f"Future exception was never retrieved: {_LOST}",
    "Fatal error: protocol.data_received() call failed.: "
    "AttributeError: 'NoneType' object has no attribute 'cancelled'",
)


@dataclass(slots=True)
class Batch:
    """What came of sessions that ran together."""

    trials: list[Trial]
    lag_s: float
    """The worst that a timer of this loop was late by."""
    noise: list[str] = field(default_factory=list)
    """What reached the loop's exception handler: tasks that nobody awaited, protocols that failed."""

    def late(self) -> list[Trial]:
        """Those whose awaits took longer than they may, and than this loop's lateness tells: to be tried again alone.

        What waits passes some ten timers and turns on its way; each may be late by as much.
        """
        limit = 0.1 + 10 * self.lag_s
        return [each for each in self.trials if each.failed or any(wait.over_s > limit for wait in each.caller.late)]


async def together(
    contender: Contender, dsn: str, spots: Iterator[Spot], numbers: Iterator[int], *, at_once: int, for_s: float
) -> Batch:
    """Run a session for each of *spots*, *at_once* at a time, until there are none or *for_s* seconds are over.

    At least *at_once* of them are run. *numbers* gives each caller its own.
    """
    noise: list[str] = []
    trials: list[Trial] = []
    clock = asyncio.get_running_loop().time
    ends_at = clock() + for_s

    async def work() -> None:
        for spot in spots:
            trials.append(await one_trial(contender, dsn, spot, next(numbers)))
            if clock() > ends_at:
                return

    with heard(noise):
        async with watched_lag() as lag:
            await asyncio.gather(*(work() for _ in range(at_once)))
        gc.collect()  # a task that nobody awaited says so when it goes
        await asyncio.sleep(0)
    return Batch(trials, lag.worst_s, noise)


@contextmanager
def heard(noise: list[str]) -> Iterator[None]:
    """Note what the loop's exception handler is told in the block."""

    def note(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        about = f": {type(error).__name__}: {error}" if error is not None else ""
        noise.append(f"{context.get('message')}{about}")

    loop = asyncio.get_running_loop()
    before = loop.get_exception_handler()
    loop.set_exception_handler(note)
    try:
        yield
    finally:
        loop.set_exception_handler(before)
