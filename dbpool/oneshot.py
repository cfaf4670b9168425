"""A call of one statement, sent the instant a connection is there, without waking its caller first."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from enum import Enum
from typing import Any

from dbpool.connection import Answer, Want
from dbpool.core.permits import NEW, Line
from dbpool.deadlines import forget
from dbpool.errors import QueryTimeout
from dbpool.faults import incomplete, is_unfinished, query_timeout, told_as_ours, translated
from dbpool.leaseholder import Leaseholder
from dbpool.leases import Leases
from dbpool.observing import Operation
from dbpool.outdated import can_run_again
from dbpool.settings import PoolSettings
from dbpool.sites import Site
from dbpool.waiter import Parcel

_CALLER = 4  # calls above: Sites.of, Calls.run, and at the most two of this package


class Driven(Enum):
    """The answer that tells a caller to run its statement itself, under the permit that it now holds."""

    BY_CALLER = "it is not prepared yet, or a connection must be opened"


class Call(Leaseholder):
    """One statement's way: in line, sent, over.

    Waking a waiting task so that it can send costs a turn of the event loop, in which its connection does nothing. So
    what waits in line is not a task but a statement: whoever ends a lease sends the next statement at once. One that
    needs more than that wakes its caller to do it.
    """

    __slots__ = (
        "_answer",
        "_calls",
        "_work",
        "args",
        "ends_at",
        "is_overdue",
        "keeps_session",
        "sql",
        "timeout",
        "want",
    )

    wakeup: asyncio.Future[Any] | None  # type: ignore[assignment] # None: it never stood in line
    _answer: asyncio.Future[Any] | None
    _work: Coroutine[Any, Any, Any]
    timeout: float | None  # the caller's own, for all of it
    ends_at: float  # of that time, or of acquire_timeout; in seconds of the loop's clock

    ends_by_itself = True

    def __init__(
        self,
        calls: Calls,
        line: Line,
        sql: str,
        args: Sequence[object],
        want: Want,
        keeps_session: bool,  # noqa: FBT001 - by position: this is the hot path
    ) -> None:
        # Not through super(): three more calls for each statement.
        self.line, self.place = line, NEW
        self.bucket = self.asker = self.connection = self.quarantine = self.wakeup = self._answer = self.got_at = None
        self.afterwards = ""
        self.is_overdue = False
        self._calls = calls
        self.sql, self.args, self.want, self.keeps_session = sql, args, want, keeps_session

    def statement(self) -> str:
        return self.sql

    def granted(self, parcel: Parcel, now: float) -> None:
        self.connection = parcel
        assert self.wakeup is not None
        if self.wakeup.done():  # its caller was cancelled, and settles when it runs
            forget(self)
            return
        answer = self.send(now)
        if answer is None:
            forget(self)
            self.wakeup.set_result(Driven.BY_CALLER)
        else:
            answer.add_done_callback(self._answered)

    def abandon(self) -> None:
        """The caller is gone: stop whatever is going on for it."""
        if self._answer is not None:
            self._answer.cancel()  # asyncpg then asks the server to cancel; no effect once it is done
        else:
            self._calls.leases.settle(self)

    def overdue(self) -> None:
        assert self._answer is not None
        if self._answer.done():  # it came in time, and the loop has not got to it yet
            return
        self.is_overdue = True
        self._deliver(self.timed_out())
        self._answer.cancel()

    def timed_out(self) -> QueryTimeout:
        return query_timeout(self._calls.named(self.line), self.timeout or self._calls.query_timeout)

    def send(self, now: float) -> asyncio.Future[Any] | None:
        """Send the statement if its connection has it prepared; return what is done when the answer is there."""
        connection = self.connection
        if connection is None:
            return None
        try:
            begun = connection.begin(self.sql, self.args, self.want)
        except BaseException:  # arguments that do not fit: nothing was sent, and its caller will meet the same error
            return None
        if begun is None:
            return None
        if not self.keeps_session:
            connection.note_change(self.sql)
        self._work, self._answer = begun
        if self._calls.observing.observers:
            self._calls.observing.obtained(self)
        self._calls.gate.set_deadline(self, now + self._calls.query_timeout if self.timeout is None else self.ends_at)
        return self._answer

    def result(self) -> Answer:
        """What the answer says: the rows or status, or the exception."""
        forget(self)  # the time limit was the statement's; a cleanup has one of its own
        try:
            self._work.send(None)
        except StopIteration as stop:
            answer = stop.value
        except BaseException as error:
            return error
        # Most are whole by what can be told at once: the rest of this takes 0.1 us at the most.
        rows, status, _ = answer
        if (len(rows) != 1 or not self.want.limit) if status is None else status != b"SELECT %d" % len(rows):
            assert self.connection is not None
            if not self.connection.is_whole(self.sql, self.want, answer):
                return incomplete()
        return answer if self.want.status else rows

    def leave_behind(self) -> None:
        """Its task ends without waiting for the answer: stop the statement, settle when it has stopped."""
        assert self._answer is not None
        self._answer.add_done_callback(self._answered)
        self._answer.cancel()

    def _answered(self, _: asyncio.Future[Any]) -> None:
        self._end(self.result())

    def _end(self, result: Answer) -> None:
        connection = self.connection
        assert connection is not None
        if isinstance(result, BaseException):
            if can_run_again(connection, result, self.sql) and self.wakeup is not None and not self.wakeup.done():
                self._answer = None
                self.wakeup.set_result(Driven.BY_CALLER)
                return
            result = translated(result, connection, self._calls.named(self.line))
        leases = self._calls.leases
        if leases.is_clean(connection):
            self._deliver(result)  # first, so that callers wake in the order in which they came
            leases.pass_on(self, connection)
        elif (cleanup := leases.settle(self)) is None:
            self._deliver(result)
        else:
            cleanup.add_done_callback(lambda _: self._deliver(result))

    def _deliver(self, result: Answer) -> None:
        if self.wakeup is not None and not self.wakeup.done():
            self.wakeup.set_result(result)


class Calls:
    """Runs one-shot statements."""

    def __init__(self, leases: Leases, settings: PoolSettings) -> None:
        self.leases = leases
        self.gate = leases.gate
        self.observing = leases.gate.observing
        self.named = leases.gate.refusals.named
        self._acquire_timeout = settings.acquire_timeout
        self.query_timeout = settings.query_timeout

    def run(
        self,
        line: Line,
        sql: str,
        args: Sequence[object],
        want: Want,
        *,
        keeps_session: bool,
        timeout: float | None,
        site: Site | None = None,
        operation: Operation | None = None,
    ) -> Coroutine[Any, Any, Answer]:
        """Wait for a connection, run one checked statement on it, pass the connection on.

        To be awaited at once: its place in line is taken, or its statement sent, when this returns.

        Args:
            line: the lane's, in which to wait.
            keeps_session: it is proven to leave the session as it was.
            timeout: seconds for all of it; None: ``acquire_timeout`` for the wait and ``query_timeout`` for the rest.
            site: where in the program it is asked for; None: whence this is called.
            operation: as what it is observed, if it is; told who waits for its connection.
        """
        loop = self.leases.loop
        call = Call(self, line, sql, args, want, keeps_session)
        call.site = site or self.gate.sites.of(_CALLER)
        call.timeout = timeout
        if operation is not None:
            operation.waiter = call
        patience = self._patience(timeout)
        has_permit = self.gate.request(call, patience, loop)
        now = call.since
        call.ends_at = now + patience
        if has_permit:
            call.connection = self.leases.take_idle(now)
            answer = call.send(now)
            return self._drive(call) if answer is None else self._await(call, answer)
        call.wakeup = loop.create_future()
        return self._queue(call, call.wakeup)

    def _patience(self, timeout: float | None) -> float:
        """How long a caller waits for a connection."""
        return self._acquire_timeout if timeout is None else timeout

    async def _queue(self, call: Call, wakeup: asyncio.Future[Any]) -> Answer:
        try:
            result = await wakeup
        except BaseException:
            call.abandon()
            raise
        if result is Driven.BY_CALLER:
            return await self._drive(call)
        if isinstance(result, BaseException):
            raise result
        return result

    async def _await(self, call: Call, answer: asyncio.Future[Any]) -> Answer:
        """Wait for the driver's own future: nobody was in line, so there is no need of another."""
        stopped: BaseException | None = None
        task = call.task
        cancels = task.cancelling() if task is not None else 0
        try:
            await answer
        except BaseException as error:
            if not answer.done():
                call.leave_behind()
                raise
            if not isinstance(error, Exception):
                stopped = error
        result = call.result()
        connection = call.connection
        assert connection is not None
        if isinstance(result, Exception):
            if can_run_again(connection, result, call.sql) and stopped is None:
                return await self._drive(call)
            result = translated(result, connection, self.named(call.line))
        if stopped is None and self.leases.is_clean(connection):
            self.leases.pass_on(call, connection)
            cleanup = None
        else:
            cleanup = self.leases.settle(call, interrupted=stopped is not None)
        if stopped is not None:
            was_cancelled = task is not None and task.cancelling() > cancels
            raise call.timed_out() if call.is_overdue and not was_cancelled else stopped
        if cleanup is not None:
            await asyncio.wait([cleanup])
        if isinstance(result, BaseException):
            raise result
        return result

    async def _drive(self, call: Call) -> Answer:
        loop = self.leases.loop
        try:
            connection = await self.leases.obtain(call, call.ends_at, call.ends_at - self._patience(call.timeout))
            if self.observing.observers:
                self.observing.obtained(call)
            if not call.keeps_session:
                connection.note_change(call.sql)
            seconds = self.query_timeout if call.timeout is None else max(call.ends_at - loop.time(), 0.001)
            with told_as_ours(connection, self.named(call.line), seconds):
                result = await connection.run(call.sql, call.args, call.want, seconds)
        except BaseException as error:
            self.leases.settle(call, interrupted=is_unfinished(error))
            raise
        cleanup = self.leases.settle(call)
        if cleanup is not None:
            await asyncio.wait([cleanup])
        return result
