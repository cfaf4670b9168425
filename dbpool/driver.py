"""The only file that knows asyncpg: open a connection, send a statement, clean up, close."""

from __future__ import annotations

import asyncio
import functools
import socket
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from asyncpg import Record as Record  # noqa: PLC0414 - for the other files
from asyncpg.pool import PoolConnectionProxy
from asyncpg.protocol import NO_TIMEOUT

from dbpool.core.retry import Verdict, verdict
from dbpool.core.statements import Statement, classify, refuse_copy
from dbpool.errors import ConnectionLost, QueryTimeout

if TYPE_CHECKING:
    from dbpool.settings import PoolSettings

Handle = PoolConnectionProxy
PostgresError = asyncpg.PostgresError
Answer: TypeAlias = (
    Any  # what asyncpg returns for a Want: records, or a status (with records, where there are arguments)
)

# Beyond what asyncpg's own reset does: role, session authorization, sequences and temporary tables. One message, one
# round trip; prepared statements are kept.
STRONG_RESET = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
    "DISCARD SEQUENCES; DISCARD TEMP; "
    "SELECT setseed(hashtext(gen_random_uuid()::text) / 2147483648.0)"  # not even DISCARD ALL undoes a setseed
)
# asyncio's own loop allocates this much for every read. Its default of 256 KiB is above malloc's threshold for mapping
# pages, so each answer, however small, costs page faults: 45 us of CPU a point lookup, and 27 us with 64 KiB. Large
# results are read as fast.
READ_SIZE = 64 * 1024
MOST_PARAMETERS = 32767  # the protocol counts them in a signed 16-bit number


class Want(Enum):
    """What the caller of a statement wants back: the most rows (0: all), and whether its status."""

    ROWS = (0, False)
    ROW = (1, False)
    STATUS = (0, True)

    def __init__(self, limit: int, status: bool) -> None:  # noqa: FBT001 - an enum's members are made above
        self.limit = limit
        self.status = status


