"""The pools that are under the same faults: each writes a row, and says when that was acknowledged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final, TypeAlias

import asyncpg
from psycopg_pool import AsyncConnectionPool

from dbpool import DatabasePool

CONNECTIONS: Final = 3
TIMEOUT_S: Final = 2.0  # of each write, all in all
PUT: Final = "insert into written values ($1)"

Write: TypeAlias = Callable[[int], Awaitable[object]]


@asynccontextmanager
async def dbpool_writes(db: DatabasePool) -> AsyncIterator[Write]:
    yield lambda number: db.execute(PUT, number, timeout=TIMEOUT_S)


@asynccontextmanager
async def asyncpg_writes(dsn: str) -> AsyncIterator[Write]:
    pool = await asyncpg.create_pool(
        dsn + "&target_session_attrs=read-write",
        min_size=1,
        max_size=CONNECTIONS,
        command_timeout=TIMEOUT_S,
        timeout=2,
    )

    async def write(number: int) -> None:
        async with pool.acquire(timeout=TIMEOUT_S) as connection:
            await connection.execute(PUT, number)

    try:
        yield write
    finally:
        pool.terminate()


@asynccontextmanager
async def psycopg_writes(dsn: str) -> AsyncIterator[Write]:
    pool = AsyncConnectionPool(
        dsn + "&target_session_attrs=read-write&connect_timeout=2", min_size=1, max_size=CONNECTIONS, open=False,
        kwargs={"autocommit": True}, timeout=TIMEOUT_S,
    )  # fmt: skip
    await pool.open()

    async def write(number: int) -> None:
        async with asyncio.timeout(TIMEOUT_S), pool.connection() as connection:
            await connection.execute("insert into written values (%s)", (number,))

    try:
        yield write
    finally:
        await pool.close(timeout=1.0)
