"""A whole DatabasePool on the fake server, and the oracle that watches it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from dbpool import DatabasePool, leases
from dbpool.events import Event
from tests.support.fakes import FakeDriver
from tests.support.script import Script


@dataclass(frozen=True, slots=True)
class Faked:
    """A pool, the server that it has, and what it has told so far."""

    db: DatabasePool
    driver: FakeDriver
    told: list[Event]

    async def hold(self, seconds: float, *, timeout: float = 100.0) -> None:
        """Lease a connection for some time."""
        async with self.db.acquire(timeout=timeout):
            await asyncio.sleep(seconds)

    def holds(self, *seconds: float) -> list[asyncio.Task[None]]:
        """A task for each that holds for so long."""
        return [asyncio.create_task(self.hold(each)) for each in seconds]

    def check_at_rest(self) -> None:
        """Assert that nothing is lost once nobody uses the pool."""
        self.driver.check()
        stats = self.db.stats()
        assert (stats.held, stats.waiting, stats.opening) == (0, 0, 0), stats
        assert stats.idle == stats.connections == self.driver.size, stats


def new_faked(max_connections: int = 1, script: Script | None = None, **options: float) -> Faked:
    """One that is not open yet."""
    driver = FakeDriver(max_connections, script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leases, "Driver", lambda settings: driver)
        values = {"dsn": "postgresql://app@fake/shop", "max_connections": max_connections, **options}
        db = DatabasePool(**values)  # type: ignore[arg-type] # PoolSettings checks them
    told: list[Event] = []
    db.on_event(told.append)
    return Faked(db, driver, told)


@asynccontextmanager
async def faked(max_connections: int = 1, script: Script | None = None, **options: float) -> AsyncIterator[Faked]:
    """One that is open; at the end nothing is lost, and it is closed."""
    pool = new_faked(max_connections, script, **options)
    await pool.db.open()
    pool.told.clear()
    try:
        yield pool
        pool.check_at_rest()
    finally:
        await pool.db.close(timeout=1.0)
