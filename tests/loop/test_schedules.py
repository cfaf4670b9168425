"""Random schedules of callers, cancellations and faults: after each step, and at the end, what must be true is.

``DBPOOL_SCHEDULES=100000 pytest tests/loop/test_schedules.py`` runs more than the few that every build does; a seed
that fails is run again alone with ``DBPOOL_SEED=...``.
"""

from __future__ import annotations

import asyncio
import os
import random
from typing import Any

import asyncpg
import pytest

from dbpool.connection import Want
from dbpool.core.pacing import Rate
from dbpool.core.permits import Line
from dbpool.errors import AcquireTimeout, DbPoolError, QueryTimeout
from tests.support.fakes import new_pool
from tests.support.loops import JumpingLoop, SteppingLoop, now, outcomes, run
from tests.support.script import NEVER, Reply, Script

SCHEDULES = int(os.environ.get("DBPOOL_SCHEDULES", "320"))
BATCH = max(1, SCHEDULES // 8)
FIRST = int(os.environ.get("DBPOOL_SEED", "0"))
RESET_S = 0.5
QUARANTINE_S = 1.0
LEEWAY_S = 0.0111  # a tick of the deadlines, and floating point

ALLOWED = (DbPoolError, asyncpg.PostgresError, asyncpg.InterfaceError)


class Schedule:
    """One run: a pool with random settings, callers, and somebody who makes trouble."""

    def __init__(self, seed: int, loop: SteppingLoop) -> None:
        self.random = rng = random.Random(seed)
        self.loop = loop
        self.pool = new_pool(
            rng.randint(1, 4),
            Script(
                connect_s=rng.choice([0.001, 0.05, 0.5]),
                clean_s=rng.choice([0.001, 0.02]),
                cancel_s=rng.choice([0.001, 0.05, NEVER]),
                discard_s=rng.choice([0.001, 0.02, NEVER]),
                lingers_s=rng.choice([0.0, 0.001, 0.3, 1.0, NEVER]),
                replies={
                    "fails": Reply(error=asyncpg.UniqueViolationError("twice")),
                    "spoils": Reply(error=asyncpg.InvalidSQLStatementNameError("forgotten")),
                    "slow": Reply(rng.choice([0.1, 0.5, NEVER])),
                    "dies": Reply(kills=True),
                    "numbers": Reply(takes=int),
                },
            ),
            max_waiting=rng.choice([None, None, 5]),
            min_connections=rng.choice([0, 1]),
            max_connecting=rng.randint(1, 3),
            reset_timeout=RESET_S,
            quarantine_timeout=QUARANTINE_S,
            connect_timeout=1.0,
            query_timeout=1.0,
            acquire_timeout=2.0,
            outage_patience=rng.choice([0.2, 2.0]),
            max_lifetime=rng.choice([1.0, 1000.0]),
            max_idle=rng.choice([1.0, 1000.0]),
            reset=rng.choice(["smart", "smart", "always"]),
        )
        self.lines = [self.pool.leases.gate.line]
        for name in rng.choice(["", "", "a", "abc"]):
            reserved = rng.randint(0, 1) if self.lendable > 1 else 0
            self.lines.append(self.pool.lane(name, rng.choice([None, 1, 2]), reserved, rng.choice([None, Rate(100)])))
        self.callers: list[asyncio.Task[Any]] = []
        self.cancelled_at: dict[asyncio.Task[Any], float] = {}

    @property
    def lendable(self) -> int:
        """Permits that no lane reserves."""
        return self.pool.settings.max_connections - sum(line.reserved for line in self.lines)

    async def ask(self, name: int) -> None:
        sql = self.random.choice(
            ["select"] * 6 + ["sets", "sets", "fails", "spoils", "slow", "dies", "numbers", "begin"]
        )
        timeout = self.random.choice([None, None, 0.01, 0.3, 2.0])
        began = now()
        caller = f"caller {name}"
        try:
            assert await self.pool.ask(sql, caller, timeout=timeout, line=self.random.choice(self.lines)) == [[caller]]
        except (QueryTimeout, AcquireTimeout):
            assert now() - began <= (timeout or 3.0) + LEEWAY_S
            assert now() - began >= (timeout or 1.0) - LEEWAY_S
            raise

    async def lease(self, name: int) -> None:
        timeout = self.random.choice([0.01, 0.3, 2.0])
        began = now()
        caller = f"caller {name}"
        try:
            lease = self.pool.leases.lease(timeout, self.random.choice(self.lines))
            connection = await lease.__aenter__()
        except DbPoolError:
            assert now() - began <= timeout + LEEWAY_S
            raise
        assert now() - began <= timeout + LEEWAY_S
        try:
            for _ in range(self.random.randint(0, 3)):
                sql = self.random.choice(["select", "select", "sets", "slow", "fails", "begin"])
                connection.keeps_session = connection.keeps_session and sql != "sets"
                assert await connection.run(sql, (caller,), Want.ROWS, 0.3) == [[caller]]
                await asyncio.sleep(self.random.choice([0, 0.01, 0.2]))
        except BaseException as error:
            await lease.__aexit__(type(error), error, error.__traceback__)
            raise
        else:
            await lease.__aexit__(None, None, None)

    async def make_trouble(self) -> None:
        rng, script = self.random, self.pool.driver.script
        for _ in range(rng.randint(0, 25)):
            await asyncio.sleep(rng.choice([0, 0, 0.001, 0.01, 0.1, 0.5]))
            open_now = sorted(self.pool.driver.open_now, key=lambda connection: connection.number)
            match rng.randrange(10):
                case 0 | 1 | 2 | 3 if self.callers:
                    self.cancel(rng.choice(self.callers))
                case 4 if open_now:
                    rng.choice(open_now).lose()
                case 5 if open_now:
                    rng.choice(open_now).peer_is_gone = True
                case 6:
                    script.connect_faults.append(rng.choice([ConnectionRefusedError(), 0.7, NEVER, None]))
                case 7:
                    denied = asyncpg.InvalidPasswordError("no")
                    script.connect_error = rng.choice([None, None, ConnectionRefusedError(), denied])
                case 8:
                    script.clean_error = rng.choice([None, None, ValueError("no reset today")])
                case 9 if open_now:
                    rng.choice(open_now).terminate()
        script.connect_error = script.clean_error = None

    def cancel(self, task: asyncio.Task[Any]) -> None:
        if not task.done():
            self.cancelled_at.setdefault(task, now())
            task.cancel()

    def check_ended(self, task: asyncio.Task[Any]) -> None:
        if task in self.cancelled_at and task.cancelled():
            assert now() == self.cancelled_at[task], "a cancelled caller was kept waiting"

    async def main(self) -> None:
        rng, pool = self.random, self.pool
        await pool.leases.open()
        self.loop.check = pool.check
        trouble = asyncio.create_task(self.make_trouble())
        for name in range(rng.randint(5, 30)):
            caller = asyncio.create_task(rng.choice([self.ask, self.ask, self.lease])(name))
            caller.add_done_callback(self.check_ended)
            self.callers.append(caller)
            if rng.random() < 0.4:
                await asyncio.sleep(rng.choice([0, 0.001, 0.01, 0.1, 1.5]))
        closes = rng.random() < 0.3
        if closes:
            await asyncio.sleep(rng.choice([0, 0.01, 0.3]))
            await pool.leases.close(rng.choice([0.01, 0.5, 5.0]))
        results = await outcomes(*self.callers)
        await trouble
        for caller, result in zip(self.callers, results, strict=True):
            was_cancelled = isinstance(result, asyncio.CancelledError) and caller in self.cancelled_at
            assert result is None or was_cancelled or isinstance(result, (*ALLOWED, TimeoutError)), repr(result)
        await self.check_end(closed=closes)

    async def check_end(self, *, closed: bool) -> None:
        pool = self.pool
        pool.driver.script.connect_faults.clear()
        pool.driver.script.connect_error = None
        await asyncio.sleep(2 * RESET_S + QUARANTINE_S + 2)
        if not closed:
            await self.use()  # the first after an outage finds that it is over
            async with asyncio.timeout(20):  # no permit is lost: as many at once as there are
                reserves = [self.use(line) for line in self.lines for _ in range(line.reserved)]
                await asyncio.gather(*reserves, *(self.use() for _ in range(self.lendable)))
            await asyncio.sleep(2 * RESET_S + QUARANTINE_S)
            await pool.leases.close(5)
        await asyncio.sleep(20)
        pool.check()
        assert (pool.leases.gate.held, pool.leases.gate.waiting, pool.leases.zombies) == (0, 0, 0)
        assert pool.driver.size == pool.driver.connecting == 0

    async def use(self, line: Line | None = None) -> None:
        async with self.pool.leases.lease(15, line):
            await asyncio.sleep(1)


def play(seed: int) -> SteppingLoop:
    loop = SteppingLoop(seed if seed % 2 else None)  # half in asyncio's own order, half shuffled
    schedule = Schedule(seed, loop)
    try:
        run(schedule.main(), lambda: loop)
    except BaseException as error:
        error.add_note(f"in the schedule of DBPOOL_SEED={seed}")
        raise
    return loop


@pytest.mark.timeout(0 if SCHEDULES > 1000 else 60)
@pytest.mark.parametrize(
    "first", range(FIRST, FIRST + SCHEDULES if "DBPOOL_SEED" not in os.environ else FIRST + 1, BATCH)
)
def test_no_schedule_breaks_what_must_always_be_true(first: int) -> None:
    for seed in range(first, first + (BATCH if "DBPOOL_SEED" not in os.environ else 1)):
        play(seed)


def test_a_schedule_is_the_same_each_time() -> None:
    assert [play(3).steps, play(3).steps] == [play(3).steps] * 2


def test_the_schedules_meet_trouble() -> None:
    """Most of what can go wrong does, in a few dozen schedules: else they would prove nothing."""
    met: set[str] = set()
    for seed in range(40):
        loop = SteppingLoop()
        schedule = Schedule(seed, loop)
        run(schedule.main(), lambda loop=loop: loop)  # type: ignore[misc]
        for caller in schedule.callers:
            met.add("cancelled" if caller.cancelled() else type(caller.exception()).__name__)
    wanted = "AcquireTimeout ConnectionLost LineFull PoolClosed QueryTimeout ServerUnavailable cancelled"
    assert {*wanted.split(), "UniqueViolationError"} <= met
    assert isinstance(loop, JumpingLoop)
