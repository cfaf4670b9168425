"""The handle of a lease, which tells when nobody has it any more."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import asyncpg
from asyncpg.pool import PoolConnectionProxy


class Loan(PoolConnectionProxy):
    """asyncpg's handle of a connection. A lease whose handle is gone is taken back: see ``Lease.reclaim``.

    Python runs the finalisers of all that goes together before any of it is gone, and one of them may revive the handle
    or end the lease. So whoever comes first ends it, and the handle is of no use from then on.

    The connection refers to it weakly. All that is made of it does strongly, so that it lives for as long as any of it
    can be used: a call under way or about to begin, a prepared statement, a cursor, a transaction until it ends, and
    callbacks that listen, since they are called with it.

    Args:
        owner: the connection, a ``PooledConnection``.
        lease: a ``Lease``, which has both from layers up.
        in_block: ``async with`` ends the lease, not ``release``.
    """

    __slots__ = ("__weakref__", "in_block", "lease", "owner")

    def __init__(self, owner: Any, lease: Any, *, in_block: bool) -> None:
        self._con = self.owner = owner
        self._holder = owner._holder
        self.lease = lease  # None when its holder has ended it
        self.in_block = in_block

    def __del__(self) -> None:
        if self.lease is not None:
            _soon(self.owner._loop, self._take_back)

    def _take_back(self) -> None:
        self._con = None  # the connection's weak reference to this may be gone already
        if self.lease is not None:
            self.lease.reclaim()

    async def prepare(self, query: str, **options: Any) -> Any:
        return self._keeps(await super().prepare(query, **options))

    def cursor(self, query: str, *args: Any, **options: Any) -> Any:
        return self._keeps(super().cursor(query, *args, **options))

    def transaction(self, **options: Any) -> Any:
        transaction: Any = super().transaction(**options)
        transaction.handle = self
        transaction.block = self.lease.block()
        return transaction

    async def add_listener(self, channel: str, callback: Any) -> None:
        await super().add_listener(channel, callback)
        self.owner.keep_if_heard(self)

    async def remove_listener(self, channel: str, callback: Any) -> None:
        await super().remove_listener(channel, callback)
        self.owner.keep_if_heard(self)

    def add_log_listener(self, callback: Any) -> None:
        super().add_log_listener(callback)
        self.owner.keep_if_heard(self)

    def remove_log_listener(self, callback: Any) -> None:
        super().remove_log_listener(callback)
        self.owner.keep_if_heard(self)

    def _keeps(self, made: Any) -> Any:
        made._connection = self  # asyncpg's statements and cursors use and pass on whatever stands there
        return made

    # What such a statement or cursor asks when the lease has ended

    @property
    def _pool_release_ctr(self) -> int:
        return self.owner._pool_release_ctr  # type: ignore[no-any-return]

    def _maybe_gc_stmt(self, state: Any) -> None:
        self.owner._maybe_gc_stmt(state)


class Claim:
    """The same for a lease whose holder has no handle: it is taken back when nobody has this any more."""

    __slots__ = ("lease", "loop")

    def __init__(self, lease: Any, loop: Any) -> None:
        self.lease = lease  # None when its holder has ended it
        self.loop = loop

    def __del__(self) -> None:
        if self.lease is not None:
            _soon(self.loop, self.lease.reclaim)


def _soon(loop: Any, take_back: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(take_back)
    except Exception:  # noqa: S110 - the loop is closed, or Python ends: the connections are gone with it
        pass


def nobody() -> Loan | None:
    """The handle of a connection that is not lent."""
    return None


_OBSERVED = frozenset({"execute", "executemany", "fetch", "fetchmany", "fetchrow", "fetchval"}) | {
    *("copy_from_query", "copy_from_table", "copy_to_table", "copy_records_to_table")
}


def _kept(call: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same call of the connection's, whose coroutine refers to the handle: asyncpg's does not."""

    @functools.wraps(call)
    async def kept(self: Loan, *args: Any, **options: Any) -> Any:
        return await call(self, *args, **options)

    @functools.wraps(call)
    async def observed(self: Loan, what: Any, *args: Any, **options: Any) -> Any:
        if self.lease is None or not self.lease.is_observed:
            return await call(self, what, *args, **options)
        with self.lease.operation(name, what, args):
            return await call(self, what, *args, **options)

    return observed if name in _OBSERVED else kept


for _name, _method in inspect.getmembers(asyncpg.Connection, inspect.iscoroutinefunction):
    if not _name.startswith("_") and _name not in vars(Loan):
        setattr(Loan, _name, _kept(getattr(PoolConnectionProxy, _name), _name))
