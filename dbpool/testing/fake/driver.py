"""A PostgreSQL that lives in the event loop, and notices whatever a pool must never do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from dbpool.core.route import DIRECT, Route
from dbpool.testing.fake.connection import FakeConnection
from dbpool.testing.fake.remains import FakeRemains
from dbpool.testing.fake.script import Script


class FakeDriver:
    """Stands in for ``dbpool.driver.Driver``, and is the oracle: its ``violations`` must stay empty."""

    fleet = reaching = None
    zombies = 0
    route = DIRECT
    on_route: Callable[[Route], None]
    is_open = True
    make_connection: Callable[[FakeDriver, int], FakeConnection] = FakeConnection

    def __init__(self, max_size: int, script: Script | None = None, connect_timeout: float = 10.0) -> None:
        self.script = script or Script()
        self.max_size = max_size
        self.connect_timeout = connect_timeout
        self.connecting = 0
        self.most_connecting = 0
        self.open_now: set[FakeConnection] = set()
        self.opened: list[FakeConnection] = []
        self.remains: list[FakeRemains] = []
        self.connects_tried = 0
        self.sent: list[tuple[int, str]] = []
        self.violations: list[str] = []
        self.is_terminated = False

    async def open(self, max_connections: int) -> None:
        assert max_connections == self.max_size

    def renew_credentials(self) -> None:
        """It has none."""

    def grow(self, max_connections: int) -> None:
        self.max_size = max(self.max_size, max_connections)

    @property
    def connections(self) -> list[FakeConnection]:
        return [connection for connection in self.opened if connection in self.open_now]

    @property
    def size(self) -> int:
        return len(self.open_now)

    @property
    def lingering(self) -> int:
        """Server ends that outlive their connections, or connects that were given up."""
        return sum(remains.counts for remains in self.remains)

    def left(self) -> FakeRemains | None:
        """What a cut leaves, if anything."""
        if not self.script.lingers_s:
            return None
        self.remains.append(FakeRemains(self.script.lingers_s))
        return self.remains[-1]

    async def connect(self, leave: Callable[[FakeRemains], None]) -> FakeConnection:
        self.connects_tried += 1
        self.connecting += 1
        self.most_connecting = max(self.most_connecting, self.connecting)
        try:
            self.check()
            fault = self.script.connect_faults.popleft() if self.script.connect_faults else None
            try:
                async with asyncio.timeout(self.connect_timeout):
                    await asyncio.sleep(fault if isinstance(fault, float) else self.script.connect_s)
            except BaseException:  # out of time, or cancelled
                if (remains := self.left()) is not None:
                    leave(remains)
                raise
            if isinstance(fault, Exception):
                raise fault
            if self.script.connect_error is not None:
                raise self.script.connect_error
        finally:
            self.connecting -= 1
        connection = self.make_connection(self, len(self.opened))
        self.opened.append(connection)
        self.open_now.add(connection)
        if self.is_terminated:
            self.report(f"connection {connection.number} was opened after the end")
        return connection

    async def stop_statements(self, timeout: float) -> None:
        await asyncio.sleep(min(timeout, self.script.stop_s))

    def terminate(self) -> None:
        self.is_terminated = True
        for connection in self.connections:
            connection.terminate()

    def report(self, violation: str) -> None:
        """Note what must never happen: code under test may swallow an exception."""
        self.violations.append(violation)

    def check(self) -> None:
        """Assert what is true at any instant."""
        if self.size + self.connecting + self.lingering > self.max_size:
            self.report(
                f"{self.size} connections open, {self.connecting} opening and {self.lingering} lingering, "
                f"{self.max_size} allowed"
            )
        assert not self.violations, self.violations
