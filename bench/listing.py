"""The pool that the article's listing shows: a semaphore in front of asyncpg's own pool."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg


class ListingPool:
    def __init__(self, dsn: str, max_connections: int = 5) -> None:
        self.dsn = dsn
        self.semaphore = asyncio.Semaphore(max_connections)
        self.pool: Any = None

    async def init_pool(self) -> None:
        self.pool = await asyncpg.create_pool(self.dsn)

    async def query(self, sql: str, *args: object) -> list[asyncpg.Record]:
        async with self.semaphore:
            async with self.pool.acquire() as connection:
                rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
                return rows

    async def close(self) -> None:
        await self.pool.close()
