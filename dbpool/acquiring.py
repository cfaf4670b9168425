"""A connection of one's own: awaited and released, or for the length of a block."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

from dbpool.connection import Handle, Record
from dbpool.errors import UsageError
from dbpool.lease import Lease
from dbpool.loan import Loan


class Acquiring:
    """What ``DatabasePool.acquire`` returns: awaitable, and an async context manager.

    Args:
        lease: makes the lease; asked for when it is needed, for the pool may be closed by then.
    """

    __slots__ = ("_handle", "_is_used", "_make")

    def __init__(self, lease: Callable[[], Lease]) -> None:
        self._make = lease
        self._is_used = False
        self._handle: Loan | None = None  # of a block, which need not give it a name

    def __await__(self) -> Generator[Any, None, Handle[Record]]:
        return self._acquire(in_block=False).__await__()

    async def __aenter__(self) -> Handle[Record]:
        self._handle = handle = await self._acquire(in_block=True)
        return handle

    async def __aexit__(self, *exc: Any) -> None:  # noqa: ANN401 - as the protocol has it
        assert self._handle is not None
        lease, self._handle.lease, self._handle = self._handle.lease, None, None
        await lease.__aexit__(*exc)

    def _use(self) -> None:
        if self._is_used:
            raise UsageError("this acquire() was used already: call acquire() for each connection")
        self._is_used = True

    async def _acquire(self, *, in_block: bool) -> Loan:
        self._use()
        lease = self._make()
        connection = await lease.__aenter__()
        lease.holder.let_task_go()
        return connection.lend(lease, in_block=in_block)
