"""asyncpg itself under load: its pool, or a connection for each transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import asyncpg

from dbpool.dsn import Dsn
from dbpool.loadtest.drivers.protocol import Body, Connection, Stamps, now_ns
from dbpool.loadtest.drivers.statements import Statements
from dbpool.loadtest.load import Target
from dbpool.loadtest.recording.recorder import Splits
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Query, Rows
from dbpool.tls import Tls


class _Plain:
    """What both have: how statements are sent, and how a connection is opened."""

    splits = Splits()

    def __init__(self, target: Target, mode: QueryMode) -> None:
        self._target = target
        self._statements = Statements(mode)
        self._tls = Tls(Dsn(target.dsn))

    def _options(self) -> dict[str, Any]:
        return {
            "dsn": self._target.dsn,
            "timeout": self._target.connect_timeout_s,
            "statement_cache_size": self._statements.cache_size,
            "server_settings": {"application_name": self._target.application_name},
            "ssl": self._tls.argument(),
        }

    def refusals(self) -> Mapping[str, int]:
        return {}

    async def ask(self, connection: Connection, query: Query) -> Rows | None:
        return await self._statements.ask(connection, query)

    async def roll_back(self, connection: Connection) -> None:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK")


class AsyncpgDriver(_Plain):
    """An asyncpg.Pool; the wait for a connection cannot be told from getting it."""

    _pool: asyncpg.Pool[asyncpg.Record]

    async def open(self) -> None:
        size = self._target.connections
        first = self._target.first_connections
        self._pool = await asyncpg.create_pool(min_size=first, max_size=size, **self._options())

    async def close(self) -> None:
        await self._pool.close()

    async def run(self, body: Body, start: int) -> Stamps:
        async with self._pool.acquire() as connection:
            acquired = now_ns()
            await body(connection)
            done = now_ns()
        return Stamps(start, acquired, done, now_ns())


class AsyncpgConnectDriver(_Plain):
    """Connects for each transaction, as a program without a pool does."""

    async def open(self) -> None:
        await (await asyncpg.connect(**self._options())).close()  # so that a wrong address is found now

    async def close(self) -> None:
        pass

    async def run(self, body: Body, start: int) -> Stamps:
        connection = await asyncpg.connect(**self._options())
        acquired = now_ns()
        try:
            await body(connection)
        except BaseException:
            connection.terminate()
            raise
        done = now_ns()
        await connection.close()
        return Stamps(start, acquired, done, now_ns())
