"""Runs an async function again and again, with another order of events each time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Coroutine
from typing import Any, Final

from dbpool.errors import UsageError
from dbpool.settings import whole_number
from dbpool.testing.stepping import SteppingLoop
from dbpool.testing.virtualtime import run

OWN_ORDER: Final = 0
"""The seed that stands for asyncio's own order."""


class BrokenBySchedule(AssertionError):
    """In one of the schedules something went wrong; the cause is what the function or the check raised.

    Attributes:
        seed: of that schedule.
        steps: of the event loop until then.
    """

    def __init__(self, text: str, seed: int, steps: int) -> None:
        super().__init__(text)
        self.seed, self.steps = seed, steps


def explore_schedules(main: Callable[[], Coroutine[Any, Any, object]], *, schedules: int = 200, seed: int = 0) -> int:
    """Run *main* to its end *schedules* times, in virtual time, each time in another order of what is ready.

    Nothing of it may wait for a socket or a thread: it is for ``FakePool`` and what stands on it.

    Args:
        main: makes the coroutine to run.
        schedules: how many, at least 1.
        seed: of the first; the next has the next. 0 is asyncio's own order, any other one shuffles.
    Returns: steps of the event loop, of all schedules together.
    Raises:
        BrokenBySchedule: *main*, or what it gave to ``at_every_step``, raised. Its seed runs the same schedule again.
        UsageError: an event loop runs already, so that none can be run here.
        SettingsError: a number is out of range.
    """
    first = whole_number(seed, "seed", 0)
    total = whole_number(schedules, "schedules", 1)
    if asyncio._get_running_loop() is not None:  # noqa: SLF001 - the public one raises
        raise UsageError("explore_schedules() runs event loops of its own: call it where none runs, in a plain test")
    before = random.getstate()
    try:
        return sum(_play(main, number) for number in range(first, first + total))
    finally:
        random.setstate(before)


def _play(main: Callable[[], Coroutine[Any, Any, object]], seed: int) -> int:
    random.seed(seed)  # the pool's own jitter
    loop = SteppingLoop(None if seed == OWN_ORDER else seed)
    try:
        run(main(), lambda: loop)
    except Exception as error:
        name = getattr(main, "__name__", "main")
        raise BrokenBySchedule(
            f"{type(error).__name__} in the schedule of seed {seed}, after {loop.steps} steps: {error}. Run it alone "
            f"with explore_schedules({name}, seed={seed}, schedules=1).",
            seed,
            loop.steps,
        ) from error
    return loop.steps


def at_every_step(check: Callable[[], object]) -> None:
    """Call *check* after every step of the running loop, which ends at once with the AssertionError that it raises.

    Raises:
        UsageError: the loop is no ``SteppingLoop``, so nobody looks.
    """
    loop = asyncio.get_running_loop()
    if not isinstance(loop, SteppingLoop):
        raise UsageError(f"at_every_step() needs a SteppingLoop, as explore_schedules() has, not {type(loop).__name__}")
    loop.check = check
