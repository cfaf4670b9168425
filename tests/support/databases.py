"""Databases for one test each: made, dropped, and watched for connections left behind."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from dbpool.testing.databases import LEAVE_TIMEOUT, Database, create, described, drop, new_name, wait_left
from dbpool.testing.server import Server

__all__ = ["LEAVE_TIMEOUT", "Database", "administering", "new_database"]


@asynccontextmanager
async def new_database(server: Server, template: str | None = None) -> AsyncIterator[Database]:
    """Make a database, empty or a clone of *template*; fail if a connection to it is left over at the end."""
    name = new_name()
    async with administering(server) as admin:
        await create(admin, name, template)
    try:
        yield Database(name, server.dsn(name))
    finally:
        async with administering(server) as admin:
            leaked = await wait_left(admin, name)
            await drop(admin, name)
    if leaked:
        pytest.fail(f"connections are left over:{described(leaked)}", pytrace=False)


@asynccontextmanager
async def administering(server: Server) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect as superuser to a database that no test uses, for the length of the block."""
    connection = await asyncpg.connect(server.admin)
    try:
        yield connection
    finally:
        await connection.close()
