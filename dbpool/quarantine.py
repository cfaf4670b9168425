"""Connections that were cut off, until their backends have ended."""

from __future__ import annotations

import asyncio

from dbpool.connection import PooledConnection
from dbpool.events import Events, Quarantined, QuarantineEnded
from dbpool.finish import Cleanups
from dbpool.remains import Remains
from dbpool.routed import keep_stopping
from dbpool.serverkinds import server_of
from dbpool.settings import PoolSettings


class Quarantine:
    """Waits for the backends of connections that were cut off, for ``quarantine_timeout`` at the most."""

    def __init__(self, settings: PoolSettings, events: Events) -> None:
        self._timeout = settings.quarantine_timeout
        self._events = events
        self._stays = Cleanups()
        self._servers: dict[asyncio.Task[bool], object] = {}  # of those that stay
        self._is_closed = False

    @property
    def zombies(self) -> int:
        """Connections that were cut off, whose backends may live on."""
        return len(self._stays)

    def admit(self, connection: PooledConnection) -> asyncio.Task[bool] | None:
        """Wait for the end of the backend of a closed connection; None if it has ended, as far as can be known."""
        remains, connection.remains = connection.remains, None
        if remains is None:
            return None
        if self._is_closed:
            remains.close()
            return None
        stay = self._stays.start(_see_off(connection, remains, self._timeout))
        self._servers[stay] = server_of(connection)
        self._events.tell(Quarantined(self.zombies))
        stay.add_done_callback(self._ended)  # before any that frees a permit, and after this one is counted out
        return stay

    def servers(self) -> set[object]:
        """Whose backends are waited for."""
        return set(self._servers.values())

    def release(self, server: object) -> None:
        """Wait no more for backends of this one, where nothing is opened any more."""
        for stay, at in self._servers.items():
            if at == server:
                stay.cancel()

    async def close(self) -> None:
        """Wait no more."""
        self._is_closed = True
        self._stays.cancel_all()
        await self._stays.wait_all()

    def _ended(self, stay: asyncio.Task[bool]) -> None:
        del self._servers[stay]
        self._events.tell(QuarantineEnded(not stay.cancelled() and stay.result(), self.zombies))


async def _see_off(connection: PooledConnection, remains: Remains, timeout: float) -> bool:
    # what runs there must not hold the backend up, nor what runs after it
    stopping = asyncio.ensure_future(keep_stopping(connection))
    try:
        return await remains.wait_gone(timeout)
    finally:
        stopping.cancel()
