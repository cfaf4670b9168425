"""A lane of a pool that behaves as asyncpg's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from asyncpg.pool import PoolAcquireContext

from dbpool.lane import Lane

if TYPE_CHECKING:
    from dbpool.compat.pool import AsyncpgPool
    from dbpool.core.permits import Line


class AsyncpgLane(Lane):
    """What ``lane`` of such a pool returns: it lends connections as the pool does, by a line of its own."""

    def __init__(self, pool: AsyncpgPool, line: Line, *, coalesce: bool) -> None:
        super().__init__(pool, line, coalesce=coalesce)
        self._lender = pool

    def acquire(self, *, timeout: float | None = None) -> Any:
        """As the pool's."""
        lane: Any = self
        return PoolAcquireContext(lane, timeout)  # which calls the next two

    async def _acquire(self, timeout: float | None) -> Any:
        return await self._lender.acquire_in(self._line, timeout)

    async def release(self, connection: Any, *, timeout: float | None = None) -> None:
        """As the pool's."""
        await self._lender.release(connection, timeout=timeout)
