"""Databases for one test each: made, dropped, and watched for connections left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import asyncpg
import pytest

from tests.support.server import Server

LEAVE_TIMEOUT = 5.0  # seconds: a backend notices within milliseconds that its client is gone, if the machine has time

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test's own."""

    name: str
    dsn: str


@asynccontextmanager
async def new_database(server: Server, template: str | None = None) -> AsyncIterator[Database]:
    """Make a database, empty or a clone of *template*; fail if a connection to it is left over at the end."""
    name = f"dbpool_test_{os.getpid()}_{next(_numbers)}"  # sessions at the same time share a server
    async with administering(server) as admin:
        await admin.execute(f'create database "{name}" template "{template or "template0"}"')
    try:
        yield Database(name, server.dsn(name))
    finally:
        async with administering(server) as admin:
            leaked = await _wait_left(admin, name)
            await admin.execute(f'drop database if exists "{name}" with (force)')
    if leaked:
        pytest.fail("connections are left over:\n" + "\n".join(f"  {dict(row)}" for row in leaked), pytrace=False)


@asynccontextmanager
async def administering(server: Server) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect as superuser to a database that no test uses, for the length of the block."""
    connection = await asyncpg.connect(server.admin)
    try:
        yield connection
    finally:
        await connection.close()


async def _wait_left(admin: asyncpg.Connection[asyncpg.Record], name: str) -> list[asyncpg.Record]:
    """Wait until all have left the database; return the backends that have not in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + LEAVE_TIMEOUT
    while True:
        backends = await admin.fetch(
            "select pid, application_name, state, wait_event, left(query, 200) as query from pg_stat_activity"
            " where datname = $1 and backend_type = 'client backend' and pid <> pg_backend_pid()",
            name,
        )
        if not backends or clock() > deadline:
            return backends
        await asyncio.sleep(0.02)
