"""Pools on a fake server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from dbpool.connection import Answer, Want
from dbpool.core.pacing import Rate
from dbpool.core.permits import Line
from dbpool.driver import Driver
from dbpool.events import Event
from dbpool.leases import Leases
from dbpool.oneshot import Calls
from dbpool.settings import PoolSettings
from dbpool.testing.fake.connection import FakeConnection as FakeConnection  # noqa: PLC0414 - for those who use these pools
from dbpool.testing.fake.driver import FakeDriver as FakeDriver  # noqa: PLC0414
from dbpool.upkeep import Upkeep
from tests.support.script import Script


@dataclass(slots=True)
class Pool:
    """The parts of a pool on a fake server."""

    driver: FakeDriver
    leases: Leases
    calls: Calls
    settings: PoolSettings
    upkeep: Upkeep

    def lane(self, name: str, at_most: int | None = None, reserved: int = 0, rate: Rate | None = None) -> Line:
        """One more lane's line."""
        return self.leases.gate.add_line(name, at_most, reserved, None, rate)

    async def ask(
        self, sql: str = "select", *args: object, timeout: float | None = None, line: Line | None = None
    ) -> Answer:
        """Run a one-shot statement; one named ``sets`` may change the session."""
        return await self.calls.run(
            line or self.leases.gate.line, sql, args, Want.ROWS, keeps_session=sql != "sets", timeout=timeout
        )

    def listen(self) -> list[Event]:
        """Every event from now on."""
        told: list[Event] = []
        self.leases.events.on(told.append)
        return told

    @contextmanager
    def counting(self) -> Iterator[dict[str, int]]:
        """The statements, connects and resets that happen within the block."""
        counts: dict[str, int] = {}
        before = self._counts()
        yield counts
        counts.update({name: number - before[name] for name, number in self._counts().items()})

    def _counts(self) -> dict[str, int]:
        return {
            "sent": len(self.driver.sent),
            "connects": self.driver.connects_tried,
            "resets": self.leases.counters.resets_total,
            "handed_on": self.leases.counters.handed_on_total,
        }

    def check(self) -> None:
        """Assert what is true at any instant."""
        self.driver.check()
        gate = self.leases.gate
        assert 0 <= gate.held <= gate.capacity, gate
        lent = sum(max(0, line.held - line.reserved) for line in gate.lines)
        lendable = gate.capacity - sum(line.reserved for line in gate.lines)
        for line in gate.lines:
            most = gate.capacity if line.at_most is None else line.at_most
            assert line.held <= most, f"lane {line.name!r} holds more than {most}"
            may_have_one = gate.held < gate.capacity and (line.held < line.reserved or lent < lendable)
            is_held_back = line.pace is not None or line.held == most
            assert not (line.waiting and may_have_one and not is_held_back), f"a permit is free and one waits: {gate}"

    def check_at_rest(self) -> None:
        """Assert that nothing is lost once nobody uses the pool and no cleanup is under way."""
        self.check()
        assert (self.leases.gate.held, self.leases.gate.waiting, self.leases.connector.opening) == (0, 0, 0)
        assert self.driver.size == self.leases.idle
        assert not self.leases.connector.is_wanted
        assert self.leases.zombies == 0
        assert not any(remains.is_held for remains in self.driver.remains)


def new_pool(max_connections: int = 1, script: Script | None = None, **options: object) -> Pool:
    """A pool on a fake server; not open yet."""
    return pool_of(some_settings(max_connections, **options), script)


def some_settings(max_connections: int = 1, **options: object) -> PoolSettings:
    """Those of a pool on a fake server."""
    values = {"dsn": "postgresql://app@fake/shop", "max_connections": max_connections, **options}
    return PoolSettings.from_mapping(values)


def pool_of(settings: PoolSettings, script: Script | None = None) -> Pool:
    """The pool that *settings* describe, on a fake server; not open yet."""
    driver = FakeDriver(settings.max_connections, script, settings.connect_timeout)
    leases = Leases(settings, driver=cast(Driver, driver))
    return Pool(driver, leases, Calls(leases, settings), settings, Upkeep(leases, settings))


async def open_pool(max_connections: int = 1, script: Script | None = None, **options: object) -> Pool:
    """The same, open: with one idle connection that has prepared ``select`` and ``sets``, unless *options* say more."""
    pool = new_pool(max_connections, script, **options)
    await pool.leases.open()
    return pool


async def kept_pool(max_connections: int = 1, script: Script | None = None, **options: object) -> Pool:
    """The same, with its connections looked after."""
    pool = await open_pool(max_connections, script, **options)
    pool.upkeep.start()
    return pool


async def hold(
    pool: Pool, seconds: float = 0.0, *, dirty: bool = False, timeout: float = 30.0, line: Line | None = None
) -> int:
    """Lease for some time, and change the session if *dirty*; the number of the connection."""
    async with pool.leases.lease(timeout, line) as connection:
        connection.keeps_session = connection.keeps_session and not dirty
        if seconds:
            await asyncio.sleep(seconds)
        assert isinstance(connection, FakeConnection)
        return connection.number


async def cut_off(pool: Pool) -> None:
    """Lease, and terminate the connection."""
    async with pool.leases.lease(30.0) as connection:
        connection.terminate()
