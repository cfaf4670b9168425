"""DatabasePool: everything a caller sees of the pool."""

from __future__ import annotations

import asyncio
import os
import random
import weakref
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from enum import Enum
from threading import get_ident
from typing import TYPE_CHECKING, Any, LiteralString, Self, TypeVar, Unpack

from dbpool.acquiring import Acquiring
from dbpool.connection import Answer, Handle, PostgresError, Record, Want
from dbpool.core.retry import Backoff, Verdict, verdict
from dbpool.errors import CommitOutcomeUnknown, Outcome, PoolClosed, TransactionFailed, UsageError
from dbpool.faults import one_line, told_as_ours
from dbpool.leases import Lease, Leases
from dbpool.listening import Listeners, Subscription, checked_channels
from dbpool.oneshot import Calls
from dbpool.queries import Queries, check, check_statement, checked_timeout
from dbpool.settings import Dsn, PoolSettings, positive_seconds, whole_number
from dbpool.stats import PoolStats
from dbpool.streaming import StreamedRows
from dbpool.transaction import Transacting, Transaction, TransactionOptions

if TYPE_CHECKING:
    from dbpool.options import Options

T = TypeVar("T")

_RETRY = Backoff(first_s=0.01, cap_s=1.0)
_pools: weakref.WeakSet[DatabasePool] = weakref.WeakSet()


class Phase(Enum):
    """Where a pool is in its life; each is the reason why a call is refused, but for OPEN."""

    NEW = "is not open: use 'async with DatabasePool(...)', or await open() first"
    OPENING = "is being opened by another task: use it when open() has returned"
    OPEN = "belongs to another event loop: make a pool for each loop"
    CLOSED = "is closed: make a new one"
    FORKED = "was open when this process was forked, and is of no use in the child: make a pool after the fork"


