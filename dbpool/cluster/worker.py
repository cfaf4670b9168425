"""What runs in a worker's process: its pool, opened when the first unit comes, and the storing of units."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dbpool import DatabasePool, __version__
from dbpool.bulk.jobs.storing import Stored, Storing, Target
from dbpool.bulk.window import results_of
from dbpool.cluster.connect import Connect
from dbpool.cluster.unit import Unit
from dbpool.connection import PooledConnection
from dbpool.errors import UsageError

CLOSE_S = 2.0  # for what is under way to end, when nobody wants it any more


@dataclass(frozen=True, slots=True)
class Grant:
    """A worker's share: *connections*, whose application_name is *name*; *job* and *run* say for what."""

    name: str
    job: str  # of this name, in that database, begun at that time
    run: str
    connections: int
    target: Target
    connect: Connect = field(repr=False)


class _Share:
    """The pool of one grant: opened by the first unit, until it is closed."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self._db = grant.connect(grant.connections, grant.name)
        if not isinstance(self._db, DatabasePool):
            raise UsageError(f"connect= must return a DatabasePool, not {type(self._db).__name__}")
        self._opening: asyncio.Task[object] | None = None
        self._storing = Storing(grant.target, self, grant.connections)

    async def store(self, unit: Unit) -> Stored:
        if self._opening is None:
            self._opening = asyncio.create_task(self._db.open())
        await asyncio.shield(self._opening)
        rest = deque(unit.chunks())
        fair = -(-len(rest) // self.grant.connections)  # so that every connection has something to do

        async def next_work() -> Coroutine[Any, Any, Stored] | None:
            some = min(len(rest), fair, self._storing.in_a_row)
            return self._storing.store([rest.popleft() for _ in range(some)]) if some else None

        stored = Stored()
        async with aclosing(results_of(next_work, most=self.grant.connections, ordered=False)) as results:
            async for each in results:
                stored += each
        return stored

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[PooledConnection]:
        async with self._db._access().lease() as connection:  # noqa: SLF001 - as the pool's own bulk work does
            yield connection

    async def close(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        await self._db.close(CLOSE_S)


_shares: dict[str, _Share] = {}  # of this process, by name; a pool is never sent anywhere


async def close_older(job: str, run: str) -> None:
    """Close what an earlier run of *job*, which was killed, has left in this process."""
    for share in [each for each in _shares.values() if each.grant.job == job and each.grant.run != run]:
        await close_share(share.grant.name)


async def open_share(grant: Grant) -> str:
    """Accept *grant*; nothing is connected yet. Returns the version of this package here."""
    _shares[grant.name] = _Share(grant)
    return __version__


async def store_unit(name: str, unit: Unit) -> Stored | None:
    """Store what is not stored yet of *unit*, with the share called *name*; None if this process has no such share.

    It is safe to do it twice, at the same time too: each chunk is stored by whoever comes first.

    Raises: as ``Storing.store``; UsageError.
    """
    share = _shares.get(name)
    return None if share is None else await share.store(unit)


async def close_share(name: str) -> None:
    """Close the pool; what is under way has 2 s to end."""
    share = _shares.pop(name, None)
    if share is not None:
        await share.close()
