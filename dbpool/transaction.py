"""A transaction that tells the truth about what was stored."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence, Sized
from contextlib import AbstractContextManager, contextmanager, suppress
from enum import Enum
from typing import Any, LiteralString, TypeVar

from dbpool.connection import Answer, PooledConnection, Record, Want
from dbpool.core.outcomes import TRACE
from dbpool.errors import CommitOutcomeUnknown, ConnectionLost, TransactionRolledBack, UsageError
from dbpool.executable import Bound, Executable, bound, bound_many
from dbpool.faults import is_failed_transaction, is_sure, is_unfinished, one_line, told_as_ours
from dbpool.finish import finish, finish_or
from dbpool.loan import Claim, Loan
from dbpool.observing import Asked, Block, Operation, observed
from dbpool.ownership import InnerRef
from dbpool.queries import Queries, check, check_statement, checked_timeout, mapper_of
from dbpool.settings import whole_number
from dbpool.sites import Site
from dbpool.streaming import Records, Rows
from dbpool.transactionoptions import TransactionOptions

T = TypeVar("T")

_SET = "SELECT set_config(name, value, true) FROM unnest($1::text[], $2::text[]) AS s (name, value)"


class State(Enum):
    """Where a transaction stands. It moves down this list only."""

    NEW = "new"
    OPEN = "open"
    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    UNKNOWN = "of unknown outcome"


class Transaction(Queries):
    """A transaction, or inside another one a savepoint; ``async with`` commits, or rolls back on an exception.

    Raises, at the end of the block:
        TransactionRolledBack: a statement had failed and its error was swallowed, so COMMIT stored nothing.
        CommitOutcomeUnknown: the connection was lost between COMMIT and its answer.
        ConnectionLost: the connection was lost before COMMIT was sent: nothing was stored.
    An exception from the block is never masked by one from the rollback.
    Cancelling: a COMMIT already sent is waited for, and the cancellation delivered when its outcome is known.
    """

    __slots__ = (
        "__weakref__",
        "_connection",
        "_loan",
        "_savepoint",
        "_settings",
        "_trace",
        "_where",
        "block",
        "handle",
        "options",
        "state",
        "xid",
    )

    def __init__(self, connection: PooledConnection, options: TransactionOptions) -> None:
        self._connection = connection
        self.options = options
        self._settings = connection.settings
        self._where = connection.held_by
        self._savepoint = ""
        self._loan = connection.loan
        self.state = State.NEW
        self.xid: str | None = None
        self._trace: list[str] = []
        self.handle: Loan | Claim | None = None  # of its lease, if it has one: it lives until this is over
        self.block: Block | None = None  # as what it is observed, if it is a caller's; ends with it

    async def start(self) -> None:
        """BEGIN, or SAVEPOINT inside another transaction.

        A BEGIN that fails or is cancelled costs the connection: nobody can tell whether a transaction is open on it.
        """
        if self.state is not State.NEW:
            raise UsageError(f"this transaction is {self.state.value}: it starts once")
        if self.block is not None:
            self.block.begin()
        with self._ending(is_over=False):
            await self._start()

    async def _start(self) -> None:
        self._check_lease()
        outer = self._connection.transactions
        if outer:
            outermost = outer[0]()
            self.options.check_inside(outermost.options if outermost else TransactionOptions())
            self._savepoint = f"dbpool_{len(outer)}"
        elif self._connection.is_in_transaction():
            raise UsageError("this connection is in a transaction that was begun by hand: end that one first")
        outer.append(InnerRef(self))  # a handle and a transaction that nobody has are gone at once
        try:
            await self._command(f"SAVEPOINT {self._savepoint}" if self._savepoint else self.options.begin())
            self.state = State.OPEN
            if self.options.settings:
                await self._set_locally(self.options.settings)
        except BaseException:
            outer.remove(InnerRef(self))
            if self.state is State.NEW:
                # whatever its holder did next would be in that transaction
                self._connection.doom("a BEGIN was cut short")
            else:
                await self._roll_back_quietly()
            raise

    async def commit(self) -> None:
        """COMMIT, or RELEASE SAVEPOINT; see the class for what it raises."""
        with self._ending():
            await self._end()

    async def _end(self) -> None:
        self._check_open("commit")
        if self._connection.is_closed() or self._connection.doomed_by:
            self._over(State.ROLLED_BACK)
            raise ConnectionLost(
                f"the connection of {self._where} was lost before COMMIT was sent: nothing of this transaction is "
                f"stored. Run it again."
            )
        if self.options.traceable and not self._savepoint:
            try:
                self.xid, *self._trace = await self._ask_for_trace()
            except BaseException:
                await self._roll_back_quietly()
                raise
        try:
            await finish(self._release() if self._savepoint else self._commit())
        except asyncio.CancelledError as error:
            if not self._savepoint:  # a savepoint's fate is that of the transaction around it
                error.add_note(f"cancelled during COMMIT: the transaction is {self.state.value}")
            raise

    async def rollback(self) -> None:
        """ROLLBACK, or ROLLBACK TO SAVEPOINT."""
        self._check_open("roll back")
        with self._ending():
            try:
                await self._roll_back_to_its_end()
            finally:
                self._over(State.ROLLED_BACK)

    async def __aenter__(self) -> Transaction:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if self.state is not State.OPEN:
            return  # ended by hand
        if error is None:
            await self.commit()
        else:
            with self._ending(error):
                await self._roll_back_quietly()

    def leave_to_cleanup(self, error: BaseException | None = None) -> None:
        """End without a round trip: the lease that is about to end rolls back."""
        with self._ending(error):
            self._over(State.ROLLED_BACK)

    @contextmanager
    def _ending(self, error: BaseException | None = None, *, is_over: bool = True) -> Iterator[None]:
        """What observes the transaction is told its end, with *error* or what the block raises."""
        try:
            yield
        except BaseException as failure:
            if self.block is not None:
                self.block.end(failure)
            raise
        if self.block is not None and is_over:
            self.block.end(error)

    async def executemany(
        self,
        sql: LiteralString | Executable,
        args: Iterable[Sequence[object] | Mapping[str, object]],
        *,
        timeout: float | None = None,
    ) -> None:
        """Run a statement for each of *args*, all or nothing, in few round trips; two of them for a savepoint."""
        text, items, args_of = bound_many(sql, args)
        check_statement(text, (), self._settings.trusted_functions)
        self._check_open("run a statement")
        seconds = self._seconds(timeout)
        rows = items if args_of is None else map(args_of, items)

        async def run() -> None:
            async with self._nested():  # else the rows before one that goes wrong would stay
                with self._told(seconds):
                    await self._connection.executemany(text, rows, timeout=seconds)

        size = len(items) if isinstance(items, Sized) else None
        operation = self._operation(Asked.EXECUTEMANY, self._site(), text, size=size)
        await (run() if operation is None else observed(operation, run()))

    def stream(
        self,
        sql: LiteralString | Executable,
        *args: object,
        prefetch: int = 1000,
        into: Callable[..., T] | None = None,
    ) -> Rows[Any]:
        """The rows of a statement through a server-side cursor, *prefetch* of them in memory at a time."""
        asked = bound(sql, args, Want.ROWS)
        check_statement(asked.sql, asked.args, self._settings.trusted_functions)
        whole_number(prefetch, "prefetch", 1)
        return self.stream_bound(asked, prefetch, into)

    def stream_bound(self, asked: Bound, prefetch: int, into: Callable[..., T] | None) -> Rows[Any]:
        """The same for a statement that was checked."""
        self._check_open("run a statement")
        sql, args, telling = asked
        records = Records(self._connection, sql, lambda: aiter(self._connection.cursor(sql, *args, prefetch=prefetch)))
        make: Callable[[Record], Any] | None = None

        async def fetch() -> Any:  # noqa: ANN401 - a record, or what *into* makes of one
            nonlocal make
            self._check_open("go on reading")
            with self._told(self._settings.query_timeout):
                record = await records.next()
            if telling is not None:
                record = telling.rows([record])[0]
            if into is None:
                return record
            make = make or mapper_of(into, record)
            return make(record)

        block = self.block
        if block is None or block.asked is Asked.STREAM or not block.observing.observers:
            return Rows(fetch)
        return Rows(fetch, Block(block.observing, Asked.STREAM, block.line, block.observing.sites.of(2), sql, args))

    def transaction(self, *, settings: Mapping[str, str] | None = None) -> Transaction:
        """A transaction inside this one: a savepoint. Its *settings* last until the outermost one ends."""
        self._check_open("nest")
        inner = self._nested(settings)
        if self.block is not None:
            observing = self.block.observing
            inner.block = Block(observing, Asked.TRANSACTION, self.block.line, observing.sites.of(2))
        return inner

    def _nested(self, settings: Mapping[str, str] | None = None) -> Transaction:
        inner = Transaction(self._connection, TransactionOptions(settings=settings or {}))
        inner.handle = self.handle
        return inner

    def _site(self) -> Site | None:
        block = self.block
        return None if block is None or not block.observing.observers else block.observing.sites.of(3)

    def _operation(
        self, asked: Asked, site: Site | None, sql: str, args: Sequence[object] = (), size: int | None = None
    ) -> Operation | None:
        """As what a call in this transaction is observed; None: it is not."""
        block = self.block
        if block is None or not block.observing.observers:
            return None
        return Operation(block.observing, asked, block.line, site, sql, args, size=size)

    def _ask(  # nobody waits in line here, so there is nothing to coalesce
        self, sql: str, args: Sequence[object], want: Want, timeout: float | None, site: Site | None, *_: object
    ) -> Awaitable[Answer]:
        statement = check(sql, args, want, self._settings.trusted_functions)
        self._check_open("run a statement")
        if not statement.keeps_session:
            self._connection.note_change(sql)
        run = self._run(sql, args, want, self._seconds(timeout))
        operation = self._operation(Asked.STATEMENT, site, sql, args)
        return run if operation is None else observed(operation, run)

    async def _run(self, sql: str, args: Sequence[object], want: Want, seconds: float) -> Answer:
        with self._told(seconds):
            return await self._connection.run(sql, args, want, seconds)

    async def _ask_for_trace(self) -> Iterable[Any]:
        try:
            rows = await self._run(TRACE, (), Want.ROW, self._settings.query_timeout)
        except Exception as error:
            if is_failed_transaction(error):  # COMMIT will tell
                return (None,)
            raise
        return rows[0]  # type: ignore[no-any-return]

    async def _commit(self) -> None:
        seconds = self._settings.query_timeout
        try:
            tag = await self._connection.run("COMMIT", (), Want.STATUS, seconds)
        except BaseException as error:
            if is_sure(error) and not self._connection.is_closed():
                if is_unfinished(error):  # not sent: another statement was under way
                    self._connection.doom("a COMMIT was cut short")
                self._over(State.ROLLED_BACK)  # else the server's own answer: a deferred constraint, a conflict
                raise
            self._over(State.UNKNOWN)
            self._connection.is_broken = True
            if not isinstance(error, Exception):
                raise
            ask = "await db.outcome(error) asks" if self.xid else "with transaction(traceable=True) you could ask"
            unknown = CommitOutcomeUnknown(
                f"no answer to COMMIT from {self._where}: {one_line(error)}. The transaction may or may not be stored; "
                f"{ask} the server.",
                xid=self.xid,
            )
            unknown.trace = (self._trace[0], self._trace[1]) if self.xid else None
            raise unknown from error
        if tag == "COMMIT":
            self._over(State.COMMITTED)
            return
        self._over(State.ROLLED_BACK)
        raise TransactionRolledBack(
            f"COMMIT on {self._where} was answered with {tag}: a statement in the transaction had failed and its error "
            f"was swallowed, so nothing was stored. Let the error out, or wrap the statement in tx.transaction()."
        )

    async def _release(self) -> None:
        try:
            await self._command(f"RELEASE SAVEPOINT {self._savepoint}")
        except Exception as error:
            if not is_failed_transaction(error):
                raise
            await self._roll_back()
            self._over(State.ROLLED_BACK)
            raise TransactionRolledBack(
                f"the inner transaction on {self._where} was rolled back: a statement in it had failed and its error "
                f"was swallowed. Let the error out of the block."
            ) from error
        self._over(State.COMMITTED)

    async def _roll_back(self) -> None:
        if self._connection.is_closed() or self._connection.doomed_by or self._loan != self._connection.loan:
            return  # the server rolled back when the session ended, or the pool when it took the lease back
        to_savepoint = f"ROLLBACK TO SAVEPOINT {self._savepoint}; RELEASE SAVEPOINT {self._savepoint}"
        await self._command(to_savepoint if self._savepoint else "ROLLBACK", self._settings.reset_timeout)

    async def _roll_back_quietly(self) -> None:
        """Roll back, and let the exception that is under way be the one that is seen."""
        try:
            with suppress(Exception):  # the connection is doomed by then
                await self._roll_back_to_its_end()
        finally:
            self._over(State.ROLLED_BACK)

    async def _roll_back_to_its_end(self) -> None:
        """Where that fails, the connection goes, and with it whatever transaction is around this one."""
        await finish_or(self._roll_back(), lambda: self._connection.doom("a ROLLBACK was cut short"))

    async def _set_locally(self, settings: Mapping[str, str]) -> None:
        values = [str(value) for value in settings.values()]
        await self._connection.run(_SET, (list(settings), values), Want.ROWS, self._settings.query_timeout)

    async def _command(self, sql: str, timeout: float | None = None) -> None:
        seconds = timeout or self._settings.query_timeout
        await self._run(sql, (), Want.STATUS, seconds)

    def _told(self, seconds: float) -> AbstractContextManager[None]:
        return told_as_ours(self._connection, self._where, seconds)

    def _seconds(self, timeout: float | None) -> float:
        return checked_timeout(timeout) or self._settings.query_timeout

    def _check_open(self, doing: str) -> None:
        if self.state is not State.OPEN:
            raise UsageError(f"cannot {doing}: this transaction is {self.state.value}")
        self._check_lease()

    def _check_lease(self) -> None:
        if self._loan != self._connection.loan:
            raise UsageError("this transaction's connection was given back to the pool: use it inside its block only")

    def _over(self, state: State) -> None:
        self.state, self.handle = state, None
        under_way, me = self._connection.transactions, InnerRef(self)
        if me in under_way:
            inner = under_way[under_way.index(me) :]
            del under_way[under_way.index(me) :]
            for reference in inner[1:]:  # left open inside this one
                if (transaction := reference()) is not None:
                    transaction.state, transaction.handle = state, None
                    if transaction.block is not None:
                        transaction.block.end(None)

    def __repr__(self) -> str:
        return f"<Transaction on {self._where}: {self.state.value}>"


def _transaction(connection: PooledConnection, **options: Any) -> Transaction:  # noqa: ANN401 - they are checked
    return Transaction(connection, TransactionOptions(**options))


PooledConnection.make_transaction = staticmethod(_transaction)
