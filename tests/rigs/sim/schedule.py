"""One run of a pool with random settings: callers, cancellations and faults, all chosen by a seed."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from dbpool.core.permits import Line
from dbpool.errors import AcquireTimeout, ServerUnavailable
from dbpool.testing.suspensions import Watched
from tests.rigs.sim.callers import (
    ALLOWED,
    CONNECT_S,
    QUARANTINE_S,
    RESET_S,
    Caller,
    Callers,
    Fatal,
    ran_s,
)
from tests.rigs.sim.making import borrowed_loop, give_back, some_lines, some_pool
from tests.rigs.sim.oracle import LEEWAY_S, Oracle
from tests.rigs.sim.trouble import Trouble
from tests.support.loops import now, outcomes

LONGEST_BACKOFF_S: Final = 1.0  # as documented, not as the code under test has it
LONG_EVERY: Final = 50  # schedules; a long one takes four times as long as a short one


@dataclass(slots=True)
class Played:
    """What happened in one schedule, or in several."""

    schedules: int = 0
    steps: int = 0
    callers: int = 0
    grants: int = 0
    cancellations: int = 0
    faults: Counter[int] = field(default_factory=Counter)

    def add(self, other: Played) -> None:
        self.schedules += other.schedules
        self.steps += other.steps
        self.callers += other.callers
        self.grants += other.grants
        self.cancellations += other.cancellations
        self.faults.update(other.faults)


class Schedule:
    """The schedule that *seed* makes: every ``LONG_EVERY``-th is long; every second one is shuffled."""

    def __init__(self, seed: int) -> None:
        self.random = rng = random.Random(seed)
        self.is_long = seed % LONG_EVERY == 0
        self.loop = borrowed_loop(seed if seed % 2 else None)
        self.pool = some_pool(rng)
        self.lines = some_lines(rng, self.pool)
        self.callers: list[Caller] = []
        self.used_at = 0.0
        self.oracle = Oracle(self.pool)
        self.work = Callers(self.pool, self.lines, rng, self.oracle)
        self.trouble = Trouble(self.pool, rng, self.callers)

    def play(self) -> Played:
        """Run it to its end.

        Raises:
            AssertionError: something that must always be true was not; the text begins with the goal's number.
        """
        random.seed(self.random.random())  # the pool's own jitter
        self._run()
        return self.so_far()

    def so_far(self) -> Played:
        """What has happened until now."""
        faults = self.trouble.faults + Counter({63: self.work.closed, 64: self.work.fatal, 15: self.work.timed_out})
        grants = sum(line.granted_total for line in self.pool.leases.gate.lines)
        return Played(1, self.loop.steps, len(self.callers), grants, self.trouble.cancellations, faults)

    def _run(self) -> None:
        loop = self.loop
        try:
            with loop.known():
                loop.run_until_complete(self._main())
            left = asyncio.all_tasks(loop)
            assert not left, f"M1: tasks are left when all is closed: {left}"
            give_back(loop)
        except BaseException:
            loop.set_exception_handler(lambda *_: None)
            loop.check = loop.clock.on_jump = lambda: None
            for task in asyncio.all_tasks(loop):
                task.cancel()
            with suppress(BaseException):
                loop.run_until_complete(asyncio.sleep(1000))
            loop.close()
            raise

    async def _main(self) -> None:
        rng, pool = self.random, self.pool
        await pool.leases.open()
        self.loop.check, self.loop.clock.on_jump = self.oracle.after_step, self.oracle.before_jump
        if self.is_long or rng.random() < 0.5:
            pool.upkeep.start()
        trouble = asyncio.create_task(self.trouble.make(rng.randint(0, 25 if self.is_long else 4)))
        for number in range(rng.randint(5, 30) if self.is_long else rng.randint(2, 4)):
            self._start(number)
            if rng.random() < 0.4:
                await asyncio.sleep(rng.choice([0, 0.001, 0.01, 0.1, 1.5]))
        closes = rng.random() < 0.2
        if closes:
            await asyncio.sleep(rng.choice([0, 0.01, 0.3]))
            await self._close(rng.choice([0.01, 0.5, 5.0]))
        results = await outcomes(*(caller.task for caller in self.callers))
        await trouble
        for caller, result in zip(self.callers, results, strict=True):
            was_cancelled = isinstance(result, asyncio.CancelledError) and caller.cancelled_at is not None
            if isinstance(result, AssertionError):
                raise result
            if caller.cancelled_at is not None:
                assert was_cancelled, f"M6: caller {caller.number} was cancelled, and got {result!r}"
            assert result is None or was_cancelled or isinstance(result, (*ALLOWED, Fatal)), f"M5: {result!r}"
        await self._end(closed=closes)

    def _start(self, number: int) -> None:
        """Begin a caller, which may be cancelled at one of its next waits."""
        rng, caller = self.random, Caller(number)
        if rng.random() < 0.8:
            work = self._cancelled_at(caller, rng.choice([1, 1, 2, 2, 3]), rng.randint(1, 3))
        else:
            work = self.work.work(caller)
        caller.task = asyncio.create_task(work)
        caller.task.add_done_callback(lambda _: self._ended(caller))
        self.callers.append(caller)
        if rng.random() < 0.03:
            self.trouble.cancel(caller)  # before its first turn

    async def _cancelled_at(self, caller: Caller, at: int, times: int) -> None:
        """Its work, cancelled in a row at its suspensions *at* to *at* + *times* - 1."""
        suspensions = 0

        def suspended() -> None:
            nonlocal suspensions
            suspensions += 1
            if at <= suspensions < at + times:
                self.loop.call_soon(self.trouble.cancel, caller)

        await Watched(self.work.work(caller), suspended)

    def _ended(self, caller: Caller) -> None:
        if caller.cancelled_at is not None and caller.task.cancelled():
            took_s = ran_s() - caller.cancelled_at
            assert took_s <= caller.ends_s + LEEWAY_S, f"M6: a cancelled caller was kept for {took_s:g} s"

    async def _close(self, timeout: float) -> None:
        gate = self.pool.leases.gate
        self.trouble.faults.update({66: bool(gate.waiting), 67: bool(gate.held)})
        began = ran_s()
        self.pool.upkeep.stop()
        await self.pool.leases.close(timeout)
        took_s = ran_s() - began
        assert took_s <= timeout + 3 * RESET_S, f"M6: close() took {took_s:g} s of {timeout:g}"

    async def _end(self, *, closed: bool) -> None:
        """Once everybody is gone and the server is well, the pool gives all that it has, and then closes."""
        pool = self.pool
        await asyncio.sleep(2 * RESET_S + QUARANTINE_S + 2)
        if not closed:
            if self.is_long:
                await self._outage()
            began = now()
            if pool.leases.connector.hindrance is not None:
                await self._recovered()
            # No permit is lost: as many at once as there are.
            reserves = [self._use(line) for line in self.lines for _ in range(line.reserved)]
            free = pool.leases.gate.capacity - len(reserves)
            await asyncio.gather(*reserves, *(self._use() for _ in range(free)))
            took_s = self.used_at - began - LONGEST_BACKOFF_S - CONNECT_S
            most_s = pool.settings.max_connections * (2 * RESET_S + QUARANTINE_S)  # if all that rest are dead
            assert took_s <= most_s + LEEWAY_S, f"M7: success came {took_s:g} s after it could have"
            await asyncio.sleep(2 * RESET_S + QUARANTINE_S)
            await self._close(5)
        await asyncio.sleep(20)
        self.oracle.after_step()
        gate = pool.leases.gate
        left = {"held": gate.held, "waiting": gate.waiting, "zombies": pool.leases.zombies}
        left |= {"open": pool.driver.size, "connecting": pool.driver.connecting, "cleanups": len(pool.leases.cleanups)}
        assert not any(left.values()), f"M1: left when all is closed: {left}"

    async def _outage(self) -> None:
        """The server is away for a while, in which somebody asks again and again."""
        loop, driver = self.loop, self.pool.driver
        self.trouble.go_down()
        back_at = loop.time() + self.random.choice([3, 10, 30])
        while loop.time() < back_at:
            with suppress(ServerUnavailable, AcquireTimeout):
                async with self.pool.leases.lease(5, site=self.work.arrival()):
                    pass
            await asyncio.sleep(0.5)
        driver.script.connect_error = None

    async def _recovered(self) -> None:
        """The first that asks when the next try is due finds that the server is back."""
        by = now() + CONNECT_S + LONGEST_BACKOFF_S + LEEWAY_S  # a connect that began before may fail yet
        while now() <= by:
            with suppress(ServerUnavailable):
                return await self._use()
            await asyncio.sleep(0.05)
        raise AssertionError("M7: the server is back, and callers are refused beyond the next try")

    async def _use(self, line: Line | None = None) -> None:
        async with self.pool.leases.lease(15, line, self.work.arrival()):
            self.used_at = now()
            await asyncio.sleep(0.01)
