"""Each way to look a row up by its key, opened and ready."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import asyncpg

from bench.listing import ListingPool
from dbpool import DatabasePool, create_pool

CONNECTIONS: Final = 10
SQL: Final = "SELECT * FROM users WHERE id = $1"
# What dbpool sets on its own connections; asyncio's loop allocates this much for every read, 256 KiB by default.
TUNED_READ_SIZE: Final = 64 * 1024

Lookup = Callable[[int], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Access:
    """What a contender's tasks call.

    Args:
        lookups: what all tasks share, evenly; or one for each worker, which then belongs to it alone.
        is_shared: which of the two. Where it is not, there are as many workers as tasks, but never more than lookups.
    """

    lookups: tuple[Lookup, ...]
    is_shared: bool = True
    of_all: Callable[[list[int]], Awaitable[object]] | None = None
    """Looks all keys up by one call, instead of tasks."""


class Unavailable(Exception):
    """This contender cannot take part; the message says why."""


Opening = Callable[[str], AbstractAsyncContextManager[Access]]


@asynccontextmanager
async def dbpool(dsn: str) -> AsyncIterator[Access]:
    async with DatabasePool(dsn, max_connections=CONNECTIONS, min_connections=CONNECTIONS) as db:
        yield Access((partial(db.fetchrow, SQL),))


@asynccontextmanager
async def bare(dsn: str, *, read_size: int | None = None) -> AsyncIterator[Access]:
    async with AsyncExitStack() as stack:
        lookups = []
        for _ in range(CONNECTIONS):
            connection: Any = await asyncpg.connect(dsn)
            stack.push_async_callback(connection.close)
            if read_size is not None:
                transport = connection._transport  # noqa: SLF001 - asyncpg has no other way to it
                if not hasattr(transport, "max_size"):
                    raise Unavailable("the size of this loop's reads cannot be set")
                transport.max_size = read_size
            lookups.append(partial(connection.fetchrow, SQL))
        yield Access(tuple(lookups), is_shared=False)


@asynccontextmanager
async def pool_of(create: Callable[..., Any], dsn: str, *, by_acquire: bool = False) -> AsyncIterator[Access]:
    """What *create*, asyncpg's or one that takes its place, makes with its own defaults."""
    async with create(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS) as pool:

        async def lookup(key: int) -> object:
            async with pool.acquire() as connection:
                return await connection.fetchrow(SQL, key)

        yield Access((lookup if by_acquire else partial(pool.fetchrow, SQL),))


@asynccontextmanager
async def listing(dsn: str) -> AsyncIterator[Access]:
    db = ListingPool(dsn, CONNECTIONS)
    await db.init_pool()
    try:
        yield Access((partial(db.query, SQL),))
    finally:
        await db.close()


@asynccontextmanager
async def psycopg_pool(dsn: str) -> AsyncIterator[Access]:
    from psycopg_pool import AsyncConnectionPool

    # Without autocommit each call would be a transaction, three round trips; 0: prepared at the first use.
    options = {"autocommit": True, "prepare_threshold": 0}
    sql = SQL.replace("$1", "%s")

    async with AsyncConnectionPool(
        dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, kwargs=options, open=False, timeout=60
    ) as pool:
        await pool.wait()

        async def lookup(key: int) -> object:
            async with pool.connection() as connection:
                return await (await connection.execute(sql, (key,))).fetchone()

        yield Access((lookup,))


@asynccontextmanager
async def psqlpy(dsn: str) -> AsyncIterator[Access]:
    from psqlpy import ConnectionPool

    pool = ConnectionPool(dsn=dsn, max_db_pool_size=CONNECTIONS)

    async def lookup(key: int) -> object:
        async with pool.acquire() as connection:
            return (await connection.fetch_row(SQL, [key])).result()

    try:
        yield Access((lookup,))
    finally:
        pool.close()


