"""Event loops on which waiting takes no time: when nothing can run, their clock jumps to the next timer."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from contextvars import Context
from typing import Any, TypeVar, TypeVarTuple

from dbpool.errors import UsageError
from dbpool.knots import DeadlockWatch

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

_OWN_SOCKETS = 1  # by which other threads wake a loop


class Deadlock(AssertionError):
    """Every task waits, and no timer is set that could wake one."""


class JumpingClock:
    """A clock that moves while an event loop would sleep.

    Args:
        select: what the loop calls to sleep until a socket is ready or a time has passed, which is asked to do no more
            than to look.
        now: what it shows at first, in seconds.
    """

    def __init__(self, select: Callable[[float | None], list[Any]], now: float = 0.0) -> None:
        self._select = select
        self.now = now
        self.broken: BaseException | None = None
        self.settling: list[asyncio.Future[None]] = []
        self.on_jump: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self.now

    def select(self, timeout: float | None = None) -> list[Any]:
        """Instead of sleeping until the next timer, move there."""
        if self.broken is not None:
            broken, self.broken = self.broken, None
            raise broken
        ready = self._select(0)
        if ready or timeout == 0:
            return ready
        if self.settling:  # before the clock moves: nothing is ready, and no time has passed
            self.settling.pop().set_result(None)
        elif timeout is None:
            raise Deadlock("deadlock: nothing can ever run again; waiting are" + _waiting_tasks())
        else:
            self.on_jump()
            self.now += max(timeout, 0.0)
        return ready

    def settled(self) -> asyncio.Future[None]:
        """A future that is done once everything else is blocked, before the clock moves."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.settling.append(future)
        return future


def _waiting_tasks() -> str:
    lines = []
    for task in asyncio.all_tasks():
        stack = task.get_stack(limit=1)
        where = f"{stack[0].f_code.co_filename}:{stack[0].f_lineno}" if stack else "its end"
        lines.append(f"\n  {task.get_name()} of {task.get_coro()!r} at {where}")
    return "".join(sorted(lines)) or " no tasks"


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on which waiting takes no time: when nothing can run, its clock is set to the next timer.

    What a callback or a forgotten task raises is no mere log line here, it fails the test; so does a deadlock.
    """

    def __init__(self) -> None:
        selector: Any = selectors.DefaultSelector()
        self.clock = JumpingClock(selector.select)
        selector.select = self.clock.select
        self.timers_started = 0
        super().__init__(selector)
        self.set_exception_handler(self._fail)

    def time(self) -> float:
        return self.clock.now

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
        """Timers of a pool's look for deadlocks: it may have one while somebody waits, and for a moment longer."""
        return sum(map(_is_a_look, self._timers()))

    def _timers(self) -> list[asyncio.TimerHandle]:
        return [timer for timer in self._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]

    def settled(self) -> asyncio.Future[None]:
        """A future that is done once everything else is blocked, before the clock moves."""
        return self.clock.settled()

    def fail(self, error: BaseException) -> None:
        """Raise *error* out of the loop before anything else happens."""
        self.clock.broken = self.clock.broken or error

    def close(self) -> None:
        super().close()
        if self.clock.broken is not None:
            raise self.clock.broken

    def _fail(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = AssertionError(f"in the event loop: {context['message']} ({context!r})")
        error.__cause__ = context.get("exception")
        self.fail(error)


def _is_a_look(timer: asyncio.TimerHandle) -> bool:
    return isinstance(getattr(timer._callback, "__self__", None), DeadlockWatch)  # type: ignore[attr-defined] # noqa: SLF001


def run(main: Coroutine[Any, Any, T], loop: Callable[[], asyncio.AbstractEventLoop] = VirtualTimeLoop) -> T:
    """Run *main* to its end on a loop of its own, in virtual time: ``run(test())`` where there is no pytest-asyncio.

    Raises:
        Deadlock: nothing could ever run again.
    """
    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(main)


class VirtualTime:
    """The virtual time of a running loop: what the fixture ``virtual_time`` gives."""

    def __init__(self, clock: JumpingClock) -> None:
        self._clock = clock
        self._began = clock.now

    @property
    def elapsed(self) -> float:
        """Seconds that have passed since it began, by the loop's clock."""
        return self._clock.now - self._began

    async def settle(self) -> None:
        """Return once everything else is blocked; no time passes."""
        await self._clock.settled()


@contextmanager
def virtual_time() -> Iterator[VirtualTime]:
    """Have the running loop's clock jump for the length of the block; for asyncio's own loops.

    What waits for a socket or a thread does not wait in virtual time, so it belongs to unit tests: see ``FakePool``.

    Raises:
        UsageError: the loop has another way to sleep, as uvloop's; or it would jump while something waits for a socket.
    """
    loop: Any = asyncio.get_running_loop()
    selector = getattr(loop, "_selector", None)
    if selector is None:
        raise UsageError(f"virtual time needs one of asyncio's own event loops, not {type(loop).__module__}'s")
    if isinstance(loop, VirtualTimeLoop):
        yield VirtualTime(loop.clock)
        return
    clock = JumpingClock(selector.select, loop.time())
    clock.on_jump = lambda: _refuse_sockets(selector)
    selector.select, loop.time = clock.select, clock.time
    try:
        yield VirtualTime(clock)
    finally:
        del selector.select, loop.time


def _refuse_sockets(selector: selectors.BaseSelector) -> None:
    if len(selector.get_map()) > _OWN_SOCKETS:
        raise UsageError("virtual time cannot pass while a connection is open: what waits for it would be out of time")