class DatabasePool(Queries):
    """A bounded, fair pool of PostgreSQL connections.

    At most *max_connections* are open; callers beyond that wait in one line, first come, first served.

    Args:
        dsn: ``postgresql://user:password@host:5432/database``; never shown by any message.
        max_connections: the bound, at least 1.
        options: see PoolSettings.
    Raises:
        SettingsError: a setting is out of range or the DSN is malformed.
    Example::

        async with DatabasePool("postgresql://app@localhost/shop", max_connections=10) as db:
            rows = await db.query("select * from users where id = $1", 7)
    """

    def __init__(self, dsn: str, max_connections: int = 5, **options: Unpack[Options]) -> None:
        values: Mapping[str, Any] = {"dsn": dsn, "max_connections": max_connections, **options}
        self._begin(PoolSettings.from_mapping(values))

    @classmethod
    def from_settings(cls, settings: PoolSettings) -> Self:
        """A pool with *settings*, as from ``PoolSettings.from_env()``."""
        pool = cls.__new__(cls)
        pool._begin(settings)
        return pool

    def _begin(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._phase = Phase.NEW
        self._loop: asyncio.AbstractEventLoop | None = None  # set only while the pool can be used
        self._thread = 0
        self._leases = Leases(settings)
        self._calls = Calls(self._leases, settings)
        self._listeners: Listeners | None = None
        self._loans: dict[Handle[Record], Lease] = {}
        self._closing: asyncio.Task[None] | None = None
        _pools.add(self)

    # Opening and closing

    async def open(self) -> Self:
        """Connect; return the pool. Does nothing if it is open.

        Raises:
            ServerUnavailable: the server cannot be reached or refuses; the cause is the driver's error.
        """
        if self._phase is Phase.OPEN:
            self._check_usable()
            return self
        if self._phase is not Phase.NEW:
            raise self._refusal()
        self._phase = Phase.OPENING
        try:
            await self._leases.open()
        except BaseException:
            self._phase = Phase.NEW
            leases, self._leases = self._leases, Leases(self._settings)
            self._calls = Calls(self._leases, self._settings)
            await leases.close(self._settings.close_timeout)
            raise
        self._loop, self._thread = asyncio.get_running_loop(), get_ident()
        self._phase = Phase.OPEN
        return self

    init_pool = open

    async def close(self, timeout: float | None = None) -> None:
        """Refuse newcomers, fail everyone in line, let leases end, close every connection.

        Args:
            timeout: seconds for the leases to end before they are cut off, and what runs is stopped at the server;
                None: ``close_timeout``.
        Cancelling: ends the wait; the closing goes on.
        """
        timeout = checked_timeout(timeout) or self._settings.close_timeout
        if self._phase is Phase.OPEN:
            self._check_usable()
            self._loop, self._phase = None, Phase.CLOSED
            self._closing = asyncio.get_running_loop().create_task(self._end(timeout))
        elif self._phase is Phase.NEW:
            self._phase = Phase.CLOSED
        elif self._phase is Phase.OPENING:
            raise self._refusal()
        if self._closing is not None:
            await asyncio.wait([self._closing])  # not awaited itself: cut off, it must not cancel its caller
            if not self._closing.cancelled():
                self._closing.result()

    async def _end(self, timeout: float) -> None:
        listeners = [] if self._listeners is None else [self._listeners.close()]
        await asyncio.gather(self._leases.close(timeout), *listeners)

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def __await__(self) -> Generator[Any, None, Self]:
        return self.open().__await__()

    # Statements: fetch, query, fetchrow, fetchval, execute come from Queries

    async def executemany(
        self, sql: LiteralString, args: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run a statement for each of *args*, all or nothing, in few round trips."""
        self._check_usable()
        check_statement(sql, (), self._settings.trusted_functions)
        seconds = checked_timeout(timeout) or self._settings.query_timeout
        ends_at = self._leases.loop.time() + seconds
        async with self._leases.lease(checked_timeout(timeout) or self._settings.acquire_timeout) as connection:
            if timeout is not None:
                seconds = max(ends_at - self._leases.loop.time(), 0.001)
            with told_as_ours(connection, self._leases.gate.name, seconds):
                await connection.executemany(sql, args, timeout=seconds)

    def stream(
        self, sql: LiteralString, *args: object, prefetch: int = 1000, into: Callable[..., T] | None = None
    ) -> StreamedRows[Any]:
        """The rows of a statement through a server-side cursor, *prefetch* of them in memory at a time.

        Holds one connection, in a transaction, until the last row or until the iterator is closed: leave a loop early
        only inside ``async with contextlib.aclosing(db.stream(...)) as rows``.
        """
        check_statement(sql, args, self._settings.trusted_functions)
        whole_number(prefetch, "prefetch", 1)
        return StreamedRows(self.transaction(), lambda tx: aiter(tx.stream(sql, *args, prefetch=prefetch, into=into)))

    # Transactions

    def transaction(
        self,
        *,
        isolation: str | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        settings: Mapping[str, str] | None = None,
        traceable: bool = False,
        timeout: float | None = None,
    ) -> Transacting:
        """Hold a connection in a transaction for the length of a block: COMMIT at its end, ROLLBACK on an exception.

        Args:
            isolation: ``read_committed``, ``repeatable_read`` or ``serializable``; None: the server's default.
            settings: parameters set until the transaction ends, as ``{"app.tenant": "7"}``.
            traceable: ask for the transaction's id before COMMIT, so that ``outcome`` can resolve a lost answer.
            timeout: seconds to wait for a connection.
        Raises: see Transaction; AcquireTimeout, LineFull, PoolClosed, ServerUnavailable while waiting.
        Cancelling: nothing is stored, unless COMMIT had been sent; the pool rolls back in a task of its own.
        """
        options = TransactionOptions(
            isolation=isolation, readonly=readonly, deferrable=deferrable, settings=settings or {}, traceable=traceable
        )
        return Transacting(self._lease(timeout), options)

    async def run(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        attempts: int = 5,
        isolation: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> T:
        """Run ``await work(tx)`` in a transaction; run all of it again when it conflicts (40001, 40P01).

        *work* must have no effects outside the transaction, for it may run *attempts* times. Between attempts it waits
        with full jitter, up to a second.

        Raises:
            TransactionFailed: every attempt conflicted; the last conflict is the cause.
        """
        whole_number(attempts, "attempts", 1)
        last: PostgresError | None = None
        for attempt in range(1, attempts + 1):
            try:
                async with self.transaction(isolation=isolation, settings=settings) as tx:
                    return await work(tx)
            except PostgresError as error:
                if verdict(error.sqlstate) is not Verdict.RETRY_TRANSACTION:
                    raise
                last = error
            if attempt < attempts:
                await asyncio.sleep(_RETRY.delay_s(attempt, random.random()))
        assert last is not None
        raise TransactionFailed(
            f"a transaction on {self._leases.gate.name} conflicted in {attempts} of {attempts} attempts, "
            f"the last time with {one_line(last)}. Make it shorter, touch rows in one order, or raise attempts.",
            attempts=attempts,
        ) from last

    async def outcome(self, error: CommitOutcomeUnknown, *, timeout: float = 10.0) -> Outcome:
        """Ask the server what became of a ``traceable`` transaction whose COMMIT was not answered.

        Waits up to *timeout* seconds for a transaction still in progress to end. UNKNOWN: it was not traceable, or too
        long ago. Not valid after a failover to a standby that may have missed it.
        """
        if error.xid is None:
            return Outcome.UNKNOWN
        ends_at = asyncio.get_running_loop().time() + positive_seconds(timeout, "timeout")
        while True:
            status = await self.fetchval("SELECT pg_xact_status($1::text::xid8)", error.xid)
            outcome = Outcome.UNKNOWN if status is None else Outcome(status)
            if outcome is not Outcome.IN_PROGRESS or asyncio.get_running_loop().time() > ends_at:
                return outcome
            await asyncio.sleep(0.05)

    # Connections

    def acquire(self, *, timeout: float | None = None) -> Acquiring:
        """A connection of one's own: ``async with db.acquire() as connection``, or ``await`` and ``release``.

        It has asyncpg's interface. Its session is reset before anybody else sees it, where that is owed.

        Raises: AcquireTimeout, LineFull, PoolClosed, ServerUnavailable.
        """
        timeout = checked_timeout(timeout)
        return Acquiring(lambda: self._lease(timeout), self._loans)

    async def release(self, connection: Handle[Record]) -> None:
        """End the lease of a connection that ``await db.acquire()`` gave.

        Raises:
            UsageError: it was released before, or is not of this pool.
        """
        loan = self._loans.pop(connection, None)
        if loan is None:
            raise UsageError(
                f"{connection!r} is not on loan from {self._leases.gate.name}: it was released before, or "
                f"it was never acquired here with 'await db.acquire()'"
            )
        await loan.__aexit__(None, None, None)

    def listen(self, *channels: str, buffer: int = 1000) -> Subscription:
        """The notifications of *channels*: ``async with db.listen("orders") as events``, then ``async for`` over them.

        An event is a Notification, or a Gap where some may be missing: after the connection was lost and listens again,
        and where *buffer* unread ones were there already. All subscriptions of a pool share one connection, beside its
        ``max_connections``. The server listens when the block begins, or else with the first step of the loop.

        Raises:
            SettingsError: a channel's name that no NOTIFY can have.
            ServerUnavailable: the server cannot be reached, when the block begins; later it is tried until it can.
            PoolClosed: the pool was closed, once all that came before is read.
        """
        self._check_usable()
        names = checked_channels(channels)
        whole_number(buffer, "buffer", 1)
        if self._listeners is None:
            self._listeners = Listeners(self._leases.driver, self._settings)
        return Subscription(self._listeners, names, buffer)

    # What it says of itself

    @property
    def dsn(self) -> Dsn:
        return self._settings.dsn

    @property
    def settings(self) -> PoolSettings:
        return self._settings

    def stats(self) -> PoolStats:
        """The numbers of this moment."""
        leases, gate, connector = self._leases, self._leases.gate, self._leases.connector
        line, counters = gate.counters, leases.counters
        error = connector.last_error
        return PoolStats(
            name=self._settings.name,
            capacity=gate.capacity,
            held=gate.held,
            idle=leases.idle,
            waiting=gate.waiting,
            opening=connector.opening,
            connections=leases.driver.size,
            oldest_wait_s=gate.oldest_wait_s(),
            granted_total=line.granted_total,
            waited_total=line.waited_total,
            waited_s_total=line.waited_s_total,
            timeouts_total=line.timeouts_total,
            refused_total=line.refused_total,
            handed_on_total=counters.handed_on_total,
            resets_total=counters.resets_total,
            discarded_total=counters.discarded_total,
            connects_total=connector.connects_total,
            connect_failures_total=connector.connect_failures_total,
            last_connect_error=None if error is None else one_line(error),
        )

    def __repr__(self) -> str:
        if self._phase is not Phase.OPEN:
            return f"<DatabasePool {self._settings.name}: {self._phase.name.lower()}>"
        gate = self._leases.gate
        text = f"{gate.held} of {gate.capacity} held, {self._leases.idle} idle, {gate.waiting} waiting"
        if gate.waiting:
            text += f" ({gate.oldest_wait_s():.1f} s at most)"
        return f"<DatabasePool {self._settings.name}: {text}>"

    # The way in

    def _ask(self, sql: str, args: Sequence[object], want: Want, timeout: float | None) -> Awaitable[Answer]:
        self._check_usable()
        statement = check(sql, args, want, self._settings.trusted_functions)
        if timeout is not None:
            positive_seconds(timeout, "timeout")
        return self._calls.run(sql, args, want, keeps_session=statement.keeps_session, timeout=timeout)

    def _lease(self, timeout: float | None) -> Lease:
        self._check_usable()
        return self._leases.lease(checked_timeout(timeout) or self._settings.acquire_timeout)

    def _check_usable(self) -> None:
        # Says what comparing asyncio.get_running_loop() would say, which costs a system call on Python 3.11: a thread
        # has one running loop at the most.
        if self._loop is None or get_ident() != self._thread or not self._loop.is_running():
            raise self._refusal()

    def _refusal(self) -> Exception:
        error = PoolClosed if self._phase is Phase.CLOSED else UsageError
        return error(f"pool '{self._settings.name}' {self._phase.value}")


def _poison_after_fork() -> None:
    for pool in _pools:
        pool._loop, pool._phase = None, Phase.FORKED


os.register_at_fork(after_in_child=_poison_after_fork)
