"""What a load needs of a library: run a transaction on one of its connections, and say when what happened."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from time import monotonic_ns
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

from dbpool.loadtest.recording.recorder import Splits
from dbpool.loadtest.scripts.steps import Query, Rows

NEVER_S: Final = 86_400.0  # of a library's own time limits: the load's comes first

now_ns = monotonic_ns  # one clock for all processes of a machine, so that their stamps can be compared

Connection: TypeAlias = Any  # whatever the library calls one
Body: TypeAlias = Callable[[Connection], Awaitable[object]]
"""A transaction: all that is to be done on one connection."""


class Stamps(NamedTuple):
    """When a transaction got where, in monotonic ns."""

    gated: int
    acquired: int
    done: int
    released: int


class Driver(Protocol):
    """A way to the server. ``run`` raises what the transaction, or the way to its connection, raises."""

    splits: Splits

    async def open(self) -> None:
        """Connect as far as the library does so beforehand."""

    async def close(self) -> None:
        """Close every connection."""

    async def run(self, body: Body, start: int) -> Stamps:
        """Do *body* on a connection. Cancelling: stops it, and gives the connection back."""

    def refusals(self) -> Mapping[str, int]:
        """Connects that failed so far without a transaction being told, by what results call the reason."""

    async def ask(self, connection: Connection, query: Query) -> Rows | None:
        """Send one step of a script."""

    async def roll_back(self, connection: Connection) -> None:
        """End the transaction that failed, if one is open."""
