"""A connection as asyncpg has it, and what this package must know of it besides: send, clean up, close."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg
from asyncpg import Record as Record  # noqa: PLC0414 - for the other files
from asyncpg.pool import PoolConnectionProxy
from asyncpg.protocol import NO_TIMEOUT
from asyncpg.protocol.protocol import _create_record  # type: ignore[attr-defined]

from dbpool.core.route import Route
from dbpool.core.statements import Statement, classify, refuse_copy
from dbpool.core.want import Want as Want  # noqa: PLC0414 - for the other files
from dbpool.core.wholeness import is_whole
from dbpool.events import Reason
from dbpool.faults import incomplete
from dbpool.loan import Loan, nobody
from dbpool.ownership import InnerRef
from dbpool.remains import Remains
from dbpool.routed import RoutedConnection
from dbpool.watching import prepared_again, refuse_no_text, refuse_session_need, watched

if TYPE_CHECKING:
    pass

Handle = PoolConnectionProxy
PlainConnection = asyncpg.Connection  # one that no pool has
PostgresError = asyncpg.PostgresError
InterfaceError = asyncpg.InterfaceError
make_record: Callable[[dict[str, int], tuple[Any, ...]], Record] = _create_record  # the place of each name, the values
# What asyncpg returns for a Want: records, or a status (with records, where there are arguments).
Answer: TypeAlias = Any

# Beyond what asyncpg's own reset does: role, session authorization, sequences and temporary tables. One message, one
# round trip; prepared statements are kept.
STRONG_RESET = (
    "SET SESSION AUTHORIZATION DEFAULT; RESET ALL; CLOSE ALL; UNLISTEN *; SELECT pg_advisory_unlock_all(); "
    "DISCARD SEQUENCES; DISCARD TEMP; "
    "SELECT setseed(hashtext(gen_random_uuid()::text) / 2147483648.0)"  # not even DISCARD ALL undoes a setseed
)
MOST_PARAMETERS = 32767  # the protocol counts them in a signed 16-bit number


class PooledConnection(RoutedConnection):
    """An asyncpg connection that remembers whether it owes a reset."""

    __slots__ = (
        "_heard",
        "_hold",
        "_holder",
        "_lent",
        "at_work",
        "expires_at",
        "expires_for",
        "held_by",
        "idle_since",
        "is_demoted",
        "is_standard",
        "keeps_session",
        "last_sql",
        "loan",
        "record_class",
        "remains",
        "seen_alive_at",
        "transactions",
    )

    keeps_session: bool  # nothing sent since the last reset can have changed the session's state
    is_demoted: bool  # its server has turned out not to be of the kind that is wanted: so have others to it
    is_standard: bool  # strings are read as the standard says, as the classifier does; else nothing is ever proven
    expires_at: float  # seconds of the loop's clock, as the next two times
    expires_for: Reason  # why it is closed then
    idle_since: float
    seen_alive_at: float
    at_work: int  # statements that a holder has under way
    last_sql: str | None  # what its holder ran last, or runs
    held_by: str  # the pool and the lane of its lease, for messages
    loan: int  # counts the leases, so that what one of them made is of no use in the next
    record_class: type[Record]
    remains: (
        Remains | None
    )  # of a connection that was cut off while its server process may have lived; the taker closes
    transactions: list[InnerRef[Any]]  # those under way on it, the outermost first
    _hold: Remains | None  # of its socket, until it is closed
    _heard: Loan | None  # its handle, while callbacks listen that are called with it
    _holder: Any
    _lent: Callable[[], Loan | None]  # its handle, while somebody has it

    make_transaction: Callable[..., Any]  # set by transaction.py, a layer up
    drivers_limit: Any = NO_TIMEOUT  # of a statement begun; None: the driver's ``command_timeout``

    def __init__(self, protocol: Any, transport: Any, _: Any, *rest: Any) -> None:
        # not the loop that asyncpg was given, which may have been a DialingLoop
        super().__init__(protocol, transport, asyncio.get_running_loop(), *rest)
        self.remains = self._heard = None
        self._hold = Remains.of(transport)
        self._lent = nobody

    def follow(self, route: Route) -> None:
        """As above; the end of its backend is no concern of a connection that shares sessions, as it has none.

        PgBouncer would not see it go while it waits in PgBouncer's line, and its permit would wait for that in vain.
        """
        super().follow(route)
        if route.shares_sessions and self._hold is not None:
            self._hold.close()
            self._hold = None

    def watch(self, sql: str) -> Statement:
        """Check *sql* and note whether it may change the session.

        Raises:
            StatementError: it can never work.
        """
        self.check_fit()
        refuse_no_text(sql)
        self.last_sql = sql
        statement = classify(sql, self.settings.trusted_functions)
        refuse_copy(statement)
        if not statement.keeps_session:
            self.note_change(sql)
        return statement

    def note_change(self, sql: str) -> None:
        """*sql*, about to be sent, may change the session's state.

        Raises: StatementError: it needs a session of its own, which a pooler does not give.
        """
        if self.route.shares_sessions:  # there is none to be reset
            refuse_session_need(sql, self.route, self.held_by, in_transaction=self.is_in_transaction())
            return
        self.keeps_session = False
        if "prepare" in sql.lower():  # what SQL's PREPARE makes cannot be told apart from what the driver prepared
            self.is_broken = True

    def get_reset_query(self) -> str:
        return "" if self.route.shares_sessions else STRONG_RESET

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
        self.note_change("LISTEN")
        await super().add_listener(channel, callback)

    def add_log_listener(self, callback: Any) -> None:
        self.keeps_session = False
        super().add_log_listener(callback)

    # The rest is this package's own view of a connection.

    @property
    def is_quiet(self) -> bool:
        """Whether it is fit for use, with no cancellation or transaction under way."""
        protocol: Any = self._protocol  # type: ignore[attr-defined]
        if protocol is None or not protocol.is_connected() or self.is_broken or self.is_interrupted or self.at_work:
            return False
        return not (protocol.is_in_transaction() or protocol._is_cancelling())

    def begin(
        self, sql: str, args: Sequence[object], want: Want, record_class: type[Record] | None = None
    ) -> tuple[Coroutine[Any, Any, Answer], asyncio.Future[Answer]] | None:
        """Send a statement that this connection has prepared before, without waiting.

        Returns: the work, to be resumed once when the future is done, which gives rows, status, and whether these are
            all: see ``is_whole``. None if it is not prepared yet.
        Raises: what asyncpg raises for arguments that do not fit; then nothing was sent.
        """
        me: Any = self
        statement = me._stmt_cache.get((sql, record_class or self.record_class, False))
        if statement is None or me._query_loggers:
            return None
        work = me._protocol.bind_execute(statement, args, "", want.limit, True, self.drivers_limit)
        answer = work.send(None)
        answer._asyncio_future_blocking = False  # we resume the work ourselves, no task awaits it
        return work, answer

    async def run(self, sql: str, args: Sequence[object], want: Want, timeout: float) -> Answer:
        """The same with waiting, for any statement: prepares it where needed."""
        me: Any = self
        self.check_fit()
        self.last_sql = sql
        if want.status and not args:
            try:
                return await super().execute(sql, timeout=timeout)
            except AttributeError as error:  # it has no status, and the driver does not expect that
                raise incomplete() from error
        return await me._execute(sql, args, want.limit, timeout, return_status=want.status)

    async def _execute(
        self,
        query: str,
        args: Sequence[object],
        limit: int,
        timeout: float | None,
        *,
        return_status: bool = False,
        record_class: type[Record] | None = None,
        **options: Any,
    ) -> Answer:
        """As asyncpg's, by which all its methods read rows; an answer that is not whole is an error."""
        driver: Any = super()
        answer = await driver._execute(
            query, args, limit, timeout, return_status=True, record_class=record_class, **options
        )
        if not self._has_all(query, limit, answer, record_class) and not _says_nothing(query):
            raise incomplete()
        return answer if return_status else answer[0]

    def is_whole(self, sql: str, want: Want, answer: Answer) -> bool:
        """Whether the rows of *answer* are as many as the server says that it sent."""
        return self._has_all(sql, want.limit, answer)

    def _has_all(self, sql: str, limit: int, answer: Answer, record_class: type[Record] | None = None) -> bool:
        me: Any = self
        rows, status, _ = answer
        has_columns = True
        if not rows and status is not None:
            statement = me._stmt_cache.get((sql, record_class or self.record_class, False))
            has_columns = statement is not None and bool(statement._get_attributes())
        return is_whole(len(rows), status, limit, has_columns=has_columns)

    async def _cleanup_stmts(self) -> None:
        me: Any = self  # asyncpg's own would wait for ever; here each close has query_timeout
        closing, me._stmts_to_close = me._stmts_to_close, set()  # what comes meanwhile may be about to run
        try:
            while closing:
                await me._protocol.close_statement(closing.pop(), None)
        finally:
            me._stmts_to_close |= closing

    def _cleanup(self) -> None:
        self._heard = None
        if self._hold is not None:  # lost: by the server's end, or by an answer that the driver cannot read
            self.remains, self._hold = self._hold.unless_ended(), None
        super()._cleanup()

    async def close(self, *, timeout: float | None = None) -> None:
        """As asyncpg's; ``remains`` is left if it fails."""
        if self.is_closed():
            return await super().close(timeout=timeout)
        me: Any = self
        self.remains, self._hold = self._hold, None  # now: who finds it closed meanwhile is to take them
        try:
            await super().close(timeout=timeout)
        finally:
            if self.remains is not None and not me._aborted:  # the server has closed its end
                self.remains.close()
                self.remains = None

    def _abort(self) -> None:
        """Cut it off, as asyncpg does, but keep hold of the socket."""
        super()._abort()  # type: ignore[misc]
        self.remains, self._hold = self.remains or self._hold, None
        if self.remains is not None:
            self.remains.hang_up()

    def lend(self, lease: object, *, in_block: bool) -> Loan:
        """A fresh handle for one lease: unusable after ``end_loan``."""
        loan = Loan(self, lease, in_block=in_block)
        self._lent = InnerRef(loan)
        return loan

    @property
    def _proxy(self) -> Loan | None:
        """What asyncpg calls listeners with; None: the connection itself."""
        return self._lent()

    @_proxy.setter
    def _proxy(self, _: object) -> None:
        """What asyncpg's own pool sets is a handle that nobody gets."""

    def keep_if_heard(self, loan: Loan) -> None:
        """Refer to the handle for as long as callbacks listen: they can still use it."""
        me: Any = self
        self._heard = loan if me._listeners or me._log_listeners else None

    def handles(self) -> list[object]:
        """What its holder has in hand."""
        handle = self._lent()
        return [] if handle is None else [handle]

    def keepers(self) -> list[object]:
        """What refers to the handle without giving it to anybody: only a weak reference does."""
        return []

    def end_loan(self) -> None:
        me: Any = self
        self.loan += 1
        self.last_sql = None
        me._query_loggers.clear()
        me._termination_listeners.clear()
        self.transactions.clear()
        if self._lent is not nobody:
            handle, self._lent, self._heard = self._lent(), nobody, None
            if handle is not None:
                handle._con = None
            me._on_release()

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
            # of a shared session all is gone with the transaction, but what may stand between Parse and Sync
            await super().execute("SELECT 1" if self.route.shares_sessions else STRONG_RESET, timeout=timeout)
        self.keeps_session = self.is_standard or self.route.shares_sessions
        self.is_interrupted = False

    async def ping(self, timeout: float) -> bool:
        """Whether the server still answers."""
        try:
            await super().execute("SELECT 1", timeout=timeout)
        except Exception:  # whatever the driver makes of the answer
            return False
        return True

    async def discard(self, timeout: float) -> None:
        """Close: cancel what runs and wait until the server has ended the session, *timeout* seconds at the most."""
        try:
            await self.close(timeout=timeout)
        except Exception:  # whatever the driver makes of the answer
            self.terminate()


def _says_nothing(sql: str) -> bool:
    """Whether there is no statement in *sql*: the server answers with none."""
    try:
        classify(sql)
    except ValueError:
        return True
    return False


for _name in ["execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "copy_from_query"]:
    setattr(PooledConnection, _name, watched(getattr(PooledConnection, _name), takes_sql=True))
for _name in ["copy_from_table", "copy_to_table", "copy_records_to_table", "copy_in"]:
    setattr(PooledConnection, _name, watched(getattr(PooledConnection, _name), takes_sql=False))
PooledConnection._do_execute = prepared_again(PooledConnection._do_execute)  # type: ignore[attr-defined]