class PooledConnection(asyncpg.Connection):
    """An asyncpg connection that remembers whether it owes a reset."""

    __slots__ = (
        "_holder",
        "expires_at",
        "idle_since",
        "is_broken",
        "is_interrupted",
        "is_standard",
        "keeps_session",
        "record_class",
        "settings",
        "transactions",
    )

    keeps_session: bool  # nothing sent since the last reset can have changed the session's state
    is_broken: bool  # close it instead of cleaning it
    is_interrupted: bool  # a statement may have been given up on it between Parse and Sync, unnoticed by asyncpg
    is_standard: bool  # strings are read as the standard says, as the classifier does; else nothing is ever proven
    expires_at: float  # seconds of the loop's clock, as the next
    idle_since: float
    settings: PoolSettings
    record_class: type[Record]
    transactions: list[Any]  # those under way on it, the outermost first
    _holder: Any

    make_transaction: Callable[..., Any]  # set by transaction.py, a layer up

    def watch(self, sql: str) -> Statement:
        """Check *sql* and note whether it may change the session.

        Raises:
            StatementError: it can never work.
        """
        statement = classify(sql, self.settings.trusted_functions)
        refuse_copy(statement)
        if not statement.keeps_session:
            self.note_change(sql)
        return statement

    def note_change(self, sql: str) -> None:
        """*sql*, about to be sent, may change the session's state."""
        self.keeps_session = False
        if "prepare" in sql.lower():  # what SQL's PREPARE makes cannot be told apart from what the driver prepared
            self.is_broken = True

    def get_reset_query(self) -> str:
        return STRONG_RESET

    def transaction(self, **options: Any) -> Any:
        """A transaction that tells the truth: see ``DatabasePool.transaction``."""
        return type(self).make_transaction(self, **options)

    def cursor(self, query: str, *args: Any, **options: Any) -> Any:
        self.watch(query)
        return super().cursor(query, *args, **options)

    async def prepare(self, query: str, **options: Any) -> Any:
        """As asyncpg's; it leaves the server between Parse and Sync, holding locks, until something is run."""
        self.is_interrupted = True
        self.watch(query)
        return await super().prepare(query, **options)

    async def set_type_codec(self, typename: str, **options: Any) -> None:
        """As asyncpg's; the connection is closed when its lease ends, for the next caller is to know nothing of it."""
        self.is_broken = True
        await super().set_type_codec(typename, **options)

    async def set_builtin_type_codec(self, typename: str, **options: Any) -> None:
        """As asyncpg's; closed when its lease ends, as above."""
        self.is_broken = True
        await super().set_builtin_type_codec(typename, **options)

    async def add_listener(self, channel: str, callback: Any) -> None:
        self.keeps_session = False
        await super().add_listener(channel, callback)

    def add_log_listener(self, callback: Any) -> None:
        self.keeps_session = False
        super().add_log_listener(callback)

    # The rest is this package's own view of a connection.

    @property
    def is_quiet(self) -> bool:
        """Whether it is fit for use, with no cancellation or transaction under way."""
        protocol: Any = self._protocol  # type: ignore[attr-defined]
        if protocol is None or not protocol.is_connected() or self.is_broken or self.is_interrupted:
            return False
        return not (protocol.is_in_transaction() or protocol._is_cancelling())

    def begin(
        self, sql: str, args: Sequence[object], want: Want
    ) -> tuple[Coroutine[Any, Any, Answer], asyncio.Future[Answer]] | None:
        """Send a statement that this connection has prepared before, without waiting.

        Returns: the work, to be resumed once when the future is done; None if it is not prepared yet.
        Raises: what asyncpg raises for arguments that do not fit; then nothing was sent.
        """
        me: Any = self
        statement = me._stmt_cache.get((sql, self.record_class, False))
        if statement is None or me._query_loggers:
            return None
        work = me._protocol.bind_execute(statement, args, "", want.limit, want.status, NO_TIMEOUT)
        answer = work.send(None)
        answer._asyncio_future_blocking = False  # we resume the work ourselves, no task awaits it
        return work, answer

    async def run(self, sql: str, args: Sequence[object], want: Want, timeout: float) -> Answer:
        """The same with waiting, for any statement: prepares it where needed."""
        me: Any = self
        me._check_open()
        if want.status:
            return await super().execute(sql, *args, timeout=timeout)
        return await me._execute(sql, args, want.limit, timeout)

    def lend(self) -> Handle[Record]:
        """A fresh handle for one lease: unusable after ``end_loan``."""
        handle: Any = PoolConnectionProxy(self._holder, self)
        self._holder._proxy = handle
        return handle  # type: ignore[no-any-return]

    def end_loan(self) -> None:
        me: Any = self
        if me._proxy is not None:
            me._on_release()
            self._holder._proxy = None
            me._proxy._detach()
        self.transactions.clear()

    async def clean(self, timeout: float) -> None:
        """Wait for a pending cancellation, roll back, reset the session.

        Raises: whatever goes wrong; the connection is then only good for closing.
        """
        me: Any = self
        me._check_open()
        async with asyncio.timeout(timeout):
            await me._protocol._wait_for_cancellation(timeout)
            me._listeners.clear()
            me._log_listeners.clear()
            if self.is_in_transaction():
                await super().execute("ROLLBACK", timeout=timeout)
            await super().execute(STRONG_RESET, timeout=timeout)
        self.keeps_session = self.is_standard
        self.is_interrupted = False

    async def ping(self, timeout: float) -> bool:
        """Whether the server still answers."""
        try:
            await super().execute("SELECT 1", timeout=timeout)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    async def discard(self, timeout: float) -> None:
        """Close: cancel what runs and wait until the server has ended the session, *timeout* seconds at the most."""
        try:
            await self.close(timeout=timeout)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            self.terminate()


def _watched(name: str) -> Callable[..., Any]:
    method = getattr(asyncpg.Connection, name)

    @functools.wraps(method)
    async def watched(self: PooledConnection, sql: str, *args: Any, **options: Any) -> Any:
        self.watch(sql)
        try:
            return await method(self, sql, *args, **options)
        except BaseException as error:
            if is_unfinished(error):  # whether or not the holder lets it out
                self.is_interrupted = True
            raise

    return watched


_SENDS_SQL = "execute executemany fetch fetchrow fetchval fetchmany copy_from_query"
for _name in _SENDS_SQL.split():
    setattr(PooledConnection, _name, _watched(_name))


def is_lost(error: BaseException) -> bool:
    """Whether *error* says that the connection is gone."""
    if isinstance(error, asyncpg.PostgresError):
        return verdict(error.sqlstate) is Verdict.LOST
    return isinstance(error, OSError) and not isinstance(error, TimeoutError)


def sqlstate(error: BaseException) -> str | None:
    """The five characters of a server's error, None for anything else."""
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


def is_unfinished(error: BaseException) -> bool:
    """Whether a statement that ended with *error* may have been given up between Parse and Sync.

    So are arguments that do not fit: asyncpg asks for the statement to be parsed, then finds that it cannot encode
    them, and the server goes on holding the locks that it took for parsing.
    """
    is_the_drivers_own = isinstance(error, asyncpg.InterfaceError) or (
        isinstance(error, asyncpg.PostgresError) and error.severity is None  # it borrows DataError from the server
    )
    return is_impatient(error) or is_the_drivers_own


