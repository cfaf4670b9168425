"""A pool as a state machine: hypothesis chooses the steps, and of those that break something shows the fewest."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from dbpool.connection import Want
from dbpool.core.permits import Line
from dbpool.errors import DbPoolError
from tests.rigs.sim.callers import CONNECT_S, QUARANTINE_S, RESET_S
from tests.rigs.sim.oracle import LEEWAY_S, Arrival, Oracle
from tests.rigs.sim.trouble import Trouble
from tests.support.fakes import FakeConnection, Pool, new_pool
from tests.support.loops import SteppingLoop
from tests.support.script import NEVER, Reply, Script

HANGS: Final = "a statement that is answered when somebody says so"
SOMEBODY: Final = st.integers(0, 20)  # which of those that there are, from the first, round and round


@dataclass(slots=True, eq=False)
class Holder:
    """A caller: it asks, holds until it is told to release, and may run a statement meanwhile."""

    number: int
    line: Line
    deadline: float
    orders: asyncio.Queue[str] = field(default_factory=asyncio.Queue)
    has_it: bool = False
    task: asyncio.Task[None] = field(init=False)


class PoolMachine(RuleBasedStateMachine):
    """Rules are what callers, the server and the operator do; invariants are the oracle's, and those of a model."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = SteppingLoop()
        self.callers: list[Holder] = []
        self.asked = 0
        self.closing: asyncio.Task[None] | None = None

    @initialize(capacity=st.integers(1, 3), lanes=st.integers(0, 2), lingers=st.sampled_from([0.0, 0.3, NEVER]))
    def open(self, capacity: int, lanes: int, lingers: float) -> None:
        replies = {HANGS: Reply(NEVER)}
        self.pool: Pool = new_pool(
            capacity,
            Script(lingers_s=lingers, replies=replies),
            reset_timeout=RESET_S,
            quarantine_timeout=QUARANTINE_S,
            connect_timeout=CONNECT_S,
            outage_patience=0.2,
        )
        self.lines = [self.pool.leases.gate.line]
        for number in range(lanes):
            self.lines.append(self.pool.lane(f"lane {number}", at_most=number + 1, reserved=int(capacity > 2) * number))
        self.oracle = Oracle(self.pool)
        self.trouble = Trouble(self.pool, None)  # type: ignore[arg-type] # what happens is hypothesis's choice
        self._run(self.pool.leases.open())
        self.loop.check, self.loop.clock.on_jump = self.oracle.after_step, self.oracle.before_jump

    # Callers

    @rule(timeout=st.sampled_from([0.05, 1.0, 5.0]), lane=SOMEBODY)
    @precondition(lambda self: len(self.callers) < 8)
    def acquire(self, timeout: float, lane: int) -> None:
        self.asked += 1
        line = self.lines[lane % len(self.lines)]
        holder = Holder(self.asked, line, self.loop.time() + timeout)
        holder.task = self.loop.create_task(self._hold(holder, timeout))
        self.callers.append(holder)
        self._settle()

    @rule(who=SOMEBODY)
    @precondition(lambda self: self.callers)
    def cancel(self, who: int) -> None:
        self.callers[who % len(self.callers)].task.cancel()
        self._settle()

    @rule(who=SOMEBODY, order=st.sampled_from(["release", "release", "select", "sets", HANGS]))
    @precondition(lambda self: self._holding())
    def order(self, who: int, order: str) -> None:
        holding = self._holding()
        holding[who % len(holding)].orders.put_nowait(order)
        self._settle()

    # The server

    @rule(which=SOMEBODY, how=st.sampled_from(["complete", "fail", "stall"]))
    @precondition(lambda self: self.pool.driver.size)
    def answer(self, which: int, how: str) -> None:
        connections = self.pool.driver.connections
        connection: FakeConnection = connections[which % len(connections)]
        if how == "complete":
            connection.answer_now()
        elif how == "fail":
            connection.lose()
        else:
            connection.peer_is_gone = True
        self._settle()

    @rule()
    def server_down(self) -> None:
        self.trouble.go_down()
        self._settle()

    @rule()
    def server_up(self) -> None:
        self.trouble.come_up()
        self._settle()

    # The operator, and time

    @rule(seconds=st.sampled_from([0.01, 0.3, 2.0]))
    def advance(self, seconds: float) -> None:
        self._run(asyncio.sleep(seconds))
        self._settle()

    @rule(capacity=st.integers(1, 4))
    @precondition(lambda self: self.closing is None)
    def resize(self, capacity: int) -> None:
        least = 1 + sum(line.reserved for line in self.lines)
        self._within(lambda: self.trouble.sizing.resize(max(least, capacity)))

    @rule(is_paused=st.booleans())
    def pause_or_resume(self, *, is_paused: bool) -> None:
        self._within(self.pool.leases.gate.pause if is_paused else self.pool.leases.gate.resume)

    @rule(timeout=st.sampled_from([0.1, 2.0]))
    @precondition(lambda self: self.closing is None and self.asked > 3)
    def close(self, timeout: float) -> None:
        self.closing = self.loop.create_task(self.pool.leases.close(timeout))
        self._settle()

    # What must be true

    @invariant()
    def nobody_waits_beyond_the_deadline(self) -> None:
        for holder in self.callers:
            late_s = self.loop.time() - holder.deadline
            assert holder.has_it or late_s <= LEEWAY_S + 2 * RESET_S, f"M6: caller {holder.number} is {late_s:g} s late"

    @invariant()
    def who_has_a_connection_holds_a_permit(self) -> None:
        if self.callers and self.closing is None:
            assert len(self._holding()) <= self.pool.leases.gate.held, "M1: more hold than permits are out"

    def teardown(self) -> None:
        if not hasattr(self, "pool"):
            self.loop.close()
            return
        try:
            self.trouble.come_up()
            self.pool.leases.gate.resume()
            for holder in self.callers:
                holder.task.cancel()
            self._run(self.closing or self.pool.leases.close(5))
            self._run(asyncio.sleep(30))
            left = (self.pool.leases.gate.held, self.pool.driver.size, self.pool.driver.connecting)
            assert left == (0, 0, 0), f"M1: held, open and connecting when all is closed: {left}"
        finally:
            self.loop.check = self.loop.clock.on_jump = lambda: None
            for task in asyncio.all_tasks(self.loop):
                task.cancel()
            with suppress(BaseException):
                self._run(asyncio.sleep(1000))
            self.loop.close()

    def _holding(self) -> list[Holder]:
        return [holder for holder in self.callers if holder.has_it]

    async def _hold(self, holder: Holder, timeout: float) -> None:
        try:
            with suppress(DbPoolError):
                async with self.pool.leases.lease(timeout, holder.line, Arrival(holder.number)) as connection:
                    holder.has_it = True
                    while (order := await holder.orders.get()) != "release":
                        connection.keeps_session = connection.keeps_session and order != "sets"
                        await connection.run(order, (holder.number,), Want.ROWS, 3.0)
        except Exception:  # whatever the connection met
            pass
        finally:
            self.callers.remove(holder)

    def _run(self, work: Any) -> None:  # noqa: ANN401 - a coroutine, or a task
        self.loop.run_until_complete(work)

    def _settle(self) -> None:
        """Let all happen that happens in this instant."""
        self._within(lambda: None)

    def _within(self, do: Callable[[], object]) -> None:
        """The same after *do*, which is called in the running loop as users do: it may begin tasks."""

        async def settled() -> None:
            do()
            await self.loop.settled()

        self._run(settled())