@asynccontextmanager
async def sqlalchemy(dsn: str, *, isolation_level: str | None = None) -> AsyncIterator[Access]:
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    options: dict[str, Any] = {} if isolation_level is None else {"isolation_level": isolation_level}
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=60,
        **options,
    )
    statement = text(SQL.replace("$1", ":id"))

    async def lookup(key: int) -> object:
        async with engine.connect() as connection:
            return (await connection.execute(statement, {"id": key})).first()

    try:
        yield Access((lookup,))
    finally:
        await engine.dispose()


OPENINGS: Final[dict[str, Opening]] = {
    "dbpool": dbpool,
    "bare": bare,
    "bare-tuned": partial(bare, read_size=TUNED_READ_SIZE),
    "asyncpg.Pool": partial(pool_of, asyncpg.create_pool),
    "listing": listing,
    "psycopg_pool": psycopg_pool,
    "psqlpy": psqlpy,
    "sqlalchemy": sqlalchemy,
    "sqlalchemy-auto": partial(sqlalchemy, isolation_level="AUTOCOMMIT"),
}
DROP_INS: Final[dict[str, Opening]] = {
    "create_pool": partial(pool_of, create_pool),
    "asyncpg.Pool": OPENINGS["asyncpg.Pool"],
    "create_pool-acquire": partial(pool_of, create_pool, by_acquire=True),
    "asyncpg.Pool-acquire": partial(pool_of, asyncpg.create_pool, by_acquire=True),
}
PGBENCH: Final = "pgbench"
NAMES: Final = (*OPENINGS, PGBENCH)

LABELS: Final = {
    "dbpool": "dbpool, db.fetchrow()",
    "dbpool-map": "dbpool, db.map_row() over all keys",
    "dbpool-coalesce": "dbpool, db.fetchrow(), coalesced",
    "any": "by hand: id = any($1), asyncpg",
    "fetchmany": "asyncpg, connection.fetchmany()",
    "psycopg-pipeline": "psycopg, executemany(), which is a pipeline",
    "psqlpy-pipeline": "psqlpy, transaction.pipeline()",
    "ten": "dbpool, db.fetchrow() of ten texts",
    "ten-coalesce": "the same, coalesced",
    "ten-asyncpg.Pool": "asyncpg.Pool, pool.fetchrow() of ten texts",
    "dbpool-lanes": "the same by three lanes, with reports and events",
    "bare": "bare asyncpg connections, one a worker",
    "bare-tuned": "the same, reading 64 KiB at a time",
    "create_pool": "dbpool.create_pool(), pool.fetchrow()",
    "asyncpg.Pool": "asyncpg.Pool, pool.fetchrow()",
    "create_pool-acquire": "dbpool.create_pool(), pool.acquire()",
    "asyncpg.Pool-acquire": "asyncpg.Pool, pool.acquire()",
    "listing": "the article's listing, db.query()",
    "psycopg_pool": "psycopg_pool, autocommit, prepared",
    "psqlpy": "psqlpy's ConnectionPool",
    "sqlalchemy": "SQLAlchemy engine, text(), as it comes",
    "sqlalchemy-auto": "SQLAlchemy engine, text(), AUTOCOMMIT",
    "core": "dbpool, db.fetchrow(select(...)), made for each call",
    "core-kept": "the same, made once, with a bind",
    "core-text": "dbpool, db.fetchrow() of SQL text",
    "core-sqlalchemy": "SQLAlchemy engine, select(...) made for each call",
    "core-sqlalchemy-auto": "the same, AUTOCOMMIT",
    "orm": "dbpool.sqlalchemy, session.get()",
    "orm-sqlalchemy": "SQLAlchemy engine, session.get()",
    "orm-core": "dbpool.sqlalchemy, connection.execute()",
    "orm-core-sqlalchemy": "SQLAlchemy engine, connection.execute()",
    "orm-auto": "dbpool.sqlalchemy, session.get(), AUTOCOMMIT",
    "orm-auto-sqlalchemy": "SQLAlchemy engine, session.get(), AUTOCOMMIT",
    PGBENCH: "pgbench, the server's own limit",
}
