"""A pool that faults are made on, with its ordinary callers, and what must be so of it after each fault."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import asyncpg

import dbpool
from dbpool import ConnectionLost, DatabasePool, ServerUnavailable
from dbpool.events import ConnectFailed, ConnectionClosed, Event, LeaseReclaimed
from dbpool.testing.addresses import dsn_with
from dbpool.testing.leftovers import at_rest
from tests.rigs.looplag import LoopLag
from tests.rigs.misuse.hooks import Hooks
from tests.rigs.misuse.kinds import Kind
from tests.rigs.misuse.password import Password
from tests.rigs.rigserver import PASSWORD

PATIENCE_S = 5.0
SOON_S = 0.05  # after which what is in a cycle of references is looked for
LIMITS: dict[str, Any] = {
    "acquire_timeout": 5.0,
    "query_timeout": 5.0,
    "connect_timeout": 5.0,
    "reset_timeout": 1.0,
    "quarantine_timeout": 2.0,
    "close_timeout": 2.0,
}
MOST_HANDOVERS = 10
GRACE_S = 0.1  # goal M6


class Stage:
    """Of one kind, for as long as its pool is open."""

    def __init__(self, kind: Kind, db: Any, dsn: str, rng: random.Random, lag: LoopLag) -> None:  # noqa: ANN401
        self.kind, self.db, self.dsn, self.rng, self.lag = kind, db, dsn, rng, lag
        self.hooks: Hooks = Hooks()
        self.password: Password = Password()
        self.reclaimed = 0
        """Connections that nobody had any more, and the pool took back."""
        self.refusals: list[str] = []
        """What the server said to sessions beyond the bound."""
        self.closed: list[str] = []
        """Why each connection was closed."""
        self.is_broken = False
        """It has lost a permit, or does not answer: nothing more can be seen on it."""
        self._number = 0
        db.on_event(self._noted)

    def number(self) -> int:
        """One that no other fault on this stage has."""
        self._number += 1
        return self._number

    def over_s(self, began: float, limit_s: float) -> float:
        """How much later than M6 allows it is; what the loop was late by is taken off. Above 0: too late."""
        took = asyncio.get_running_loop().time() - began
        return took - limit_s - GRACE_S - self.lag.within(took)

    async def stored(self, number: int) -> int:
        """Rows of that number in the table that faults write to."""
        count: int = await self.db.fetchval("select count(*) from written where number = $1", number)
        return count

    async def until_served(self) -> None:
        """Wait for the end of an outage, during which callers are refused."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await self.db.fetchval("select 1")
                except ServerUnavailable:
                    await asyncio.sleep(0.005)
                else:
                    return

    async def asked(self, sql: Any, *args: object) -> Any:  # noqa: ANN401 - as the column is
        """One value; where the server ends sessions that rest, that may meet one in the instant of its hand-over."""
        for _ in range(MOST_HANDOVERS if self.kind.ends_idle_sessions else 0):
            with suppress(ConnectionLost):
                return await self.db.fetchval(sql, *args)
        return await self.db.fetchval(sql, *args)

    async def wrong(self) -> str:
        """What is not as if no fault had been made; empty: nothing."""
        if not await at_rest(self.db, SOON_S):
            gc.collect()
            if not await at_rest(self.db, PATIENCE_S):
                return f"permits are not back: {self.db.report()}"
        answer = await self.asked("select $1::int", self._number)
        if answer != self._number:
            return f"the next caller got {answer!r}, and asked for {self._number}"
        return ""

    def _noted(self, event: Event) -> None:
        if isinstance(event, LeaseReclaimed):
            self.reclaimed += 1
        elif isinstance(event, ConnectionClosed):
            self.closed.append(event.reason.value)
        elif isinstance(event, ConnectFailed) and isinstance(event.cause, asyncpg.TooManyConnectionsError):
            self.refusals.append(event.error)


@asynccontextmanager
async def stage_of(kind: Kind, dsn: str, rng: random.Random, lag: LoopLag) -> AsyncIterator[Stage]:
    """Open a pool of that *kind* at the server of *dsn*."""
    dsn = dsn_with(dsn, user=kind.name, password=PASSWORD)
    if kind.is_asyncpgs:
        hooks = Hooks()
        pool = dbpool.create_pool(
            dsn, min_size=0, max_size=kind.bound, setup=hooks.setup, init=hooks.init, reset=hooks.reset
        )
        async with pool:
            stage = Stage(kind, pool, dsn, rng, lag)
            stage.hooks = hooks
            yield stage
        return
    password = Password()
    options = LIMITS | kind.options | ({"credentials": password.asked} if kind.asks_for_password else {})
    db = DatabasePool(dsn, kind.bound, name=kind.name, **options)
    if kind.asks_for_password:
        await _opened_at_last(db)
    async with db:
        stage = Stage(kind, db, dsn, rng, lag)
        stage.password = password
        yield stage


async def _opened_at_last(db: DatabasePool) -> None:
    """Open a pool whose connects have so little time that a busy machine may take longer."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await db.open()
            except ServerUnavailable:
                await asyncio.sleep(0.01)
            else:
                return
