"""psycopg's pool under load, where it is installed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psycopg
import psycopg_pool
from psycopg.rows import dict_row

from dbpool.dsn import Dsn
from dbpool.loadtest.drivers.protocol import NEVER_S, Body, Connection, Stamps, now_ns
from dbpool.loadtest.load import Target
from dbpool.loadtest.recording.recorder import Splits
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Query, Rows
from dbpool.loadtest.scripts.values import text_of
from dbpool.tls import Tls


class PsycopgDriver:
    """A psycopg_pool.AsyncConnectionPool. Values go as texts, as pgbench sends them."""

    splits = Splits()

    def __init__(self, target: Target, mode: QueryMode) -> None:
        self._mode = mode
        options: dict[str, Any] = {
            "autocommit": True,  # scripts say BEGIN themselves
            "application_name": target.application_name,
            "row_factory": dict_row,
            "prepare_threshold": 0 if mode is QueryMode.PREPARED else None,
            "cursor_factory": psycopg.AsyncRawCursor,  # whose parameters are $1, $2 ...
            **Tls(Dsn(target.dsn)).of_libpq(),
        }
        self._pool: psycopg_pool.AsyncConnectionPool[psycopg.AsyncConnection[Any]] = psycopg_pool.AsyncConnectionPool(
            target.dsn,
            kwargs=options,
            min_size=target.first_connections,
            max_size=target.connections,
            open=False,
            timeout=NEVER_S,
        )
        self._connect_timeout_s = target.connect_timeout_s

    async def open(self) -> None:
        await self._pool.open(wait=True, timeout=self._connect_timeout_s)

    async def close(self) -> None:
        await self._pool.close()

    async def run(self, body: Body, start: int) -> Stamps:
        async with self._pool.connection() as connection:
            acquired = now_ns()
            await body(connection)
            done = now_ns()
        return Stamps(start, acquired, done, now_ns())

    def refusals(self) -> Mapping[str, int]:
        failed = self._pool.get_stats().get("connections_errors", 0)
        return {"connect_failed": failed} if failed else {}  # of which it does not tell why

    async def ask(self, connection: Connection, query: Query) -> Rows | None:
        parameters = [None if value is None else text_of(value) for value in query.parameters]
        if self._mode is QueryMode.SIMPLE and not query.command.capture:
            await connection.execute(query.sql, prepare=False)
            return None
        cursor = await connection.execute(query.sql, parameters, prepare=self._mode is QueryMode.PREPARED)
        if cursor.description is None:
            return None
        rows: Rows = await cursor.fetchall()
        return rows

    async def roll_back(self, connection: Connection) -> None:
        await connection.rollback()
