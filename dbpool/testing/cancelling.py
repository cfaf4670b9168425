"""Runs an async function again and again, disturbed at another of its suspensions each time."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from types import FrameType
from typing import Any, Final, TypeAlias

from dbpool.awaits import chain_from
from dbpool.errors import UsageError
from dbpool.finish import finish
from dbpool.pool import DatabasePool
from dbpool.settings import positive_seconds, whole_number
from dbpool.testing.leftovers import at_rest
from dbpool.testing.suspensions import awaited
from dbpool.wording import counted

Check: TypeAlias = Callable[[], Awaitable[object] | object]
Disturb: TypeAlias = str | Callable[[], object]

MOST_RUNS: Final = 2000
WITHIN_S: Final = 10.0
TOLD_EVERY: Final = 100  # runs
_WAYS: Final = ("cancel", "timeout")


class BrokenBySuspension(AssertionError):
    """A run that was disturbed went wrong; the cause is the check's error, if it was the check that failed.

    Attributes:
        at: the suspension, from 1; ``again`` the second one, None if there was none.
        stack: where the function stood then, outermost first, as ``app/jobs.py:41 in nightly``.
    """

    def __init__(self, text: str, at: int, again: int | None, stack: tuple[str, ...]) -> None:
        super().__init__(text)
        self.at, self.again, self.stack = at, again, stack


@dataclass(frozen=True, slots=True)
class Explored:
    """What ``cancel_everywhere`` has done."""

    suspensions: int
    """Of a run that is not disturbed."""
    runs: int
    disturbed_total: int
    """Runs that were."""
    is_complete: bool
    """False: the limit ended it."""

    def __str__(self) -> str:
        end = "" if self.is_complete else "; stopped by the limit, so some were not tried"
        return f"{counted(self.suspensions, 'suspension')}, {counted(self.runs, 'run')}{end}"


class _Run:
    """One run, disturbed at its suspension *at*, and at *again* if that is not None; both are counted from 1."""

    def __init__(self, work: Coroutine[Any, Any, object], at: int, again: int | None, disturb: Disturb) -> None:
        self._work = work
        self.at, self.again, self.disturb = at, again, disturb
        self.suspensions = 0
        self.stack: tuple[str, ...] = ()
        self.was_disturbed = False
        self._limit: asyncio.Timeout | None = None
        self.task: asyncio.Task[object] | None = None

    async def run(self, within_s: float) -> None:
        """Run it to its end; whatever it returns or raises is its own affair.

        Raises:
            TimeoutError: it has not ended in time, and was cancelled.
        Cancelling: cancels it, too, and waits as long again for its end.
        """
        self.task = asyncio.create_task(self._limited(), name="cancel_everywhere")
        self.task.add_done_callback(_look_at)
        try:
            done, _ = await asyncio.wait([self.task], timeout=within_s)
        except asyncio.CancelledError:
            await finish(self._end(self.task, within_s))
            raise
        if not done:
            self.stack = stack_of(self._work)
            await finish(self._end(self.task, within_s))
            raise TimeoutError

    async def _end(self, task: asyncio.Task[object], within_s: float) -> None:
        task.cancel()
        await asyncio.wait([task], timeout=within_s)

    async def _limited(self) -> None:
        async with asyncio.timeout(None) as self._limit:
            await awaited(self._work, self._suspended)

    def _suspended(self) -> None:
        self.suspensions += 1
        if self.suspensions in (self.at, self.again):
            # Not at once: what is thrown into a coroutine from outside finds it in a state that no task is ever in.
            asyncio.get_running_loop().call_soon(self._disturb)

    def _disturb(self) -> None:
        assert self.task is not None
        if self.task.done():
            return
        self.stack, self.was_disturbed = stack_of(self._work), True
        if callable(self.disturb):
            self.disturb()
        elif self.disturb == "timeout" and self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time())
        else:
            self.task.cancel()

    def __str__(self) -> str:
        how = "disturbed" if callable(self.disturb) else "out of time" if self.disturb == "timeout" else "cancelled"
        again = "" if self.again is None else f" and again at {self.again}"
        stack = "".join(f"\n    {frame}" for frame in self.stack)
        return f"{how} at suspension {self.at}{again}, where it stood at{stack or ' its end'}"


def _look_at(task: asyncio.Task[object]) -> None:
    """What it raised is its own affair, and nothing for the loop to complain of."""
    if not task.cancelled():
        task.exception()


async def cancel_everywhere(
    coro_fn: Callable[[], Coroutine[Any, Any, object]],
    *,
    pool: DatabasePool | None = None,
    check: Check | None = None,
    by: Disturb = "cancel",
    again: bool = True,
    within: float = WITHIN_S,
    limit: int = MOST_RUNS,
    progress: Callable[[str], object] | None = None,
) -> Explored:
    """Run ``coro_fn()`` again and again, cancelled at its first suspension, its second, and so on.

    A suspension is an ``await`` that really waits. After each run the pool must be as if nobody had been there:
    nobody holds or waits, and no more connections are open than may be; then *check* says whether all else is right.
    What the function itself raises is not looked at.

    Args:
        coro_fn: called without arguments for each run; what it needs anew each time, it makes itself.
        pool: whose invariants are looked at, a DatabasePool or FakePool; None: only *check* is called.
        check: called after each run, awaited if need be; raises where something is wrong.
        by: "cancel"; "timeout", as by an ``asyncio.timeout`` around it; or a function that is called instead, as
            ``proxy.end_all`` or ``fake.lose_connections``.
        again: after one cancellation, cancel a second time at each suspension of the cleanup, too.
        within: seconds for each run to end, and for the pool to be at rest afterwards.
        limit: runs at the most; the result tells if there would have been more.
        progress: called with a sentence every hundred runs.
    Returns: how many suspensions there were, and how many runs.
    Raises:
        BrokenBySuspension: with the suspension, and where the function stood; the first that is found.
        UsageError: *coro_fn* makes no coroutine, or never suspends.
    Cancelling: ends the run that is under way, and waits for that, *within* seconds at the most.
    Example: ``await cancel_everywhere(lambda: transfer(db, 1, 2), pool=db, check=books_balance)``
    """
    whole_number(limit, "limit", 1)
    positive_seconds(within, "within")
    if not callable(by) and by not in _WAYS:
        raise UsageError(f"by must be 'cancel', 'timeout' or a function, not {by!r}")
    explorer = _Explorer(coro_fn, pool, check, by, within, limit, progress)
    return await explorer.explore(again=again and not callable(by))


class _Explorer:
    """The runs so far."""

    def __init__(
        self,
        coro_fn: Callable[[], Coroutine[Any, Any, object]],
        pool: DatabasePool | None,
        check: Check | None,
        by: Disturb,
        within: float,
        limit: int,
        progress: Callable[[str], object] | None,
    ) -> None:
        self._make = coro_fn
        self._pool, self._check, self._by, self._within = pool, check, by, within
        self._limit, self._progress = limit, progress
        self._runs = self._disturbed = 0

    async def explore(self, *, again: bool) -> Explored:
        whole = await self._try(0, None)  # never disturbed
        if not whole.suspensions:
            raise UsageError("the function never suspends, so there is nowhere to cancel it")
        at = 0
        is_complete = False
        while not is_complete and self._runs < self._limit:
            at += 1
            run = await self._try(at, None)
            is_complete = not run.was_disturbed  # it came to its end before
            if again and run.was_disturbed:
                for second in range(at + 1, run.suspensions + 1):
                    if self._runs >= self._limit:
                        break
                    await self._try(at, second)
        return Explored(whole.suspensions, self._runs, self._disturbed, is_complete)

    async def _try(self, at: int, again: int | None) -> _Run:
        work = self._make()
        if not inspect.iscoroutine(work):
            raise UsageError(f"cancel_everywhere() needs a function that makes coroutines; it made {work!r}")
        run = _Run(work, at, again, self._by)
        try:
            await run.run(self._within)
        except TimeoutError:
            raise self._broken(run, f"did not end in {self._within:g} s") from None
        await self._look(run)
        self._runs += 1
        self._disturbed += run.was_disturbed
        if self._progress is not None and self._runs % TOLD_EVERY == 0:
            self._progress(f"cancel_everywhere: {self._runs} runs, at suspension {at} now")
        return run

    async def _look(self, run: _Run) -> None:
        pool = self._pool
        if pool is not None:
            if not await at_rest(pool, self._within):
                raise self._broken(run, f"left something in the pool:\n  {pool.report()}")
            stats = pool.stats()
            if stats.connections + stats.opening > stats.capacity:
                raise self._broken(run, f"left too many connections: {stats}")
        try:
            if self._check is not None:
                checked = self._check()
                if inspect.isawaitable(checked):
                    await checked
        except Exception as error:
            raise self._broken(run, f"was followed by {type(error).__name__}: {error}") from error

    def _broken(self, run: _Run, what: str) -> BrokenBySuspension:
        text = f"a run {what}\n  {run}" if run.at else f"a run that nothing disturbed {what}"
        return BrokenBySuspension(text, run.at, run.again, run.stack)


def stack_of(work: Coroutine[Any, Any, object]) -> tuple[str, ...]:
    """Where a coroutine that waits stands, with frames of this package and the driver: they may be what is wrong."""
    frames = []
    for each in chain_from(work):
        names = ("cr_frame", "ag_frame", "gi_frame")
        frame = next((getattr(each, name) for name in names if hasattr(each, name)), None)
        if isinstance(frame, FrameType):
            frames.append(f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_qualname}")
    return tuple(frames)
