"""This package's pool under load."""

from __future__ import annotations

from dbpool.lane import Lane
from dbpool.loadtest.drivers.protocol import NEVER_S, Body, Connection, Stamps, now_ns
from dbpool.loadtest.drivers.statements import Statements
from dbpool.loadtest.load import Target
from dbpool.loadtest.recording.recorder import Splits
from dbpool.loadtest.recording.window import SECOND_NS
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Query, Rows
from dbpool.pool import DatabasePool


class PooledDriver:
    """A DatabasePool with all its connections open, and a lane where the gate is to be narrower than the pool."""

    splits = Splits(gate=True)

    def __init__(self, target: Target, mode: QueryMode) -> None:
        self._statements = Statements(mode)
        self._pool = DatabasePool(
            target.dsn,
            target.connections,
            name="loadtest",
            min_connections=target.connections,
            acquire_timeout=NEVER_S,
            query_timeout=NEVER_S,
            connect_timeout=target.connect_timeout_s,
            close_timeout=5.0,
            statement_cache_size=self._statements.cache_size,
            server_settings={"application_name": target.application_name},
        )
        is_narrow = target.gate is not None and target.gate < target.connections
        self._lane: Lane = self._pool.lane("gate", at_most=target.gate) if is_narrow else self._pool

    async def open(self) -> None:
        await self._pool.open()

    async def close(self) -> None:
        await self._pool.close()

    async def run(self, body: Body, start: int) -> Stamps:
        async with self._lane.acquire() as connection:
            acquired = now_ns()
            # the loop's clock is the monotonic one, in seconds: rounded, it may come out before the start
            gated = min(acquired, max(start, int(connection.lease.holder.since * SECOND_NS)))  # type: ignore[attr-defined]
            await body(connection)
            done = now_ns()
        return Stamps(gated, acquired, done, now_ns())

    async def ask(self, connection: Connection, query: Query) -> Rows | None:
        return await self._statements.ask(connection, query)
