"""Pools under test, and a witness that sees what the server sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, Unpack

import asyncpg

from dbpool import DatabasePool
from dbpool.lane import Lane
from dbpool.options import Options
from dbpool.testing.addresses import dsn_with as dsn_with  # noqa: PLC0414 - for those who use these pools
from tests.support.databases import Database

T = TypeVar("T")
Row = asyncpg.Record

PATIENCE_S = 10.0  # for what takes milliseconds on an idle machine
BACKENDS = (
    "select pid, state, wait_event_type, wait_event, query from pg_stat_activity "
    "where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid() order by pid"
)


async def until(look: Callable[[], Awaitable[T]], patience_s: float = PATIENCE_S) -> T:
    """Look again and again until what is seen is true; return it."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience_s
    while not (seen := await look()):
        assert clock() < deadline, f"{look} did not come true in {patience_s} s"
        await asyncio.sleep(0.005)
    return seen


async def becomes(condition: Callable[[], object], patience_s: float = PATIENCE_S) -> None:
    """The same for what can be seen without waiting."""

    async def look() -> bool:
        return bool(condition())

    await until(look, patience_s)


async def settled(db: DatabasePool, patience_s: float = PATIENCE_S) -> None:
    """Wait until nobody holds, nobody waits and no cleanup is under way."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience_s
    while (stats := db.stats()).held or stats.waiting:
        assert clock() < deadline, f"permits did not come back: {stats}"
        await asyncio.sleep(0.002)


@asynccontextmanager
async def pool_of(
    where: Database | str, max_connections: int = 2, **options: Unpack[Options]
) -> AsyncIterator[DatabasePool]:
    """An open pool; at the end every permit has come back, and after closing every connection is gone."""
    db = DatabasePool(where if isinstance(where, str) else where.dsn, max_connections, **options)
    await db.open()
    try:
        yield db
        await settled(db)
    finally:
        await db.close(timeout=1.0)
    stats = db.stats()
    assert (stats.held, stats.waiting, stats.idle, stats.connections) == (0, 0, 0, 0), stats


@asynccontextmanager
async def held(lane: Lane) -> AsyncIterator[None]:
    """A task of its own holds a connection for the length of the block: the block's may wait for it."""
    has_it, may_go = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with lane.acquire():
            has_it.set()
            await may_go.wait()

    holder = asyncio.create_task(hold())
    await has_it.wait()
    try:
        yield
    finally:
        may_go.set()
        await holder


class Witness:
    """A connection of the test's own, beside the pool, in the same database."""

    def __init__(self, connection: asyncpg.Connection[Row]) -> None:
        self.connection = connection

    async def run(self, sql: str, *args: object) -> None:
        await self.connection.execute(sql, *args)

    async def value(self, sql: str, *args: object) -> Any:  # noqa: ANN401 - whatever type the column has
        return await self.connection.fetchval(sql, *args)

    async def rows(self, sql: str, *args: object) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.connection.fetch(sql, *args)]

    async def backends(self) -> list[Row]:
        """Everybody else's sessions in this database."""
        return await self.connection.fetch(BACKENDS)

    async def pids(self) -> set[int]:
        return {row["pid"] for row in await self.backends()}

    @asynccontextmanager
    async def holding(self, key: int = 1) -> AsyncIterator[None]:
        """Hold an advisory lock, on which ``select pg_advisory_xact_lock(key)`` then waits."""
        await self.run("select pg_advisory_lock($1)", key)
        try:
            yield
        finally:
            await self.run("select pg_advisory_unlock($1)", key)

    async def until_blocked(self, sessions: int = 1) -> list[int]:
        """Wait until so many sessions wait for an advisory lock; return their process ids."""

        async def look() -> list[int]:
            pids = [row["pid"] for row in await self.backends() if row["wait_event"] == "advisory"]
            return pids if len(pids) >= sessions else []

        return await until(look)

    async def until_none_blocked(self) -> None:
        async def look() -> bool:
            return all(row["wait_event"] != "advisory" for row in await self.backends())

        await until(look)

    async def until_alone(self) -> None:
        """Wait until nobody else has a session in this database."""

        async def look() -> bool:
            return not await self.pids()

        await until(look)

    async def terminate(self, *pids: int) -> None:
        """End these sessions, and wait until they have ended."""
        await self.run("select pg_terminate_backend(pid) from unnest($1::int[]) as pid", list(pids))

        async def look() -> bool:
            return not set(pids) & await self.pids()

        await until(look)


@asynccontextmanager
async def witness_of(where: Database | str) -> AsyncIterator[Witness]:
    connection = await asyncpg.connect(where if isinstance(where, str) else where.dsn)
    try:
        yield Witness(connection)
    finally:
        await connection.close(timeout=PATIENCE_S)


@asynccontextmanager
async def role_in(database: Database, *, limit: int = -1, password: str = "pw") -> AsyncIterator[str]:
    """The DSN of an ordinary role that may open *limit* connections: one more is refused with 53300."""
    name = f"role_of_{database.name}"
    async with witness_of(database) as witness:
        await witness.run(f"create role \"{name}\" login password '{password}' connection limit {limit}")
        await witness.run(f'grant all on schema public to "{name}"')
    try:
        yield dsn_with(database.dsn, user=name, password=password)
    finally:
        async with witness_of(database) as witness:
            pids = await witness.pids()
            await witness.terminate(*pids)
            await witness.run(f'drop owned by "{name}"')
            await witness.run(f'drop role "{name}"')
