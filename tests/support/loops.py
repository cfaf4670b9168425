"""Event loops for tests: their clock jumps, a deadlock fails at once, the order of what is ready can be shuffled."""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Callable, Coroutine
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

from dbpool.knots import DeadlockWatch

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Deadlock(AssertionError):
    """Every task waits, and no timer is set that could wake one."""


class _JumpingSelector(selectors.DefaultSelector):
    """Instead of sleeping until the next timer, moves the clock there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.broken: BaseException | None = None
        self.settling: list[asyncio.Future[None]] = []

    def select(self, timeout: float | None = None) -> list[Any]:
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.settling:  # before the clock moves: nothing is ready, and no time has passed
            self.settling.pop().set_result(None)
        elif timeout is None:
            raise Deadlock("deadlock: nothing can ever run again; waiting are" + _waiting_tasks())
        else:
            self.now += max(timeout, 0.0)
        return ready


def _waiting_tasks() -> str:
    lines = []
    for task in asyncio.all_tasks():
        stack = task.get_stack(limit=1)
        where = f"{stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else "its end"
        lines.append(f"\n  {task.get_name()} of {task.get_coro()!r} at {where}")
    return "".join(sorted(lines)) or " no tasks"


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop on which waiting takes no time: when nothing can run, its clock is set to the next timer.

    What a callback or a forgotten task raises is no mere log line here, it fails the test.
    """

    def __init__(self) -> None:
        self._clock = _JumpingSelector()
        self.timers_started = 0
        super().__init__(self._clock)
        self.set_exception_handler(self._fail)

    def time(self) -> float:
        return self._clock.now

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        timer = super().call_at(when, callback, *args, context=context)
        self.timers_started += not _is_a_look(timer)
        return timer

    @property
    def timers_set(self) -> int:
        """Timers that have not fired yet, without those that ``looks_set`` counts."""
        return sum(not _is_a_look(timer) for timer in self._timers())

    @property
    def looks_set(self) -> int:
        """Timers of a DeadlockWatch: it may have one for as long as somebody waits, and for a moment longer."""
        return sum(map(_is_a_look, self._timers()))

    def _timers(self) -> list[asyncio.TimerHandle]:
        return [timer for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    def settled(self) -> asyncio.Future[None]:
        """A future that is done once everything else is blocked, before the clock moves."""
        future: asyncio.Future[None] = self.create_future()
        self._clock.settling.append(future)
        return future

    def fail(self, error: BaseException) -> None:
        """Raise *error* out of the loop before anything else happens."""
        self._clock.broken = self._clock.broken or error

    def close(self) -> None:
        super().close()
        if self._clock.broken is not None:
            raise self._clock.broken

    def _fail(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = AssertionError(f"in the event loop: {context['message']} ({context!r})")
        error.__cause__ = context.get("exception")
        self.fail(error)


def _is_a_look(timer: asyncio.TimerHandle) -> bool:
    return isinstance(getattr(timer._callback, "__self__", None), DeadlockWatch)  # type: ignore[attr-defined] # noqa: SLF001


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


def run(main: Coroutine[Any, Any, T], loop: Callable[[], asyncio.AbstractEventLoop] = JumpingLoop) -> T:
    """Run *main* to its end on a loop of its own."""
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


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


async def cancel_at_suspension(work: Coroutine[Any, Any, T], at: int, *, times: int = 1) -> asyncio.Task[T]:
    """Run *work* and cancel it at its suspensions *at*, counted from 1, to *at* + *times* - 1; then let it end.

    Returns: its task, which is done; ``count_suspensions`` tells how many there are to choose from.
    """
    suspensions = 0

    def suspended() -> None:
        nonlocal suspensions
        suspensions += 1
        if at <= suspensions < at + times:
            asyncio.get_running_loop().call_soon(task.cancel)

    async def counted() -> T:
        result: T = await _Watched(work, suspended)
        return result

    task = asyncio.get_running_loop().create_task(counted())
    await asyncio.wait([task])
    return task


async def count_suspensions(work: Coroutine[Any, Any, object]) -> int:
    """Run *work* to its end; how many times it was suspended."""
    suspensions = 0

    def suspended() -> None:
        nonlocal suspensions
        suspensions += 1

    await _Watched(work, suspended)
    return suspensions


class _Watched:
    """Awaits a coroutine and tells of each of its suspensions."""

    def __init__(self, work: Coroutine[Any, Any, Any], suspended: Callable[[], None]) -> None:
        self._work = work
        self._suspended = suspended

    def __await__(self) -> Any:  # noqa: ANN401 - an iterator that takes what is sent and thrown
        return self

    def __iter__(self) -> _Watched:
        return self

    def __next__(self) -> object:
        return self.send(None)

    def send(self, value: object) -> object:
        waited_for = self._work.send(value)
        self._suspended()
        return waited_for

    def throw(self, error: BaseException) -> object:
        waited_for = self._work.throw(error)
        self._suspended()
        return waited_for

    def close(self) -> None:
        self._work.close()
