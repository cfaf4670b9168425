"""Who makes trouble in a schedule: each kind is a function, under the number that docs/faults.md has for it."""

from __future__ import annotations

import asyncio
import inspect
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast

import asyncpg

from dbpool.core.permits import Place
from dbpool.listening import Listeners
from dbpool.pausing import Pauses
from dbpool.sizing import Sizing
from tests.rigs.sim.callers import RESET_S, Caller, ran_s
from tests.rigs.sim.quick import QuickLoop
from tests.support.fakes import FakeConnection, Pool
from tests.support.script import NEVER, Reply

STALLED: Final = Reply(NEVER)


class _NoListeners:
    """A pool without listeners pauses none."""

    def pause(self) -> None:
        pass

    async def wait_paused(self, timeout: float) -> None:
        pass

    def resume(self) -> None:
        pass


@dataclass(slots=True)
class Trouble:
    """What happens to one pool and its callers."""

    pool: Pool
    random: random.Random
    callers: Sequence[Caller] = ()
    faults: Counter[int] = field(default_factory=Counter)
    cancellations: int = 0
    sizing: Sizing = field(init=False)
    pauses: Pauses = field(init=False)
    most: int = field(init=False)
    told: Callable[[str], object] = lambda _: None
    """Hears of each trouble, by its name."""
    pausing: list[asyncio.Task[None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        pool = self.pool
        self.most = pool.settings.max_connections
        self.sizing = Sizing(pool.leases, pool.upkeep, pool.settings)
        self.pauses = Pauses(pool.leases, pool.upkeep, cast(Listeners, _NoListeners()))

    async def make(self, times: int) -> None:
        for _ in range(times):
            await asyncio.sleep(self.random.choice([0, 0, 0.001, 0.01, 0.1, 0.5]))
            kind = self.random.choice(KINDS)
            self.told(kind.__name__)
            kind(self)
        await self.end()

    async def end(self) -> None:
        """Whatever goes on ends."""
        script = self.pool.driver.script
        script.connect_error = script.clean_error = None
        script.connect_faults.clear()
        script.replies.pop("select", None)
        script.ping_s = 0.001
        self.pauses.resume()
        if self.pausing:
            await asyncio.wait(self.pausing)
            self.pauses.resume()
        if not self.pool.leases.gate.is_closed:
            self.sizing.resize(self.most)

    # Callers

    def cancel_one(self) -> None:
        if self.callers:
            self.cancel(self.random.choice(self.callers), self.random.choice([1, 1, 2]))

    def cancel(self, caller: Caller, times: int = 1) -> None:
        task = caller.task
        if task.done():
            return
        self.faults[self._row(task)] += 1
        if self.pool.driver.script.cancel_s == NEVER:
            self.faults[16] += 1
        if times > 1:
            self.faults[12] += 1
        if caller.cancelled_at is None:
            caller.cancelled_at = ran_s()
        self.told(f"caller {caller.number} cancelled, {times} in a row")
        for _ in range(times):
            self.cancellations += 1
            task.cancel()

    def _row(self, task: asyncio.Task[Any]) -> int:
        """Where *task* is: in line, in the instant of its grant, without a connection yet, at work, or cleaning up."""
        gate = self.pool.leases.gate
        for holder in gate.holding:
            if holder.task is task:
                if holder.since == self.pool.leases.loop.time() and getattr(holder, "wakeup", None) is not None:
                    return 2
                return 6 if getattr(holder, "connection", None) is not None else 4
        for line in gate.lines:
            for ticket in line.tickets:
                if ticket.place is Place.WAITING and getattr(ticket, "task", None) is task:
                    return 1
        coroutine = task.get_coro()
        assert inspect.iscoroutine(coroutine)
        return 14 if inspect.getcoroutinestate(coroutine) == inspect.CORO_CREATED else 11

    # Connections

    def _open(self) -> list[FakeConnection]:
        return self.pool.driver.connections

    def lose_one(self) -> None:
        if found := self._open():
            lost = self.random.choice(found)
            self.faults[23 if lost in self.pool.leases.resting else 24] += 1  # type: ignore[comparison-overlap]
            lost.lose()

    def forget_one(self) -> None:
        if found := self._open():
            self.faults[27] += 1
            self.random.choice(found).peer_is_gone = True

    def terminate_one(self) -> None:
        if found := self._open():
            self.faults[28] += 1
            self.random.choice(found).terminate()

    def stall(self) -> None:
        """Whatever is asked from now on is not answered, or is again."""
        script = self.pool.driver.script
        if "select" in script.replies:
            script.replies.pop("select")
            script.ping_s = 0.001
        else:
            self.faults[25] += 1
            script.replies["select"] = STALLED
            script.ping_s = NEVER

    # The server

    def fail_connect(self) -> None:
        faults: list[Exception | float] = [ConnectionRefusedError(), 0.7, NEVER]
        fault = self.random.choice(faults)
        self.faults[32 if isinstance(fault, Exception) else 40] += 1
        self.pool.driver.script.connect_faults.append(fault)

    def go_down(self) -> None:
        self.faults[21] += 1
        self.pool.driver.script.connect_error = ConnectionRefusedError()
        for connection in self._open():
            connection.lose()

    def refuse_all(self) -> None:
        self.faults[35] += 1
        self.pool.driver.script.connect_error = asyncpg.InvalidPasswordError("no")

    def be_full(self) -> None:
        self.faults[33] += 1
        self.pool.driver.script.connect_error = asyncpg.TooManyConnectionsError("sorry, too many clients already")

    def start_up(self) -> None:
        self.faults[39] += 1
        self.pool.driver.script.connect_faults.append(asyncpg.CannotConnectNowError("the system is starting up"))

    def come_up(self) -> None:
        self.pool.driver.script.connect_error = None

    def fail_resets(self) -> None:
        self.faults[65] += 1
        self.pool.driver.script.clean_error = self.random.choice([None, ValueError("no reset today")])

    # The process

    def block(self) -> None:
        """Somebody's code keeps the loop busy, or the machine sleeps."""
        loop = self.pool.leases.loop
        assert isinstance(loop, QuickLoop)
        self.faults[75] += 1
        loop.stand_still(self.random.choice([0.05, 0.4, 1.2, 5.0]))

    # The pool's own switches

    def resize(self) -> None:
        pool = self.pool
        least = max(1, pool.settings.min_connections, 1 + sum(line.reserved for line in pool.leases.gate.lines))
        if not pool.leases.gate.is_closed and least <= self.most:
            self.sizing.resize(self.random.randint(least, self.most + 1))

    def pause(self) -> None:
        if not self.pool.leases.gate.is_closed:
            self.pausing.append(asyncio.create_task(self._pause()))

    async def _pause(self) -> None:
        seconds = self.random.choice([0.01, 0.3])
        began = ran_s()
        try:
            await self.pauses.pause(seconds, disconnect=self.random.random() < 0.5)
        except Exception:
            pass
        took_s = ran_s() - began
        assert took_s <= seconds + 2 * RESET_S, f"M6: pause() took {took_s:g} s of {seconds:g}"

    def resume(self) -> None:
        self.pauses.resume()

    def drain(self) -> None:
        if not self.pool.leases.gate.is_closed:
            self.pool.upkeep.drain(self.random.choice([0.0, 0.1]))


KINDS: Final = [
    *[Trouble.cancel_one] * 9,
    *[Trouble.lose_one, Trouble.forget_one, Trouble.terminate_one, Trouble.stall] * 2,
    *[Trouble.fail_connect, Trouble.go_down, Trouble.come_up, Trouble.refuse_all, Trouble.be_full, Trouble.start_up],
    *[
        Trouble.fail_resets,
        Trouble.block,
        Trouble.block,
        Trouble.resize,
        Trouble.resize,
        Trouble.pause,
        Trouble.resume,
        Trouble.resume,
        Trouble.drain,
    ],
]
