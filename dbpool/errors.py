"""Every exception that this package raises.

A server's own answer to a statement (a unique violation, a syntax error) is asyncpg's exception and passes through
untouched; what is here is what the pool has to say. Each message tells what happened, the numbers, and what to do;
the numbers are attributes too.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class DbPoolError(Exception):
    """Something that this package, not the server, refuses or reports; can be pickled, to come from other processes."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (type(self), self.args), self.__dict__


def _unpickled(kind: type[DbPoolError], args: tuple[Any, ...]) -> DbPoolError:
    """Not by calling *kind*, which may want more than *args*: that is in the instance's dictionary."""
    error = kind.__new__(kind)
    error.args = args
    return error


class SettingsError(DbPoolError, ValueError):
    """A setting is out of range, or two settings contradict each other."""


class UsageError(DbPoolError, RuntimeError):
    """The pool was used in a way that can never work: not open, another event loop, after a fork, released twice."""


class StatementError(DbPoolError, ValueError):
    """A statement or its parameters were refused before anything was sent and before a permit was taken."""


class PoolClosed(DbPoolError):
    """Asked after close() began, or still waiting when it did."""


class LineFull(DbPoolError):
    """Refused at once: as many callers wait in line as ``max_waiting`` allows."""

    capacity: int
    held: int
    waiting: int
    lane: str

    def __init__(self, message: str, *, capacity: int, held: int, waiting: int, lane: str = "") -> None:
        super().__init__(message)
        self.capacity, self.held, self.waiting, self.lane = capacity, held, waiting, lane


class Overloaded(LineFull):
    """Refused at once: this caller would have waited in line for longer than it may.

    ``retry_after`` is in seconds: by then the line will have moved enough, if nobody else joins it.
    """

    def __init__(
        self, message: str, *, retry_after: float, capacity: int, held: int, waiting: int, lane: str = ""
    ) -> None:
        super().__init__(message, capacity=capacity, held=held, waiting=waiting, lane=lane)
        self.retry_after = retry_after


class AcquireTimeout(DbPoolError, TimeoutError):
    """Waited and got no permit or no connection in time; nothing was sent to the server.

    ``report`` (a ``Report``) tells who held the permits, and where they stood.
    """

    waited_s: float
    capacity: int
    held: int
    waiting: int
    lane: str
    report: object

    def __init__(
        self,
        message: str,
        *,
        waited_s: float,
        capacity: int,
        held: int,
        waiting: int,
        lane: str = "",
        report: object = None,
    ) -> None:
        super().__init__(message)
        self.waited_s, self.capacity, self.held, self.waiting = waited_s, capacity, held, waiting
        self.lane, self.report = lane, report


class PoolDeadlock(DbPoolError):
    """Refused at once: everyone who could free a permit waits for one, and this caller was the last to.

    It is proven, not guessed from the time: nobody could ever be served unless a wait is given up, or the pool is
    resized or closed. ``waiting_at`` and ``held_at`` say where in the program this caller asks,
    and where what it holds, or whoever awaits it holds, was asked for; ``report`` (a ``Report``) tells the rest.
    """

    waiting_at: str
    held_at: tuple[str, ...]
    report: object

    def __init__(self, message: str, *, waiting_at: str, held_at: tuple[str, ...], report: object) -> None:
        super().__init__(message)
        self.waiting_at, self.held_at, self.report = waiting_at, held_at, report


class NestedAcquire(UserWarning):
    """A task asked for a permit while another one of the same gate is out that it asked for.

    If it still has that one, all may do so at once one day. One that hands its connections to others is warned, too.
    """


class LeasesRemain(DbPoolError, TimeoutError):
    """``pause`` did not see every lease end in time; ``report`` (a ``Report``) tells who holds them."""

    def __init__(self, message: str, *, report: object) -> None:
        super().__init__(message)
        self.report = report


class QueryTimeout(DbPoolError, TimeoutError):
    """A statement ran out of time and was cancelled; a write may or may not have been applied."""

    def __init__(self, message: str, *, timeout_s: float) -> None:
        super().__init__(message)
        self.timeout_s = timeout_s


class ServerUnavailable(DbPoolError, ConnectionError):
    """No connection can be opened; the cause (``__cause__``) is the last attempt's error."""


class CredentialsError(DbPoolError):
    """What was given as ``credentials`` failed; seen as the cause of ServerUnavailable."""


class InsecureConnection(DbPoolError):
    """Connecting was given up, for who answers may be anybody; seen as the cause of ServerUnavailable.

    The password was not sent.
    """


class ConnectionLost(DbPoolError, ConnectionError):
    """The server or the network went away during a lease; a write under way may or may not have been applied."""


class ResultUnreadable(DbPoolError):
    """A statement was run, and its result has another shape than its types had when it was prepared.

    What it wrote is stored, or with *in_transaction* will be at COMMIT. Reads alone never meet this: they are repeated.
    """

    type_name: str
    in_transaction: bool

    def __init__(self, message: str, *, type_name: str, in_transaction: bool) -> None:
        super().__init__(message)
        self.type_name, self.in_transaction = type_name, in_transaction


class TransactionRolledBack(DbPoolError):
    """COMMIT was answered with ROLLBACK: a statement had failed and its error was swallowed. Nothing was stored."""


class Outcome(Enum):
    """What became of a transaction, as ``pg_xact_status`` tells."""

    COMMITTED = "committed"
    ABORTED = "aborted"
    IN_PROGRESS = "in progress"
    UNKNOWN = "unknown"


