"""A lease: a permit with its connection, from acquire to release."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence, Sized
from typing import Protocol

from dbpool.connection import PooledConnection
from dbpool.events import Events, LeaseReclaimed
from dbpool.faults import is_impatient, is_unfinished
from dbpool.gate import Gate
from dbpool.leaseholder import Leaseholder
from dbpool.observing import Asked, Block, Operation
from dbpool.report import Caller
from dbpool.waiter import Waiter

log = logging.getLogger("dbpool")

_ASKED = {
    "executemany": Asked.EXECUTEMANY,
    "fetchmany": Asked.EXECUTEMANY,
    "copy_from_query": Asked.COPY,
    "copy_from_table": Asked.COPY,
    "copy_to_table": Asked.COPY,
    "copy_records_to_table": Asked.COPY,
}


class Lender(Protocol):
    """What a lease needs of the leases."""

    loop: asyncio.AbstractEventLoop
    gate: Gate
    events: Events
    suspects: dict[Waiter, Caller]

    async def obtain(self, holder: Leaseholder, deadline: float, asked_at: float) -> PooledConnection: ...

    def settle(self, holder: Leaseholder, *, interrupted: bool = False) -> asyncio.Task[None] | None: ...


class Lease:
    """What ``Leases.lease`` returns. It ends once: its holder comes too late, or the pool does, without harm.

    A class, for a generator that waits in line does not notice that its coroutine is closed (before Python 3.12).
    """

    __slots__ = ("_timeout", "holder", "is_over", "leases")

    def __init__(self, leases: Lender, holder: Leaseholder, timeout: float) -> None:
        self.leases = leases
        self._timeout = timeout
        self.holder = holder
        self.is_over = False

    async def __aenter__(self) -> PooledConnection:
        leases, holder = self.leases, self.holder
        holder.check_new()
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        deadline = asked_at + self._timeout
        try:
            if not leases.gate.request(holder, self._timeout, loop):
                holder.wakeup = loop.create_future()
                refusal = await holder.wakeup
                if refusal is not None:
                    raise refusal
            connection = await leases.obtain(holder, deadline, asked_at)
            connection.held_by = leases.gate.refusals.named(holder.line)
            if leases.gate.observing.observers:
                leases.gate.observing.obtained(holder)
            return connection
        except BaseException as error:
            await self._leave(error)
            raise

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self.is_over:
            return
        self.is_over = True
        try:
            if self.holder.connection is not None:
                self.holder.connection.end_loan()
        finally:
            await self._leave(error)

    def reclaim(self) -> None:
        """End it as its holder should have done, for nobody has its handle any more; reset its connection."""
        if self.is_over:
            return
        self.is_over = True
        leases, holder = self.leases, self.holder
        assert holder.connection is not None
        if not leases.gate.is_closed:  # else close() says who is left
            where, named = str(holder.site), leases.gate.refusals.named(holder.line)
            from dbpool.eventfields import fields_of

            event = LeaseReclaimed(where, holder.line.name)
            text = "%s: took back a connection acquired at %s: not released, and nobody has it"
            log.warning(text, named, where, extra=fields_of(event, holder.connection.settings.name))
            leases.events.tell(event)
        leases.suspects.pop(holder, None)
        holder.connection.end_loan()
        leases.settle(holder, interrupted=True)

    async def _leave(self, error: BaseException | None) -> None:
        cleanup = self.leases.settle(self.holder, interrupted=error is not None and is_unfinished(error))
        if cleanup is not None and not (error is not None and is_impatient(error)):
            await asyncio.wait([cleanup])  # not awaited itself: cut off by close(), it must not cancel its caller

    # How what its holder does is observed, for whoever has a handle of it

    @property
    def is_observed(self) -> bool:
        return bool(self.leases.gate.observing.observers)

    def operation(self, method: str, what: object, args: Sequence[object]) -> Operation:
        """A call of *method* of the handle, with an SQL text, or a table's name for the COPY methods that take one."""
        observing, asked = self.leases.gate.observing, _ASKED.get(method, Asked.STATEMENT)
        site = observing.sites.of(3)
        name = what if isinstance(what, str) else ""
        if asked is Asked.COPY and method != "copy_from_query":
            direction = "TO STDOUT" if method == "copy_from_table" else "FROM STDIN"
            return Operation(observing, asked, self.holder.line, site, f"COPY {name} {direction}", table=name)
        if asked is Asked.EXECUTEMANY:
            size = len(args[0]) if args and isinstance(args[0], Sized) else None
            return Operation(observing, asked, self.holder.line, site, name, size=size)
        return Operation(observing, asked, self.holder.line, site, name, args)

    def block(self) -> Block:
        """A transaction on its connection."""
        observing = self.leases.gate.observing
        return Block(observing, Asked.TRANSACTION, self.holder.line, observing.sites.of(3))
