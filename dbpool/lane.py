"""Everything that a caller does with connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence, Sized
from typing import TYPE_CHECKING, Any, LiteralString, Protocol, TypeVar

from dbpool.acquiring import Acquiring
from dbpool.connection import Answer, Handle, Record, Want
from dbpool.core.permits import Line
from dbpool.core.retry import Backoff
from dbpool.errors import CommitOutcomeUnknown, ConnectionLost, Outcome, TransactionFailed, UsageError
from dbpool.executable import Executable, bound, bound_many
from dbpool.faults import is_conflict, is_refused_write, one_line, told_as_ours
from dbpool.lease import Lease
from dbpool.leases import Leases
from dbpool.loan import Loan
from dbpool.observing import Asked, Block, Operation, observed_from
from dbpool.oneshot import Calls
from dbpool.outcomes import outcome_now
from dbpool.queries import check, check_statement, checked_timeout
from dbpool.settings import PoolSettings, positive_seconds, whole_number
from dbpool.sites import Site
from dbpool.streaming import StreamedRows
from dbpool.transacting import Transacting
from dbpool.transaction import Transaction
from dbpool.transactionoptions import TransactionOptions
from dbpool.watching import refuse_session_need
from dbpool.wholetables import WholeTables

if TYPE_CHECKING:
    from dbpool.bulk.access import Access
    from dbpool.bulk.coalesce import Coalescer
    from dbpool.bulk.plans import Plans
    from dbpool.bulk.writing.sorting import SortBy
    from dbpool.core.replaying import Lsn
    from dbpool.replicas import Replicas


T = TypeVar("T")

_RETRY = Backoff(first_s=0.01, cap_s=1.0)


class Machinery(Protocol):
    """What a pool has behind all its lanes."""

    _settings: PoolSettings
    _leases: Leases
    _calls: Calls

    @property
    def _plans(self) -> Plans: ...

    @property
    def _coalescer(self) -> Coalescer: ...

    def _check_usable(self, line: Line | None = None) -> None: ...

    @classmethod
    def from_settings(cls, settings: PoolSettings) -> Any: ...  # noqa: ANN401 - another one like it


class Lane(WholeTables):
    """A way to a pool's connections, with a line and a share of its own: see ``DatabasePool.lane``."""

    def __init__(self, pool: Machinery, line: Line, *, coalesce: bool) -> None:
        self._pool = pool
        self._line = line
        self._coalesces = coalesce
        self.observing = pool._leases.gate.observing

    @property
    def held(self) -> int:
        """Permits that callers of this lane hold."""
        return self._line.held

    @property
    def waiting(self) -> int:
        """Callers in the line of this lane."""
        return self._line.waiting

    # Statements; fetch and its like come from Queries, what is for many rows from the others above

    async def executemany(
        self,
        sql: LiteralString | Executable,
        args: Iterable[Sequence[object] | Mapping[str, object]],
        *,
        timeout: float | None = None,
        sort_by: SortBy | None = None,
    ) -> None:
        """Run a statement for each of *args*, all or nothing, in few round trips.

        Args:
            sort_by: the index of the parameter, from 0, by which they are sorted first, or a function of each of *args*
                that returns what to sort by: writers that all go in one order do not deadlock. They are kept in memory.
        """
        from dbpool.bulk.writing.sorting import in_order

        pool = self._pool
        pool._check_usable(self._line)
        text, items, args_of = bound_many(sql, args)
        check_statement(text, (), pool._settings.trusted_functions)
        seconds = checked_timeout(timeout) or pool._settings.query_timeout
        site = pool._leases.gate.sites.of(2)
        clock = pool._leases.loop.time
        ends_at = clock() + seconds
        if sort_by is not None:
            items = await in_order(items, sort_by)
        rows = items if args_of is None else map(args_of, items)
        lease = self._lease(timeout, site)
        size = len(items) if isinstance(items, Sized) else None
        with Operation(self.observing, Asked.EXECUTEMANY, self._line, site, text, size=size) as operation:
            operation.waiter = lease.holder
            async with lease as connection:
                if timeout is not None:
                    seconds = max(ends_at - clock(), 0.001)
                with told_as_ours(connection, connection.held_by, seconds):
                    await connection.executemany(text, rows, timeout=seconds)

    def stream(
        self,
        sql: LiteralString | Executable,
        *args: object,
        prefetch: int = 1000,
        into: Callable[..., T] | None = None,
    ) -> StreamedRows[Any]:
        """The rows of a statement through a server-side cursor, *prefetch* of them in memory at a time.

        Holds one connection, in a transaction, until the last row or until the iterator is closed: leave a loop early
        only inside ``async with contextlib.aclosing(db.stream(...)) as rows``.
        """
        asked = bound(sql, args, Want.ROWS)
        check_statement(asked.sql, asked.args, self._pool._settings.trusted_functions)
        whole_number(prefetch, "prefetch", 1)
        block = Block(self.observing, Asked.STREAM, self._line, self.observing.sites.of(2), asked.sql, asked.args)
        return StreamedRows(
            self._transacting(block, TransactionOptions(), None),
            lambda tx: aiter(tx.stream_bound(asked, prefetch, into)),
        )

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
        block = Block(self.observing, Asked.TRANSACTION, self._line, self.observing.sites.of(2))
        return self._transacting(block, options, timeout)

    def _transacting(self, block: Block, options: TransactionOptions, timeout: float | None) -> Transacting:
        return Transacting(self._lease(timeout, block.site), options, block)

    async def run(
        self,
        work: Callable[[Transaction], Awaitable[T]],
        *,
        attempts: int = 5,
        isolation: str | None = None,
        settings: Mapping[str, str] | None = None,
    ) -> T:
        """Run ``await work(tx)`` in a transaction; run all of it again when nothing was stored, through no fault of it.

        So when it conflicts with another one (40001, 40P01), or with a type or table that has changed since its
        statements were prepared; and when its server turns out to be a standby (25006), or goes away before COMMIT is
        sent: then on the next one that will do, for which it waits as for any connection. *work* must have no effects
        outside the transaction, for it may run *attempts* times. Between attempts it waits with full jitter, up to a
        second.

        Raises:
            TransactionFailed: every attempt conflicted; the last conflict is the cause.
            CommitOutcomeUnknown: the answer to COMMIT was lost: it is not run again.
        """
        whole_number(attempts, "attempts", 1)
        last: Exception | None = None
        for attempt in range(1, attempts + 1):
            tx: Transaction | None = None
            try:
                async with self.transaction(isolation=isolation, settings=settings) as tx:
                    return await work(tx)
            except Exception as error:
                if is_conflict(error):
                    last = error
                elif attempt == attempts or not _is_servers_fault(error, tx):
                    raise
            if attempt < attempts:
                await asyncio.sleep(_RETRY.delay_s(attempt, random.random()))
        assert last is not None
        named = self._pool._leases.gate.refusals.named(self._line)
        raise TransactionFailed(
            f"a transaction on {named} conflicted in {attempts} of {attempts} attempts, "
            f"the last time with {one_line(last)}. Make it shorter, touch rows in one order, or raise attempts.",
            attempts=attempts,
        ) from last

    async def outcome(self, error: CommitOutcomeUnknown, *, timeout: float = 10.0) -> Outcome:
        """Ask the server what became of a ``traceable`` transaction whose COMMIT was not answered.

        Waits up to *timeout* seconds for a transaction still in progress to end. UNKNOWN: it was not traceable, or too
        long ago, or nobody can say any more how far a server had come that crashed since. Not valid after a failover to
        a standby that may have missed it.
        """
        ends_at = asyncio.get_running_loop().time() + positive_seconds(timeout, "timeout")
        while True:
            outcome = await outcome_now(error, self._rows)
            if outcome is not Outcome.IN_PROGRESS or asyncio.get_running_loop().time() > ends_at:
                return outcome
            await asyncio.sleep(0.05)

    async def _rows(self, sql: str, args: tuple[object, ...]) -> Sequence[Record]:
        return await self.fetch(sql, *args)

    # Reads on standbys

    async def lsn(self) -> Lsn:
        """The place in the server's log behind all that was written so far: for ``replicas().after(place)``.

        ``str(place)`` may travel, in a cookie or a message, to ``Lsn.parse``.
        """
        from dbpool.core.replaying import Lsn

        return Lsn.of_insert(await self.fetchval("SELECT pg_catalog.pg_current_wal_insert_lsn()::text"))

    def replicas(self, *, max_lag_s: float = 1.0, max_connections: int = 5, wait_s: float = 0.1) -> Replicas:
        """Reads on standbys: ``async with db.replicas() as reads``, then ``await reads.fetch(...)``.

        A read goes to the least busy standby of the address that is near enough to the primary, else to the primary by
        this pool or lane. Standbys that lag, are silent or were promoted are left out, and come back by themselves.
        While the primary cannot be reached, the lag is that behind what was last seen of it.

        In no count of the pool, nor in a ``fleet_budget``, are the connections that it opens: one to each server of the
        address, which watches it, a second to the primary, for its place in the log, and those of the reads.

        Args:
            max_lag_s: the most that a standby may be behind, in seconds; it is known to about 0.1 s.
            max_connections: of reads to each standby, opened as they need them.
            wait_s: the most that a read behind ``after`` waits for a standby.
        Raises:
            SettingsError: the address names one server only, or ``target_session_attrs`` does not ask for the primary.
        """
        from dbpool.replicas import Replicas

        settings = self._pool._settings
        return Replicas(
            self,
            self._pool._leases,
            settings,
            type(self._pool).from_settings,
            max_lag_s=max_lag_s,
            max_connections=max_connections,
            wait_s=wait_s,
        )

    # Connections

    def acquire(self, *, timeout: float | None = None) -> Acquiring:
        """A connection of one's own: ``async with db.acquire() as connection``, or ``await`` and ``release``.

        It has asyncpg's interface. Its session is reset before anybody else sees it, where that is owed. One that is
        not released comes back when nobody has it any more, nor anything made of it: LeaseReclaimed, and a warning.

        Raises: AcquireTimeout, LineFull, PoolClosed, ServerUnavailable.
        """
        timeout = checked_timeout(timeout)
        site = self._pool._leases.gate.sites.of(2)
        return Acquiring(lambda: self._lease(timeout, site))

    async def release(self, connection: Handle[Record]) -> None:
        """End the lease of a connection that ``await db.acquire()`` gave.

        Raises:
            UsageError: it was released before, or is not of this pool.
        """
        lease = connection.lease if isinstance(connection, Loan) and not connection.in_block else None
        if lease is None or lease.leases is not self._pool._leases:
            raise UsageError(
                f"{connection!r} is not on loan from {self._pool._leases.gate.name}: it was released before, or "
                f"it was never acquired here with 'await db.acquire()'"
            )
        connection.lease = None  # type: ignore[attr-defined] # as it is a Loan
        await lease.__aexit__(None, None, None)

    # The way in

    def _site(self) -> Site:
        return self._pool._leases.gate.sites.of(3)

    def _ask(
        self,
        sql: str,
        args: Sequence[object],
        want: Want,
        timeout: float | None,
        site: Site | None,
        coalesce: bool | None = None,  # noqa: FBT001 - as in Queries
        operation: Operation | None = None,
    ) -> Awaitable[Answer]:
        pool = self._pool
        pool._check_usable(self._line)
        statement = check(sql, args, want, pool._settings.trusted_functions)
        if timeout is not None:
            positive_seconds(timeout, "timeout")
        if operation is None and self.observing.observers:
            me = Operation(self.observing, Asked.STATEMENT, self._line, site, sql, args)
            return observed_from(me, lambda: self._ask(sql, args, want, timeout, site, coalesce, me))
        if (self._coalesces if coalesce is None else coalesce) and want is not Want.STATUS:
            answer = pool._coalescer.join(self._line, sql, args, want, statement, timeout, operation)
            if answer is not None:
                return answer
        keeps = statement.keeps_session
        if not keeps and (route := pool._leases.driver.route).shares_sessions:
            refuse_session_need(sql, route, pool._leases.gate.refusals.named(self._line))
        return pool._calls.run(
            self._line, sql, args, want, keeps_session=keeps, timeout=timeout, site=site, operation=operation
        )

    def _access(self) -> Access:
        """For bulk work; to be called by the method that the user calls."""
        from dbpool.bulk.access import Access

        pool = self._pool
        pool._check_usable(self._line)
        return Access(pool._leases, self._line, pool._settings, pool._leases.gate.sites.of(3), pool._plans)

    def _lease(self, timeout: float | None, site: Site | None) -> Lease:
        pool = self._pool
        pool._check_usable(self._line)
        return pool._leases.lease(checked_timeout(timeout) or pool._settings.acquire_timeout, self._line, site)

    def __repr__(self) -> str:
        share = "" if self._line.at_most is None else f" of {self._line.at_most}"
        name = self._pool._leases.gate.name
        return f"<Lane {self._line.name} of {name}: {self.held}{share} held, {self.waiting} waiting>"


def _is_servers_fault(error: Exception, tx: Transaction | None) -> bool:
    """Whether nothing of a transaction is stored because of its server; *tx*: None if it never began."""
    if is_refused_write(error):
        return tx is not None and tx._connection.is_demoted
    is_before_commit = isinstance(error, ConnectionLost) and not isinstance(error, CommitOutcomeUnknown)
    return is_before_commit and (tx is None or tx._connection.is_closed())
