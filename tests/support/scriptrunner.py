"""Runs scripts over asyncpg, one statement after the other: enough to compare them with pgbench."""

from __future__ import annotations

from typing import TypeAlias

import asyncpg
from asyncpg.prepared_stmt import PreparedStatement

from dbpool.loadtest.scripts.binding import make_bind
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.script import Script
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.scripts.steps import Pause, Query, Rows, steps
from dbpool.loadtest.scripts.values import text_of

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

_TYPES = ("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "text", "varchar", "bpchar", "timestamptz")


async def exchange_texts(connection: Connection) -> None:
    """Let values go and come as texts, which is what pgbench sends and keeps."""
    for name in _TYPES:
        await connection.set_type_codec(name, schema="pg_catalog", encoder=str, decoder=str, format="text")


class Runner:
    """One client on one connection; with *texts* exchanged, or else the driver's values."""

    def __init__(self, connection: Connection, client: Client, mode: QueryMode, *, texts: bool) -> None:
        self._connection, self._client, self._mode, self._texts = connection, client, mode, texts
        self._prepared: dict[str, PreparedStatement[asyncpg.Record]] = {}
        self.pauses: list[float] = []

    async def run(self, script: Script) -> None:
        """One transaction; pauses are noted, not waited for."""
        transaction, answer = steps(script, self._client, self._mode), None
        while True:
            try:
                step = transaction.send(answer)
            except StopIteration:
                return
            answer = None
            if isinstance(step, Pause):
                self.pauses.append(step.seconds)
            else:
                answer = await self._ask(step)

    async def _ask(self, query: Query) -> Rows | None:
        if self._mode is QueryMode.SIMPLE and not query.command.capture:
            await self._connection.execute(query.sql)
            return None
        prepared = self._prepared.get(query.sql)
        if prepared is None:
            prepared = await self._connection.prepare(query.sql)
            if self._mode is QueryMode.PREPARED:
                self._prepared[query.sql] = prepared
        if self._texts:
            return await prepared.fetch(*(None if value is None else text_of(value) for value in query.parameters))
        bind = make_bind([parameter.name for parameter in prepared.get_parameters()])
        return await prepared.fetch(*bind(query.parameters))
