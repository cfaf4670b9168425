"""Faults between writers and their server, in any order, some ten a second."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import asyncpg

from dbpool.testing.proxying.messages import Way
from dbpool.testing.proxying.proxy import FaultProxy
from dbpool.testing.proxying.session import Session
from tests.rigs.ledger.cluster import Cluster

PER_S = 10.0  # beside what writers do to themselves
FIRST_RESTART_S, RESTART_EVERY_S = 6.0, 18.0
CANCEL_ROW = 93  # somebody else cancels a statement
WRITERS = "usename like 'w%' and backend_type = 'client backend'"


PHASE_S = 15.0
AFTERMATH_S = 3.0  # of what was broken before

Kinds: TypeAlias = list[tuple[float, Callable[[], Awaitable[int]]]]


class NoServer(Exception):
    """It is not there now, or has no session of the kind."""


@dataclass(slots=True)
class Chaos:
    """See the module. ``paused`` holds all of it back while somebody watches a recovery."""

    cluster: Cluster
    proxy: FaultProxy
    luck: random.Random
    kill_writer: Callable[[], Awaitable[bool]]
    faults: Counter[int] = field(default_factory=Counter)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    uncut: list[tuple[float, float]] = field(default_factory=list)
    """When the network broke nothing, from when to when by the wall clock, which is that of the server's log."""
    _is_cutting: bool = False
    _phase_ends: float = 0.0
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)
    _admin: asyncpg.Connection[asyncpg.Record] | None = None

    async def go_on(self) -> None:
        """One fault after the other, until cancelled."""
        self.may_go_on.set()
        while True:
            await asyncio.sleep(self.luck.expovariate(PER_S))
            await self.may_go_on.wait()
            kinds = await self._kinds_now()
            (_, do), *_ = self.luck.choices(kinds, [weight for weight, _ in kinds])
            self._begin(self._counted(do))

    async def _counted(self, do: Callable[[], Awaitable[int]]) -> None:
        with suppress(NoServer, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError):
            self.faults[await do()] += 1

    async def hold(self) -> None:
        """Begin no more until ``may_go_on`` is set; what was begun has ended, and the network is good."""
        self.may_go_on.clear()
        while self._under_way:
            await asyncio.wait(self._under_way)
        await self.proxy.heal()

    async def _kinds_now(self) -> Kinds:
        """The network breaks connections in every other phase only.

        In those its reset may come before the server's process has ended, which no client can know: so that one more
        than allowed may be asked for. In the others the bound is exact.
        """
        now = time.time()
        if now >= self._phase_ends:
            self._phase_ends = now + PHASE_S
            self._is_cutting = not self._is_cutting
            if not self._is_cutting:
                await self.proxy.heal()
                self.uncut.append((now + AFTERMATH_S, now + PHASE_S))
        return [*self.kinds(), *(self.cuts() if self._is_cutting else ())]

    def cuts(self) -> Kinds:
        """Connections that the network breaks, and how often beside the others."""
        return [(20, self._cut_one), (16, self._cut_at_message), (10, self._cut_at_byte), (6, self._lose_commit)]

    def kinds(self) -> Kinds:
        """All else. Each makes a fault, and says which row of docs/faults.md it is."""
        return [
            (5, self._stall_one),
            (0.5, self._stall_all),
            (2, self._delay),
            (0.5, self._refuse),
            (10, self._terminate),
            (12, self._cancel),
            (5, self._freeze_backend),
            (0.2, self._freeze_postmaster),
            (0.15, self._kill_backend),
            (0.2, self._kill_writer),
        ]

    async def close(self) -> None:
        await self.hold()
        if self._admin is not None:
            with suppress(Exception):
                await self._admin.close(timeout=1)

    def forget_sessions(self) -> None:
        """A proxy keeps what it saw of each connection: too much for an hour."""
        self.proxy.sessions[:] = self._sessions()
        for session in self.proxy.sessions:
            session.messages.clear()

    # The network

    async def _cut_one(self) -> int:
        self._session().end(reset=self.luck.random() < 0.6)
        return 28

    async def _cut_at_message(self) -> int:
        name, way = self.luck.choice(
            [("Parse", Way.TO_SERVER), ("Bind", Way.TO_SERVER), ("Query", Way.TO_SERVER), ("CopyData", Way.TO_SERVER)]
            + [(each, Way.TO_CLIENT) for each in ("BindComplete", "CommandComplete", "ReadyForQuery", "DataRow")]
        )
        is_behind = self.luck.random() < 0.5
        nth, reset = self.luck.randint(1, 20), self.luck.random() < 0.6
        if is_behind:
            cut = self.proxy.cut(after=name, way=way, nth=nth, reset=reset)
        else:
            cut = self.proxy.cut(before=name, way=way, nth=nth, reset=reset)
        await cut.wait(2.0)
        return 28

    async def _cut_at_byte(self) -> int:
        way = self.luck.choice([Way.TO_SERVER, Way.TO_CLIENT])
        session = self._session()
        ahead = session.bytes_out[way] + self.luck.randint(0, 2000)
        await self.proxy.cut_at_byte(ahead, way, reset=self.luck.random() < 0.6).wait(2.0)
        return 29

    async def _lose_commit(self) -> int:
        await self.proxy.cut(before="CommandComplete", says="COMMIT", reset=self.luck.random() < 0.6).wait(2.0)
        return 47

    async def _stall_one(self) -> int:
        session = self._session()
        session.go_on.clear()
        self._later(self.luck.expovariate(1 / 0.4), session.go_on.set)
        return 31

    async def _stall_all(self) -> int:
        self.proxy.stall(self.luck.choice([None, Way.TO_CLIENT, Way.TO_SERVER]))
        await asyncio.sleep(self.luck.uniform(0.05, 0.6))
        self.proxy.resume()
        return 27

    async def _delay(self) -> int:
        self.proxy.delay(self.luck.uniform(0.001, 0.03))
        self._later(self.luck.uniform(0.1, 1.0), lambda: self.proxy.delay(0.0))
        return 31

    async def _refuse(self) -> int:
        await self.proxy.refuse()
        await asyncio.sleep(self.luck.uniform(0.05, 0.5))
        await self.proxy.listen()
        return 32

    # The server

    async def _terminate(self) -> int:
        state = await self._at_one("pg_terminate_backend(pid)")
        return 23 if state == "idle" else 24

    async def _cancel(self) -> int:
        await self._at_one("pg_cancel_backend(pid)")
        return CANCEL_ROW

    async def _freeze_backend(self) -> int:
        pid = await self._at_one("pid")
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGSTOP)
        self._later(self.luck.expovariate(1 / 0.4), lambda: _signal(pid, signal.SIGCONT))
        return 25

    async def _freeze_postmaster(self) -> int:
        pid = self.cluster.server.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            await asyncio.sleep(self.luck.uniform(0.1, 1.0))
        finally:
            os.kill(pid, signal.SIGCONT)
        return 26

    async def _kill_backend(self) -> int:
        pid = await self._at_one("pid")
        assert isinstance(pid, int)
        os.kill(pid, signal.SIGKILL)
        return 22

    async def _kill_writer(self) -> int:
        if not await self.kill_writer():
            raise NoServer
        return 73

    async def _at_one(self, what: str) -> str | int:
        """Ask for *what* of a writer's session, chosen at random; its state, or *what* where that is its pid."""
        async with asyncio.timeout(2):
            if self._admin is None or self._admin.is_closed():
                self._admin = await asyncpg.connect(self.cluster.dsn)
            result = "pid" if what == "pid" else f"case when {what} then coalesce(state, '') end"
            sql = f"select {result} from (select * from pg_stat_activity where {WRITERS} order by random() limit 1) s"
            found: str | int | None = await self._admin.fetchval(sql)
        if found is None:
            raise NoServer
        return found

    def _sessions(self) -> list[Session]:
        return [session for session in self.proxy.sessions if not session.is_over]

    def _session(self) -> Session:
        sessions = self._sessions()
        if not sessions:
            raise NoServer
        return self.luck.choice(sessions)

    def _later(self, seconds: float, do: Callable[[], object]) -> None:
        async def wait() -> None:
            await asyncio.sleep(seconds)
            do()

        self._begin(wait())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)


def _signal(pid: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
