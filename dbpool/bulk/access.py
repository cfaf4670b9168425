"""How bulk work gets its connections: by the line of the lane that it was asked of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dbpool.bulk.plans import Plans
from dbpool.connection import PooledConnection
from dbpool.core.permits import Line
from dbpool.faults import told_as_ours
from dbpool.lease import Lease
from dbpool.leases import Leases
from dbpool.observing import Asked, Operation
from dbpool.settings import PoolSettings
from dbpool.sites import Site


@dataclass(frozen=True, slots=True)
class Access:
    """A lane, as far as it gives connections; *site* is where in the program the work was asked for."""

    leases: Leases
    line: Line
    settings: PoolSettings
    site: Site
    plans: Plans

    @property
    def name(self) -> str:
        """The pool and the lane, for messages."""
        return self.leases.gate.refusals.named(self.line)

    @property
    def most(self) -> int:
        """Connections that this lane can ever hold together, >= 1."""
        capacity = self.leases.gate.capacity
        return capacity if self.line.at_most is None else min(capacity, self.line.at_most)

    def lease(self, timeout: float | None = None) -> Lease:
        """Hold a connection for the length of a block, within *timeout* seconds; None: ``acquire_timeout``."""
        return self.leases.lease(timeout or self.settings.acquire_timeout, self.line, self.site)

    def operation(self, asked: Asked, sql: str = "", *, table: str = "", size: int | None = None) -> Operation:
        """As what the work is observed: a context manager around all of it."""
        return Operation(self.leases.gate.observing, asked, self.line, self.site, sql, table=table, size=size)

    @asynccontextmanager
    async def asking(self, timeout: float) -> AsyncIterator[PooledConnection]:
        """Hold a connection to ask the server about a statement, for *timeout* seconds.

        Raises: QueryTimeout, ConnectionLost; what ``lease`` raises.
        """
        async with self.lease() as connection:
            with told_as_ours(connection, self.name, timeout):
                async with asyncio.timeout(timeout):
                    yield connection
