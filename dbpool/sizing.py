"""How many connections a pool may have, as that changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dbpool.errors import SettingsError
from dbpool.events import Resized
from dbpool.settings import PoolSettings, whole_number

if TYPE_CHECKING:
    from dbpool.fleet import Membership
    from dbpool.leases import Leases
    from dbpool.upkeep import Upkeep


class Sizing:
    """Sets the bound of a pool: what its user says, or its share of a fleet's budget up to that."""

    def __init__(self, leases: Leases, upkeep: Upkeep, settings: PoolSettings) -> None:
        self._leases = leases
        self._upkeep = upkeep
        self._settings = settings
        self._membership: Membership | None = None

    async def begin(self) -> None:
        """Join the fleet, where there is one: before the first connection is opened.

        Raises: FleetFull, ServerUnavailable.
        """
        fleet = self._leases.driver.fleet
        if fleet is None:
            return
        from dbpool.fleet import Membership

        membership = Membership(fleet, self._leases, self._settings, self._apply)
        await membership.join(asyncio.get_running_loop().time() + self._settings.connect_timeout)
        self._membership = membership

    async def end(self) -> None:
        """Give the share back, once every connection is closed."""
        if self._membership is not None:
            await self._membership.leave()

    def resize(self, max_connections: int) -> None:
        """See ``DatabasePool.resize``."""
        whole_number(max_connections, "max_connections", 1)
        least = self._settings.min_connections
        if max_connections < least:
            raise SettingsError(f"max_connections cannot become {max_connections}: min_connections is {least}")
        if self._membership is not None:
            self._membership.want_at_most(max_connections)
            max_connections = min(max_connections, self._leases.gate.capacity)
        self._apply(max_connections)

    def _apply(self, capacity: int) -> None:
        gate, before = self._leases.gate, self._leases.gate.capacity
        is_open = self._leases.driver.is_open  # else the fleet says how many there are to be
        if is_open:
            self._leases.driver.grow(capacity)
        if capacity != before:  # a share is set at every look, and what the gate has learned holds for as long as it is
            gate.resize(capacity)
            self._leases.events.tell(Resized(before, capacity))
        if is_open:
            self._upkeep.look()
