"""Each test on asyncpg's pool and on ours: what is true of the one is to be true of the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

import dbpool
from tests.support.databases import Database
from tests.support.pools import becomes, settled

Pool = Any  # asyncpg.Pool, or the like of it
Create = Callable[..., Pool]

both = pytest.mark.parametrize("create", [asyncpg.create_pool, dbpool.create_pool], ids=["asyncpg", "dbpool"])


class Odd(BaseException):
    """What no ``except Exception`` sees, and no event loop minds."""


@asynccontextmanager
async def opened(create: Create, database: Database, size: Any = 1, **options: Any) -> AsyncIterator[Pool]:  # noqa: ANN401
    """A pool of *size* connections, none of them open at first unless *options* say so."""
    options = {"min_size": 0, "max_size": size, "command_timeout": 20, **options}
    async with create(database.dsn, **options) as pool:
        yield pool
        if isinstance(pool, dbpool.DatabasePool):
            await settled(pool)  # no permit is lost, and no more is open than may be
            assert pool.stats().connections <= pool.stats().capacity


async def outcome(work: Awaitable[Any], within_s: float = 10.0) -> Any:  # noqa: ANN401 - a result, or the class of what was raised
    """What comes of *work*: its result, or the class of its exception."""
    try:
        async with asyncio.timeout(within_s):
            return await work
    except BaseException as error:
        return type(error)


async def pids(pool: Pool, count: int) -> list[int]:
    """The backends of so many connections held together."""
    held: list[Any] = []
    try:
        while len(held) < count:
            held.append(await pool.acquire())
        return [connection.get_server_pid() for connection in held]
    finally:  # all of them, though the release of one that was ended by the server may raise
        await asyncio.gather(*(pool.release(connection) for connection in held), return_exceptions=True)


async def until_size(pool: Pool, size: int) -> None:
    await becomes(lambda: pool.get_size() == size)
