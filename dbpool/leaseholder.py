"""A caller's place in the line for a connection, then its lease."""

from __future__ import annotations

import asyncio

from dbpool.connection import PooledConnection
from dbpool.core.permits import HOLDING, Line
from dbpool.sites import Site
from dbpool.waiter import Parcel, Waiter


class Leaseholder(Waiter):
    """A caller's place in line, then its lease."""

    __slots__ = ("afterwards", "connection", "quarantine")

    connection: PooledConnection | None
    quarantine: asyncio.Task[bool] | None  # while the backend of one that was cut off under its permit may live on
    afterwards: str  # what is done under its permit when its caller is gone

    def __init__(self, line: Line, site: Site | None = None) -> None:
        super().__init__(line, site)
        self.connection = self.quarantine = None
        self.afterwards = ""

    def granted(self, parcel: Parcel, now: float) -> None:
        self.connection = parcel
        super().granted(parcel, now)

    def statement(self) -> str | None:
        return None if self.connection is None else self.connection.last_sql

    def is_in_transaction(self) -> bool:
        return self.connection is not None and not self.connection.is_closed() and self.connection.is_in_transaction()

    def means(self) -> list[object]:
        return [] if self.connection is None else self.connection.handles()

    def known(self) -> list[object]:
        return [] if self.connection is None else self.connection.keepers()

    def doing(self) -> str:
        if self.place is HOLDING and self.connection is None:
            return self.afterwards or "no connection yet"
        return ""
