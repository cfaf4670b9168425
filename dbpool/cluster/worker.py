"""What runs in a worker's process: its pool, opened when the first unit comes, and the storing of units."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from dbpool import __version__
from dbpool.bulk.jobs.storing import Stored, Storing, Target
from dbpool.bulk.window import results_of
from dbpool.cluster.connect import Connect
from dbpool.cluster.unit import Unit
from dbpool.connection import PooledConnection

CLOSE_S = 2.0  # for what is under way to end, when nobody wants it any more


@dataclass(frozen=True, slots=True)
class Grant:
    """A worker's share: *connections*, whose application_name is *name*; *job* and *run* say for what."""

    name: str
    job: int
    run: str
    connections: int
    target: Target
    connect: Connect = field(repr=False)


class ShareUnknown(Exception):
    """This process has no such share: it was started after that was given."""


class _Share:
    """The pool of one grant."""

    def __init__(self, grant: Grant) -> None:
        self.grant = grant
        self._db = grant.connect(grant.connections, grant.name)
        self._opening = asyncio.Lock()
        self._storing = Storing(grant.target, self, grant.connections)

    async def store(self, unit: Unit) -> Stored:
        async with self._opening:
            await self._db.open()  # does nothing the second time
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
        await self._db.close(CLOSE_S)


_shares: dict[str, _Share] = {}  # of this process, by name; a pool is never sent anywhere


async def open_share(grant: Grant) -> str:
    """Accept *grant*; nothing is connected yet. Returns the version of this package here."""
    left = [share for share in _shares.values() if share.grant.job == grant.job and share.grant.run != grant.run]
    for share in left:  # of a run that was killed
        await close_share(share.grant.name)
    _shares[grant.name] = _Share(grant)
    return __version__


async def store_unit(name: str, unit: Unit) -> Stored:
    """Store what is not stored yet of *unit*, with the share called *name*.

    It is safe to do it twice, at the same time too: each chunk is stored by whoever comes first.

    Raises: ShareUnknown; as ``Storing.store``.
    """
    share = _shares.get(name)
    if share is None:
        raise ShareUnknown(name)
    return await share.store(unit)


async def close_share(name: str) -> None:
    """Close the pool; what is under way has 2 s to end."""
    share = _shares.pop(name, None)
    if share is not None:
        await share.close()
