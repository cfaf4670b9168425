"""The pools that are stormed, and how often the server refused one of them a connection."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from importlib.util import find_spec
from typing import Any, Protocol, TypeAlias

import asyncpg

from dbpool import DatabasePool
from dbpool.events import ConnectFailed, Event, QuarantineEnded

BOUND = 5
WAIT_S = 20.0
CONNECT_S = 0.3  # less than some sessions take to begin
QUARANTINE_S = 60.0  # the limit by design, which no storm is to reach
CUT_AFTER_S = 0.005
REFUSED = "too many connections"


class Stormed(Protocol):
    """A pool of ``BOUND`` connections."""

    refused: int
    outlived: int
    """Backends that were given up before their end was seen."""

    async def use(self, sql: str, *, cut: bool) -> None:
        """Run a statement; *cut*: its holder ends the connection meanwhile. Raises whatever goes wrong."""
        ...

    def resize(self, connections: int) -> None: ...


Opens: TypeAlias = Callable[[str], AbstractAsyncContextManager[Stormed]]


async def _run(statement: Coroutine[Any, Any, object], end: Callable[[], None] | None) -> None:
    running = asyncio.ensure_future(statement)
    try:
        if end is not None:
            await asyncio.wait([running], timeout=CUT_AFTER_S)
            end()
        await running
    finally:
        running.cancel()


class OfDbpool:
    """dbpool's; it tells of each refusal."""

    def __init__(self, db: DatabasePool) -> None:
        self.db = db
        self.refused = self.outlived = 0
        db.on_event(self._note)

    def _note(self, event: Event) -> None:
        self.refused += isinstance(event, ConnectFailed) and REFUSED in event.error
        self.outlived += isinstance(event, QuarantineEnded) and not event.is_gone

    async def use(self, sql: str, *, cut: bool) -> None:
        async with self.db.acquire(timeout=WAIT_S) as connection:
            await _run(connection.fetch(sql), connection.terminate if cut else None)

    def resize(self, connections: int) -> None:
        self.db.resize(connections)


class OfAsyncpg:
    """asyncpg's own; the caller is told of a refusal."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401
        self.pool = pool
        self.refused = self.outlived = 0

    async def use(self, sql: str, *, cut: bool) -> None:
        try:
            async with self.pool.acquire(timeout=WAIT_S) as connection:
                await _run(connection.fetch(sql), connection.terminate if cut else None)
        except asyncpg.TooManyConnectionsError:
            self.refused += 1
            raise

    def resize(self, connections: int) -> None:
        """It has one size."""


class OfPsycopg(logging.Handler):
    """psycopg_pool's; it logs a refusal."""

    def __init__(self, pool: Any) -> None:  # noqa: ANN401
        super().__init__()
        self.pool = pool
        self.refused = self.outlived = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.refused += REFUSED in record.getMessage()

    async def use(self, sql: str, *, cut: bool) -> None:
        async with self.pool.connection(timeout=WAIT_S) as connection:
            await _run(connection.execute(sql), connection.pgconn.finish if cut else None)

    def resize(self, connections: int) -> None:
        """Shrinking and growing is its own business."""


@asynccontextmanager
async def dbpool_pool(dsn: str) -> AsyncIterator[Stormed]:
    limits: Any = {"quarantine_timeout": QUARANTINE_S, "connect_timeout": CONNECT_S, "outage_patience": WAIT_S}
    async with DatabasePool(dsn, BOUND, min_connections=1, reset_timeout=0.2, **limits) as db:
        yield OfDbpool(db)


@asynccontextmanager
async def asyncpg_pool(dsn: str) -> AsyncIterator[Stormed]:
    pool = await asyncpg.create_pool(dsn, min_size=1, max_size=BOUND, timeout=CONNECT_S)
    try:
        yield OfAsyncpg(pool)
    finally:
        pool.terminate()


@asynccontextmanager
async def psycopg_pool(dsn: str) -> AsyncIterator[Stormed]:
    from psycopg_pool import AsyncConnectionPool

    options: Any = {"kwargs": {"autocommit": True}, "open": False}
    pool: Any = AsyncConnectionPool(dsn, min_size=1, max_size=BOUND, **options)
    stormed = OfPsycopg(pool)
    with _heard(stormed):
        await pool.open()
        try:
            yield stormed
        finally:
            await pool.close(timeout=1.0)


@contextmanager
def _heard(handler: logging.Handler) -> Iterator[None]:
    log = logging.getLogger("psycopg.pool")
    log.addHandler(handler)
    log.propagate, before = False, log.propagate
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = before


def pools() -> dict[str, Opens]:
    """dbpool's first, then those of its peers that are installed."""
    found: dict[str, Opens] = {"dbpool": dbpool_pool, "asyncpg_pool": asyncpg_pool}
    if find_spec("psycopg_pool") is not None:
        found["psycopg_pool"] = psycopg_pool
    return found