def is_impatient(error: BaseException) -> bool:
    """Whether a caller that ends with *error* must not be kept for a cleanup: cancelled, or no answer came."""
    return not isinstance(error, Exception) or isinstance(error, (TimeoutError, OSError))


def is_failed_transaction(error: BaseException) -> bool:
    """Whether a statement was refused because an earlier one of its transaction had failed."""
    return isinstance(error, asyncpg.InFailedSQLTransactionError)


def is_stale_plan(error: BaseException) -> bool:
    """Whether the statement was not run because its prepared form is out of date: preparing it again mends that."""
    return isinstance(error, asyncpg.InvalidCachedStatementError)


def translated(error: BaseException, connection: PooledConnection, name: str) -> BaseException:
    """*error* as this package reports it; also marks *connection* where the error says it is of no more use."""
    state = sqlstate(error)
    if isinstance(error, asyncpg.OutdatedSchemaCacheError) or (state is not None and verdict(state) is Verdict.DISCARD):
        connection.is_broken = True
    if isinstance(error, asyncpg.InternalClientError):  # the protocol is out of step: a farewell came unasked
        connection.is_broken = True
    elif not is_lost(error) and not (isinstance(error, asyncpg.InterfaceError) and connection.is_closed()):
        return error
    cause = error.__cause__ or error
    lost = ConnectionLost(
        f"the connection of {name} was lost during a statement: {one_line(cause)}. A write may or may not have been "
        f"applied: check before you repeat it; a read can be repeated at once."
    )
    lost.__cause__ = error
    return lost


@contextmanager
def told_as_ours(connection: PooledConnection, name: str, timeout: float) -> Iterator[None]:
    """Raise what goes wrong in the block as this package reports it."""
    try:
        yield
    except TimeoutError as error:
        raise query_timeout(name, timeout) from error
    except Exception as error:
        ours = translated(error, connection, name)
        if ours is error:
            raise
        raise ours from error


def query_timeout(name: str, timeout: float) -> QueryTimeout:
    """The error for a statement that was cancelled after *timeout* seconds."""
    return QueryTimeout(
        f"a statement on {name} was cancelled after {timeout:.2f} s; if it writes, it may or may not have been "
        f"applied. Give it a longer timeout=, or see what it waits for in pg_stat_activity.",
        timeout_s=timeout,
    )


def one_line(error: BaseException) -> str:
    """An error's class and first line."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


class Driver:
    """The asyncpg pool behind the gate: it never has anyone waiting, for the gate's capacity is its ``max_size``."""

    def __init__(self, settings: PoolSettings) -> None:
        self._settings = settings
        self._pool: Any = None

    async def open(self) -> None:
        """Make the asyncpg pool; opens no connection."""
        settings = self._settings
        dsn = settings.dsn
        server_settings = dict(settings.server_settings)
        if "application_name" not in dsn.parameters:
            server_settings.setdefault("application_name", f"dbpool {settings.name}"[:63])
        options: dict[str, Any] = {} if settings.ssl is None else {"ssl": settings.ssl}
        self._pool = await asyncpg.create_pool(
            dsn.reveal(),
            min_size=0,
            max_size=settings.max_connections,
            max_queries=2**62,
            max_inactive_connection_lifetime=0,  # idle time and age are the leases' business
            connection_class=PooledConnection,
            timeout=settings.connect_timeout,
            command_timeout=settings.query_timeout,
            statement_cache_size=settings.statement_cache_size,
            server_settings=server_settings,
            **options,
        )

    @property
    def size(self) -> int:
        """Connections open now, in use or idle."""
        return 0 if self._pool is None else int(self._pool.get_size())

    async def connect(self) -> PooledConnection:
        """Open one connection, within ``connect_timeout``. The caller sees to it that the bound has room."""
        handle = await self._pool.acquire()
        connection: PooledConnection = handle._con
        connection._holder = handle._holder
        connection._holder._proxy = None
        handle._detach()
        connection.is_broken = connection.is_interrupted = False
        connection.settings = self._settings
        connection.transactions = []
        connection.record_class = connection._protocol.get_record_class()  # type: ignore[attr-defined]
        connection.is_standard = connection.get_settings().standard_conforming_strings == "on"
        connection.keeps_session = connection.is_standard
        _tune(connection)
        return connection

    def terminate(self) -> None:
        """Cut every connection off."""
        if self._pool is not None:
            self._pool.terminate()


def _tune(connection: PooledConnection) -> None:
    """Read in smaller pieces; notice a peer that vanished without a word within about a minute, also while idle."""
    transport = connection._transport  # type: ignore[attr-defined]
    if hasattr(transport, "max_size"):
        transport.max_size = READ_SIZE
    sock = transport.get_extra_info("socket")
    if sock is None or sock.family not in (socket.AF_INET, socket.AF_INET6):
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, seconds in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)
