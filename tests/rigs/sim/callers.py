"""What the callers of a schedule do, and what each of them must see."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any

import asyncpg

from dbpool.connection import Want
from dbpool.core.permits import Line
from dbpool.errors import AcquireTimeout, DbPoolError, QueryTimeout
from dbpool.lease import Lease
from tests.rigs.sim.oracle import LEEWAY_S, Arrival, Oracle
from tests.rigs.sim.quick import QuickLoop
from tests.support.fakes import Pool
from tests.support.loops import now

ACQUIRE_S = 2.0
QUERY_S = 1.0
RESET_S = 0.5
QUARANTINE_S = 1.0
CONNECT_S = 1.0

ALLOWED = (DbPoolError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError)

_ONE_SHOTS = ["select"] * 6 + ["sets", "sets", "fails", "spoils", "slow", "dies", "numbers", "begin"]
_IN_LEASE = ["select", "select", "sets", "slow", "fails", "begin"]


class Fatal(BaseException):
    """What a caller's own code raises, and no ``except Exception`` catches."""


@dataclass(slots=True, eq=False)
class Caller:
    """One of them, with its task."""

    number: int
    task: asyncio.Task[Any] = field(init=False)
    cancelled_at: float | None = None
    ends_s: float = 0.0
    """How long its end may take once it was cancelled, as it cleans up in its own task."""


@dataclass(slots=True)
class Callers:
    """Who uses the pool of a schedule."""

    pool: Pool
    lines: list[Line]
    random: random.Random
    oracle: Oracle
    asked: int = 0
    closed: int = 0
    fatal: int = 0
    timed_out: int = 0

    def work(self, caller: Caller) -> Coroutine[Any, Any, None]:
        """What *caller* is to do."""
        chance = self.random.random()
        if chance < 0.06:
            return self._close(caller)
        return self._ask(caller) if chance < 0.65 else self._lease(caller)

    def arrival(self) -> Arrival:
        self.asked += 1
        return Arrival(self.asked)

    def _answer(self, name: str, sql: str, line: Line, timeout: float | None) -> Coroutine[Any, Any, Any]:
        return self.pool.calls.run(
            line, sql, (name,), Want.ROWS, keeps_session=sql != "sets", timeout=timeout, site=self.arrival()
        )

    async def _ask(self, caller: Caller) -> None:
        rng, name = self.random, f"caller {caller.number}"
        sql, line, timeout = rng.choice(_ONE_SHOTS), rng.choice(self.lines), rng.choice([None, None, 0.01, 0.3, 2.0])
        limit_s = ACQUIRE_S + QUERY_S if timeout is None else timeout
        began, asked_at = ran_s(), now()
        try:
            answer = await self._answer(name, sql, line, timeout)
        except (QueryTimeout, AcquireTimeout):
            took_s = ran_s() - began
            assert took_s <= limit_s + LEEWAY_S, f"M6: told after {took_s:g} s that {limit_s:g} s are over"
            waited_s = now() - asked_at
            assert waited_s >= (timeout or QUERY_S) - LEEWAY_S, f"M6: out of time after {waited_s:g} s of {limit_s:g}"
            self.timed_out += 1
            raise
        finally:
            took_s = ran_s() - began - 2 * RESET_S  # for the cleanup that follows
            assert took_s <= limit_s + LEEWAY_S, f"M6: a statement took {took_s:g} s more than its {limit_s:g} s"
        assert answer == [[name]], f"M10: {name} got the answer {answer}"

    async def _lease(self, caller: Caller) -> None:
        rng, name = self.random, f"caller {caller.number}"
        timeout = rng.choice([0.01, 0.3, 2.0])
        began = ran_s()
        try:
            lease = self.pool.leases.lease(timeout, rng.choice(self.lines), self.arrival())
            connection: Any = await lease.__aenter__()
        except AcquireTimeout:
            self.timed_out += 1
            raise
        finally:
            took_s = ran_s() - began
            assert took_s <= timeout + LEEWAY_S, f"M6: acquire() took {took_s:g} s of {timeout:g}"
        try:
            for _ in range(rng.randint(0, 3)):
                sql = rng.choice(_IN_LEASE)
                connection.keeps_session = connection.keeps_session and sql != "sets"
                answer = await connection.run(sql, (name,), Want.ROWS, 0.3)
                assert answer == [[name]], f"M10: {name} got the answer {answer}"
                await asyncio.sleep(rng.choice([0, 0.01, 0.2]))
            if rng.random() < 0.05:
                self.fatal += 1
                raise Fatal
        except BaseException as error:
            await self._release(caller, lease, error)
            raise
        await self._release(caller, lease, None)
        if rng.random() < 0.2:
            await lease.__aexit__(None, None, None)  # who gives back twice does no harm

    async def _release(self, caller: Caller, lease: Lease, error: BaseException | None) -> None:
        began, caller.ends_s = ran_s(), 2 * RESET_S
        try:
            await lease.__aexit__(None if error is None else type(error), error, None)
        finally:
            took_s = ran_s() - began
            assert took_s <= 2 * RESET_S + LEEWAY_S, f"M6: giving a connection back took {took_s:g} s"

    async def _close(self, caller: Caller) -> None:
        """Begin something by hand, and close its coroutine where it waits then."""
        line, lease = self.random.choice(self.lines), None
        if self.random.random() < 0.5:
            work: Coroutine[Any, Any, Any] = self._answer(f"caller {caller.number}", "select", line, None)
        else:
            lease = self.pool.leases.lease(ACQUIRE_S, line, self.arrival())
            work = lease.__aenter__()
        self.closed += 1
        try:
            work.send(None)
        except StopIteration:  # it had all that it needed at once
            if lease is not None:
                await lease.__aexit__(None, None, None)
            return
        self.oracle.by_hand += 1
        try:
            await asyncio.sleep(self.random.choice([0, 0.01]))
        except asyncio.CancelledError:
            if caller.cancelled_at is not None:
                raise
            # else by a time limit in what it has begun, for asyncio's are set for the task that runs
        finally:
            self.oracle.by_hand -= 1
            work.close()


def ran_s() -> float:
    """The time by which whatever takes too long is judged."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, QuickLoop)
    return loop.ran_s()