class CommitOutcomeUnknown(ConnectionLost):
    """The connection was lost, or time ran out, between COMMIT and its answer.

    ``xid`` is the transaction's id where it was asked for (``transaction(traceable=True)``), else None;
    ``await db.outcome(error)`` then asks the server what became of it.
    """

    trace: tuple[str, str] | None = None
    """Where the server's log stood in the transaction, and since when its counters count, as it says it."""

    def __init__(self, message: str, *, xid: str | None) -> None:
        super().__init__(message)
        self.xid = xid


class WriteFailed(DbPoolError):
    """A bulk write ended early; the cause (``__cause__``) is the server's error, or what else went wrong.

    ``rows_stored`` rows of the source, counted from its beginning, are stored; nothing of the others is. What failed
    was the transaction with the rows ``first_row`` to ``last_row``, or one of these; rows are counted from 0.
    """

    rows_stored: int
    first_row: int
    last_row: int

    def __init__(self, message: str, *, rows_stored: int, first_row: int, last_row: int) -> None:
        super().__init__(message)
        self.rows_stored, self.first_row, self.last_row = rows_stored, first_row, last_row


class WriteOutcomeUnknown(CommitOutcomeUnknown):
    """A bulk write lost its connection between a COMMIT and its answer.

    ``rows_stored`` rows of the source, counted from its beginning, are stored for sure; of the rows ``first_row`` to
    ``last_row``, counted from 0, all are or none is, and ``await db.outcome(error)`` asks the server; nothing of what
    comes after them.
    """

    rows_stored: int
    first_row: int
    last_row: int

    def __init__(self, message: str, *, xid: str | None, rows_stored: int, first_row: int, last_row: int) -> None:
        super().__init__(message, xid=xid)
        self.rows_stored, self.first_row, self.last_row = rows_stored, first_row, last_row


class TransactionFailed(DbPoolError):
    """``run`` gave up after ``attempts`` conflicts; the last one is the cause."""

    def __init__(self, message: str, *, attempts: int) -> None:
        super().__init__(message)
        self.attempts = attempts


class BulkFailed(DbPoolError):
    """Some of many items failed.

    ``rows`` has what each item gave, in order, None where it failed; ``failures`` the errors by index from 0.
    """

    rows: list[Any]
    failures: dict[int, Exception]

    def __init__(self, message: str, *, rows: list[Any], failures: dict[int, Exception]) -> None:
        super().__init__(message)
        self.rows, self.failures = rows, failures


class SourceFailed(DbPoolError):
    """What bulk work reads from cannot be read; the message says where."""


class JobError(DbPoolError):
    """A job cannot be run as asked; its message says why. ``job`` is its name."""

    def __init__(self, message: str, *, job: str = "") -> None:
        super().__init__(message)
        self.job = job


class FleetFull(DbPoolError):
    """A process found no place, or no connection, in the budget that it shares with others."""


class JobBusy(JobError):
    """Another run has this job: ``pid``, ``host`` and ``application`` say which one, ``since`` when it began."""

    pid: int | None
    host: str | None
    application: str | None
    since: object

    def __init__(
        self, message: str, *, job: str, pid: int | None, host: str | None, application: str | None, since: object
    ) -> None:
        super().__init__(message, job=job)
        self.pid, self.host, self.application, self.since = pid, host, application, since


class JobChanged(JobError):
    """A job was begun with another statement, chunk size or other items; ``chunk`` is the first that differs."""

    def __init__(self, message: str, *, job: str, chunk: int | None = None) -> None:
        super().__init__(message, job=job)
        self.chunk = chunk


class JobTablesMissing(JobError):
    """The tables that jobs are kept in are not in this database: ``dbpool migrate up`` makes them."""


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part of a load's source whose rows are stored.

    Args:
        file: where it is from; None: from an iterable, a frame or arrays.
        offset, size: in bytes of the file, unpacked; without a file, in rows.
        line: of its first row, from 1; without a file, that row's number.
        rows, rejected: how many of its rows are in the table, and how many were refused.
    """

    file: str | None
    offset: int
    size: int
    line: int
    rows: int
    rejected: int


class LoadFailed(DbPoolError):
    """A load ended before its source did; what it had stored by then stays stored, unless it was atomic.

    Args:
        rows_stored: rows in the table that are from this load (and from the one that it resumed).
        stored: the parts that they are from: ``db.load(..., resume=error.stored)`` goes on with the rest.
        doubtful: parts whose COMMIT was not answered, nor could be asked about: look before going on.
        file, line: the row that was refused, where it is known; without a file the line is the row's number, from 1.
    """

    rows_stored: int
    stored: tuple[StoredPart, ...]
    doubtful: tuple[StoredPart, ...]
    file: str | None
    line: int | None

    def __init__(
        self,
        message: str,
        *,
        rows_stored: int,
        stored: tuple[StoredPart, ...],
        doubtful: tuple[StoredPart, ...] = (),
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        super().__init__(message)
        self.rows_stored, self.stored, self.doubtful = rows_stored, stored, doubtful
        self.file, self.line = file, line


class RowMappingError(DbPoolError, TypeError):
    """The columns of a result do not fit the type given as ``into=``."""


class ExportFailed(DbPoolError):
    """An export could not be made: no such table, no such directory, no room on the disk; no file is left of it."""


class MigrationError(DbPoolError):
    """A migration could not be run."""


class EmbeddedError(DbPoolError):
    """The embedded PostgreSQL could not be started."""
