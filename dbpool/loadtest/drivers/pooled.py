"""This package's pool under load."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping

from dbpool.errors import ServerUnavailable
from dbpool.events import ConnectFailed, Event
from dbpool.lane import Lane
from dbpool.loadtest.drivers.failures import label_of_error, refusal_by
from dbpool.loadtest.drivers.protocol import NEVER_S, Body, Connection, Stamps, now_ns
from dbpool.loadtest.drivers.statements import Statements
from dbpool.loadtest.load import Target
from dbpool.loadtest.recording.recorder import Splits
from dbpool.loadtest.recording.window import SECOND_NS
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Query, Rows
from dbpool.pool import DatabasePool


class PooledDriver:
    """A DatabasePool, with a lane where the gate is to be narrower than the pool.

    One that is to open no connection beforehand is opened by its first transaction; while a limit refuses even its
    first connection, transactions wait.
    """

    splits = Splits(gate=True)

    def __init__(self, target: Target, mode: QueryMode) -> None:
        self._statements = Statements(mode)
        self._is_cold = target.first_connections == 0
        self._opening: asyncio.Task[None] | None = None
        self._refusals: Counter[str] = Counter()
        self._pool = DatabasePool(
            target.dsn,
            target.connections,
            name="loadtest",
            min_connections=target.first_connections,
            acquire_timeout=NEVER_S,
            query_timeout=NEVER_S,
            connect_timeout=target.connect_timeout_s,
            close_timeout=5.0,
            statement_cache_size=self._statements.cache_size,
            server_settings={"application_name": target.application_name},
        )
        self._pool.on_event(self._heed)
        is_narrow = target.gate is not None and target.gate < target.connections
        self._lane: Lane = self._pool.lane("gate", at_most=target.gate) if is_narrow else self._pool

    async def open(self) -> None:
        if not self._is_cold:
            await self._pool.open()

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._pool.close()

    async def run(self, body: Body, start: int) -> Stamps:
        if self._is_cold:
            await self._warm_up()
        async with self._lane.acquire() as connection:
            acquired = now_ns()
            # the loop's clock is the monotonic one, in seconds: rounded, it may come out before the start
            gated = min(acquired, max(start, int(connection.lease.holder.since * SECOND_NS)))  # type: ignore[attr-defined]
            await body(connection)
            done = now_ns()
        return Stamps(gated, acquired, done, now_ns())

    def refusals(self) -> Mapping[str, int]:
        return self._refusals

    async def ask(self, connection: Connection, query: Query) -> Rows | None:
        return await self._statements.ask(connection, query)

    async def roll_back(self, connection: Connection) -> None:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")

    async def _warm_up(self) -> None:
        if self._opening is None or (self._opening.done() and self._is_cold):
            self._opening = asyncio.create_task(self._open_when_let_in())
        await asyncio.shield(self._opening)

    async def _open_when_let_in(self) -> None:
        while self._is_cold:
            try:
                await self._pool.open()  # which tries for a second
            except ServerUnavailable as error:
                if not refusal_by(error).is_a_limit:
                    raise
            else:
                self._is_cold = False

    def _heed(self, event: Event) -> None:
        if isinstance(event, ConnectFailed) and event.cause is not None:
            self._refusals[label_of_error(event.cause)] += 1
