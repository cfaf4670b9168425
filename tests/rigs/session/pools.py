"""The pools whose connections go from caller to caller: one connection each, dbpool's and its peers'."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

import asyncpg

from dbpool import DatabasePool
from tests.rigs.session.kinds import Hand

WAIT_S = 30.0


class AsyncpgHand:
    """A connection of asyncpg's API, which dbpool's has, too."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - of either
        self.connection = connection

    async def run(self, sql: str) -> None:
        await self.connection.execute(sql)

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.connection.fetch(sql)]

    async def read_json_as(self, text: str) -> None:
        await self.connection.set_type_codec("json", encoder=str, decoder=lambda _: text, schema="pg_catalog")

    async def hear_notices(self, heard: list[str]) -> None:
        self.connection.add_log_listener(lambda _, message: heard.append(str(message)))


class PsycopgHand:
    """A connection of psycopg's."""

    def __init__(self, connection: Any) -> None:  # noqa: ANN401 - psycopg may not be installed
        self.connection = connection

    async def run(self, sql: str) -> None:
        await self.connection.execute(sql)

    async def rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await (await self.connection.execute(sql)).fetchall()]

    async def read_json_as(self, text: str) -> None:
        from psycopg.adapt import Loader

        class Constant(Loader):
            def load(self, data: object) -> str:
                return text

        self.connection.adapters.register_loader("json", Constant)

    async def hear_notices(self, heard: list[str]) -> None:
        self.connection.add_notice_handler(lambda notice: heard.append(str(notice.message_primary)))


class Lender(Protocol):
    """A pool of one connection."""

    def lend(self) -> AbstractAsyncContextManager[Hand]:
        """For the length of a block, after which it is handed on."""
        ...

    async def renew(self) -> None:
        """Have the next caller get a new session."""
        ...


Opens: TypeAlias = Callable[[str], AbstractAsyncContextManager[Lender]]


class OfDbpool:
    """dbpool's."""

    def __init__(self, db: DatabasePool) -> None:
        self.db = db

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Hand]:
        async with self.db.acquire(timeout=WAIT_S) as connection:
            yield AsyncpgHand(connection)

    async def renew(self) -> None:
        async with self.db.acquire(timeout=WAIT_S) as connection:
            connection.terminate()


class OfAsyncpg:
    """asyncpg's own."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401
        self.pool = pool

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Hand]:
        async with self.pool.acquire(timeout=WAIT_S) as connection:
            yield AsyncpgHand(connection)

    async def renew(self) -> None:
        async with self.pool.acquire(timeout=WAIT_S) as connection:
            connection.terminate()


class OfPsycopg:
    """psycopg_pool's."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401
        self.pool = pool

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[Hand]:
        async with self.pool.connection(timeout=WAIT_S) as connection:
            yield PsycopgHand(connection)

    async def renew(self) -> None:
        async with self.pool.connection(timeout=WAIT_S) as connection:
            await connection.close()


def dbpool_with(reset: Any) -> Opens:  # noqa: ANN401 - one of the words
    @asynccontextmanager
    async def opened(dsn: str) -> AsyncIterator[Lender]:
        async with DatabasePool(dsn, 1, reset=reset) as db:
            yield OfDbpool(db)

    return opened


@asynccontextmanager
async def asyncpg_pool(dsn: str) -> AsyncIterator[Lender]:
    async with asyncpg.create_pool(dsn, min_size=1, max_size=1) as pool:
        yield OfAsyncpg(pool)


@asynccontextmanager
async def psycopg_pool(dsn: str) -> AsyncIterator[Lender]:
    from psycopg_pool import AsyncConnectionPool

    pool: Any = AsyncConnectionPool(dsn, min_size=1, max_size=1, open=False, kwargs={"autocommit": True})
    async with pool:
        yield OfPsycopg(pool)


OURS: dict[str, Opens] = {"smart": dbpool_with("smart"), "always": dbpool_with("always")}


def peers() -> dict[str, Opens]:
    """Those that are installed."""
    found: dict[str, Opens] = {"asyncpg_pool": asyncpg_pool}
    if find_spec("psycopg_pool") is not None:
        found["psycopg_pool"] = psycopg_pool
    return found
