"""Everything that a caller does with connections."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, LiteralString, Protocol, TypeVar, Unpack

from dbpool.acquiring import Acquiring
from dbpool.bulk.access import Access
from dbpool.bulk.batch import Take
from dbpool.bulk.guard import BatchPlan
from dbpool.bulk.jobs.joblist import JobInfo, JobReject, forget_in, jobs_in, rejects_in
from dbpool.bulk.jobs.jobs import Job
from dbpool.bulk.jobs.jobsettings import JobOptions
from dbpool.bulk.map import MapOptions, Row, Rows, Value, all_rows, explained, mapped
from dbpool.bulk.plans import Plans
from dbpool.connection import Answer, Handle, PostgresError, Record, Want
from dbpool.core.permits import Line
from dbpool.core.retry import Backoff, Verdict, verdict
from dbpool.errors import CommitOutcomeUnknown, Outcome, TransactionFailed, UsageError
from dbpool.faults import one_line, told_as_ours
from dbpool.leases import Lease, Leases
from dbpool.loan import Loan
from dbpool.oneshot import Calls
from dbpool.queries import Queries, check, check_statement, checked_timeout
from dbpool.settings import PoolSettings, positive_seconds, whole_number
from dbpool.sites import Site
from dbpool.streaming import StreamedRows
from dbpool.transaction import Transacting, Transaction, TransactionOptions

T = TypeVar("T")

_RETRY = Backoff(first_s=0.01, cap_s=1.0)


class Machinery(Protocol):
    """What a pool has behind all its lanes."""

    _settings: PoolSettings
    _leases: Leases
    _calls: Calls
    _plans: Plans

    def _check_usable(self) -> None: ...


class Lane(Queries):
    """A way to a pool's connections, with a line and a share of its own: see ``DatabasePool.lane``."""

    def __init__(self, pool: Machinery, line: Line) -> None:
        self._pool = pool
        self._line = line

    @property
    def held(self) -> int:
        """Permits that callers of this lane hold."""
        return self._line.held

    @property
    def waiting(self) -> int:
        """Callers in the line of this lane."""
        return self._line.waiting

    # Statements: fetch, query, fetchrow, fetchval, execute come from Queries

    async def executemany(
        self, sql: LiteralString, args: Iterable[Sequence[object]], *, timeout: float | None = None
    ) -> None:
        """Run a statement for each of *args*, all or nothing, in few round trips."""
        pool = self._pool
        pool._check_usable()
        check_statement(sql, (), pool._settings.trusted_functions)
        seconds = checked_timeout(timeout) or pool._settings.query_timeout
        clock = pool._leases.loop.time
        ends_at = clock() + seconds
        async with self._lease(timeout, pool._leases.gate.sites.of(2)) as connection:
            if timeout is not None:
                seconds = max(ends_at - clock(), 0.001)
            with told_as_ours(connection, connection.held_by, seconds):
                await connection.executemany(sql, args, timeout=seconds)

    def stream(
        self, sql: LiteralString, *args: object, prefetch: int = 1000, into: Callable[..., T] | None = None
    ) -> StreamedRows[Any]:
        """The rows of a statement through a server-side cursor, *prefetch* of them in memory at a time.

        Holds one connection, in a transaction, until the last row or until the iterator is closed: leave a loop early
        only inside ``async with contextlib.aclosing(db.stream(...)) as rows``.
        """
        check_statement(sql, args, self._pool._settings.trusted_functions)
        whole_number(prefetch, "prefetch", 1)
        return StreamedRows(self.transaction(), lambda tx: aiter(tx.stream(sql, *args, prefetch=prefetch, into=into)))

    # The same statement for many items

    def map(
        self, sql: LiteralString, items: Iterable[Any] | AsyncIterable[Any], **options: Unpack[MapOptions]
    ) -> AsyncIterator[Rows]:
        """All rows of *sql* for each of *items*: ``async for key, rows, error in db.map(sql, ids)``.

        Items are sent in batches where that is proven to give the same rows, in the same order, with the same names, as
        one statement each (see ``explain_map``). They are read only as fast as the results are, whatever their number.
        An item that fails costs only itself. Ending the loop early, or cancelling it, stops what is under way; wrap it
        in ``contextlib.aclosing`` to have every connection back at that moment.

        Args:
            items: the values of $1, or tuples of several; any iterable, async or not.
            options: *ordered* (default): in the order of *items*, else as they come. *at_once*: connections, 4 or as
                many as there are. *on_error*: ``"raise"`` (default) the first one, or ``"collect"`` it in the item.
                *form*: a ``Form`` instead of the one that is found. *retry*: tries, 3, where the server says that
                another one can succeed (conflicts; a lost connection if *sql* only reads). *timeout*: seconds for
                each batch, ``query_timeout``. *rate*: items a second. *batch*: items at the most, 500.
                *progress*: called with a ``Progress`` twice a second, and at the end. *into*: as for ``fetch``.
        Raises: the error of an item, with its number as a note; what ``fetch`` raises.
        """
        return mapped(self._access(), sql, items, Take.ROWS, **options)

    def map_row(
        self, sql: LiteralString, items: Iterable[Any] | AsyncIterable[Any], **options: Unpack[MapOptions]
    ) -> AsyncIterator[Row]:
        """The same with the first row of each item, or None: ``async for key, row, error in db.map_row(sql, ids)``."""
        return mapped(self._access(), sql, items, Take.ROW, **options)

    def map_val(
        self, sql: LiteralString, items: Iterable[Any] | AsyncIterable[Any], **options: Unpack[MapOptions]
    ) -> AsyncIterator[Value]:
        """The same with the first column of the first row, or None."""
        return mapped(self._access(), sql, items, Take.VALUE, **options)

    async def fetch_all(
        self, sql: LiteralString, items: Iterable[Any] | AsyncIterable[Any], **options: Unpack[MapOptions]
    ) -> list[list[Any]]:
        """The rows of *sql* for each of a few *items*, as a list of lists in their order; see ``map``.

        Raises:
            BulkFailed: some items failed; it has the rows of the others.
        """
        return await all_rows(self._access(), sql, items, **options)

    async def explain_map(self, sql: LiteralString, sample: Iterable[Any]) -> BatchPlan:
        """In which form ``map`` would send *sql*, and why in no quicker one; *sample* are a few of its items."""
        return await explained(self._access(), sql, sample)

    # Work that can be killed and goes on where it was

    def job(
        self,
        name: str,
        sql: LiteralString,
        items: Iterable[Any] | AsyncIterable[Any],
        **options: Unpack[JobOptions],
    ) -> Job:
        """*sql* for each of *items* exactly once, however often it is killed: ``await db.job(...).run()``.

        The items are cut into chunks by their order; each chunk is stored in one transaction, together with a row that
        says so. Run again with the same name, statement and items, after a crash or at any time, it does what is
        missing: the digests of the items' values are compared, so other items are refused. Items that are already done
        are passed over at a million and more a second. Needs the tables that ``dbpool migrate up`` makes.

        Exactly once are the effects in this database. A statement that only reads is refused: see ``map``.

        Args:
            name: of this work, in this database: two runs of one name exclude each other.
            items: as for ``map``: always the same ones, in the same order.
            options: *chunk*: items in a transaction, 500. *at_once*: connections, 4 or as many as there are.
                *on_error*: ``"raise"`` (default) the error of the first item whose data the server refuses, or
                ``"collect"``: put such items aside, see ``job_rejects``. *retry*: tries of a chunk, 10, that meets a
                conflict or loses its connection. *timeout*: seconds for each message, ``query_timeout``. *one_by_one*:
                send each item by itself, in place of many together. *trust*: pass over what is done without comparing
                digests. *progress*: called with a ``Progress`` twice a second, and at the end.
        Raises: StatementError, UsageError; the rest when it is run.
        """
        return Job(self._access(), name, sql, items, **options)

    async def jobs(self) -> list[JobInfo]:
        """The jobs in this database, by name: how far they are, who runs them."""
        return await jobs_in(self._access())

    async def job_rejects(self, name: str) -> list[JobReject]:
        """The items of a job that are put aside, in their order: with why, and after how many attempts.

        Raises:
            JobError: there is no such job.
        """
        return await rejects_in(self._access(), name)

    async def forget_job(self, name: str) -> None:
        """Remove what is known of a job, its rejects included; run again, it does everything anew.

        Raises:
            JobBusy: it is being run.
            JobError: there is no such job.
        """
        await forget_in(self._access(), name)

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
        return Transacting(self._lease(timeout, self._pool._leases.gate.sites.of(2)), options)

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
        named = self._pool._leases.gate.refusals.named(self._line)
        raise TransactionFailed(
            f"a transaction on {named} conflicted in {attempts} of {attempts} attempts, "
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

    def _ask(self, sql: str, args: Sequence[object], want: Want, timeout: float | None) -> Awaitable[Answer]:
        pool = self._pool
        pool._check_usable()
        statement = check(sql, args, want, pool._settings.trusted_functions)
        if timeout is not None:
            positive_seconds(timeout, "timeout")
        return pool._calls.run(self._line, sql, args, want, keeps_session=statement.keeps_session, timeout=timeout)

    def _access(self) -> Access:
        """For bulk work; to be called by the method that the user calls."""
        pool = self._pool
        pool._check_usable()
        return Access(pool._leases, self._line, pool._settings, pool._leases.gate.sites.of(3), pool._plans)

    def _lease(self, timeout: float | None, site: Site) -> Lease:
        pool = self._pool
        pool._check_usable()
        return pool._leases.lease(checked_timeout(timeout) or pool._settings.acquire_timeout, self._line, site)

    def __repr__(self) -> str:
        share = "" if self._line.at_most is None else f" of {self._line.at_most}"
        name = self._pool._leases.gate.name
        return f"<Lane {self._line.name} of {name}: {self.held}{share} held, {self.waiting} waiting>"
