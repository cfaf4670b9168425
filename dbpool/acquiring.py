"""A connection of one's own: awaited and released, or for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from dbpool.connection import Handle, Record
from dbpool.errors import UsageError
from dbpool.leases import Lease


class Acquiring:
    """What ``DatabasePool.acquire`` returns: awaitable, and an async context manager.

    Args:
        lease: makes the lease; asked for when it is needed, for the pool may be closed by then.
        loans: where the handle of an awaited one is kept until it is released.
    """

    __slots__ = ("_is_used", "_lease", "_loans", "_make")

    def __init__(self, lease: Callable[[], Lease], loans: dict[Handle[Record], Lease]) -> None:
        self._make = lease
        self._loans = loans
        self._is_used = False
        self._lease: Lease | None = None

    def __await__(self) -> Generator[Any, None, Handle[Record]]:
        return self._acquire().__await__()

    async def __aenter__(self) -> Handle[Record]:
        self._use()
        lease = self._make()
        connection = await lease.__aenter__()
        self._lease = lease
        return connection.lend()

    async def __aexit__(self, *exc: Any) -> None:  # noqa: ANN401 - as the protocol has it
        assert self._lease is not None
        lease, self._lease = self._lease, None
        await lease.__aexit__(*exc)

    def _use(self) -> None:
        if self._is_used:
            raise UsageError("this acquire() was used already: call acquire() for each connection")
        self._is_used = True

    async def _acquire(self) -> Handle[Record]:
        self._use()
        lease = self._make()
        handle = (await lease.__aenter__()).lend()
        self._loans[handle] = lease
        return handle
