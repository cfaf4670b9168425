"""A lease as SQLAlchemy's pool checks it out, by calls that do not wait."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import sqlalchemy
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import _concurrency_shim

from dbpool.connection import PooledConnection
from dbpool.lane import Lane
from dbpool.lease import Lease
from dbpool.loan import Loan
from dbpool.observing import Asked, Operation
from dbpool.sites import Site
from dbpool.sqlalchemy.holder import SessionHolder

# Where its code is, and what it calls code that it makes as it runs
SQLALCHEMY = (str(Path(sqlalchemy.__file__).parent), "<sqlalchemy generated")


_UNOBSERVED = nullcontext()


class Checkout:
    """A lease, and its connection until it ends."""

    __slots__ = ("_lease", "_loan", "connection", "holder")

    def __init__(self, lease: Lease, holder: SessionHolder, connection: PooledConnection) -> None:
        self._lease = lease
        self.holder = holder
        self.connection = connection
        self._loan: Loan | None = None

    @property
    def is_over(self) -> bool:
        return self._lease.is_over

    @property
    def is_lost(self) -> bool:
        """Whether nothing more can be sent on the connection."""
        return self.is_over or self.connection.is_closed() or bool(self.connection.doomed_by)

    def handle(self) -> Loan:
        """The connection as asyncpg has it, for what SQLAlchemy has no call for; of no use when the lease has ended."""
        if self._loan is None:
            self._loan = self.connection.lend(self._lease, in_block=True)
        return self._loan

    @property
    def is_lent(self) -> bool:
        """Whether somebody had the connection itself, and may have done anything with it."""
        return self._loan is not None

    def limit(self, answer: asyncio.Future[Any], seconds: float) -> None:
        """Have *answer* cancelled after so long, and the holder called overdue, unless it is forgotten before."""
        leases, holder = self._lease.leases, self.holder
        holder.answer, holder.is_overdue = answer, False
        leases.gate.set_deadline(holder, leases.loop.time() + seconds)

    def observed(self, asked: Asked, sql: str, args: Sequence[object]) -> AbstractContextManager[object]:
        """A block as which a statement is told to whoever measures the pool."""
        observing = self._lease.leases.gate.observing
        if not observing.observers:
            return _UNOBSERVED
        return Operation(observing, asked, self.holder.line, self.holder.site, sql, args)

    async def give_back(self) -> None:
        """End the lease; wait for the reset that it may owe."""
        self._let_go_of_handle()
        await self._lease.__aexit__(None, None, None)

    def give_back_after(self, answer: asyncio.Future[Any]) -> None:
        """End the lease when *answer*, to what was sent last, is there; wait for nothing."""
        self._let_go_of_handle()
        lease, holder = self._lease, self.holder
        lease.is_over = True
        self.connection.end_loan()
        holder.asker, holder.afterwards = None, "its transaction is being rolled back"
        answer.add_done_callback(lambda _: lease.leases.settle(holder))

    def abandon(self) -> None:
        """End the lease without waiting, its state being unknown: the pool cleans up in a task of its own."""
        self._let_go_of_handle()
        if not self._lease.is_over:
            self._lease.is_over = True
            self.connection.end_loan()
            self._lease.leases.settle(self.holder, interrupted=True)

    def reclaim_soon(self) -> None:
        """The same from wherever the garbage collector runs."""
        self._let_go_of_handle()
        loop = self._lease.leases.loop
        if not loop.is_closed():
            loop.call_soon_threadsafe(self._lease.reclaim)

    def _let_go_of_handle(self) -> None:
        if self._loan is not None:
            self._loan.lease = None


def checkout(lane: Lane, timeout: float | None) -> Checkout:
    """Stand in the line of *lane*, then have a connection; to be called in a greenlet of SQLAlchemy's.

    Raises: AcquireTimeout, LineFull, PoolClosed, PoolDeadlock, ServerUnavailable, UsageError.
    """
    pool, line = lane._pool, lane._line
    pool._check_usable(line)
    holder = SessionHolder(line, _site(lane))
    lease = Lease(pool._leases, holder, timeout or pool._settings.acquire_timeout)
    connection = await_(lease.__aenter__())
    holder.let_task_go()
    return Checkout(lease, holder, connection)


def _site(lane: Lane) -> Site:
    """The place in the program that asks: in the greenlet, or where the program awaits it."""
    sites = lane._pool._leases.gate.sites
    if SQLALCHEMY[0] not in sites.passed_over:
        sites.passed_over += SQLALCHEMY
    frame = _outside(sys._getframe(1), sites.passed_over)
    if frame is None:
        parent: Any = _concurrency_shim.getcurrent().parent
        frame = None if parent is None else _outside(parent.gr_frame, sites.passed_over)
    return sites.at(frame)


def _outside(frame: FrameType | None, folders: tuple[str, ...]) -> FrameType | None:
    while frame is not None and frame.f_code.co_filename.startswith(folders):
        frame = frame.f_back
    return frame
