"""One batch for the callers of one text: sent, answered, its connection passed on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from enum import Enum
from typing import TYPE_CHECKING, Any

from dbpool.bulk.batch import QUERY_CANCELED, Answers, Take, is_items_fault, run_batch
from dbpool.bulk.batchrow import BatchRow, by_item
from dbpool.connection import Answer, Want
from dbpool.core.batches import ARRAYS, could_be_items
from dbpool.core.columns import Args, columns_of
from dbpool.core.permits import WAITING
from dbpool.deadlines import forget
from dbpool.errors import AcquireTimeout, QueryTimeout
from dbpool.faults import incomplete, is_unfinished, query_timeout, sqlstate, translated
from dbpool.leaseholder import Leaseholder
from dbpool.observing import Asked, Operation
from dbpool.outdated import can_run_again
from dbpool.waiter import Parcel, Waiter

if TYPE_CHECKING:
    from dbpool.bulk.group import Group


class Again(Enum):
    """The answer that tells a caller to send its statement itself."""

    ALONE = "its batch ran out of time, for one of them or for all: who knows"


class Member(Waiter):
    """One call: in a group's queue, beside the line where a ticket stands for all in it, then in a batch."""

    __slots__ = ("args", "batch", "group", "timeout")

    def __init__(
        self,
        group: Group,
        args: Args,
        timeout: float | None,
        now: float,
        wakeup: asyncio.Future[Answer],
    ) -> None:
        # Not through super(): two more calls for each.
        self.line, self.place = group.line, WAITING
        self.asker = self.site = self.got_at = None
        self.group, self.args = group, args
        self.timeout = timeout  # the caller's own, for all of it
        self.since = self.asked_at = now
        self.wakeup = wakeup  # its result may be an error: a caller may be gone
        self.batch: JointCall | None = None
        self.bucket = None

    @property
    def together(self) -> int:
        return 1 if self.batch is None else len(self.batch.members)

    def tell(self, answer: Answer) -> None:
        if self.bucket is not None:
            forget(self)
        if not self.wakeup.done():
            self.wakeup.set_result(answer)

    async def wait(self) -> Answer:
        """What it is told. Cancelling: takes it out of the queue; of a batch, the statement goes on for the others."""
        try:
            answer = await self.wakeup
        except BaseException:
            if self.wakeup.cancel() or self.wakeup.cancelled():
                self.leave()
            raise
        if answer is Again.ALONE:
            return await self._call_alone()
        if isinstance(answer, BaseException):
            raise answer
        return answer

    async def _call_alone(self) -> Answer:
        """As if it came now, but with what is left of its own time."""
        owner, group = self.group.owner, self.group
        timeout = None if self.timeout is None else max(self.since + self.timeout - owner.loop.time(), 0.001)
        return await owner.calls.run(self.line, group.sql, self.args, group.want, keeps_session=True, timeout=timeout)

    def refused(self, error: Exception) -> None:
        self.tell(error)
        self.leave()

    def leave(self) -> None:
        """Its caller waits no more."""
        if self.bucket is not None:
            forget(self)
        if self.batch is None:
            self.group.left()
        else:
            self.batch.left()


class JointCall(Leaseholder):
    """Stands in line for members of a group, then runs their statement once for all of them."""

    __slots__ = ("_answer", "_live", "_operation", "_work", "group", "is_out_of_time", "is_quick", "members")

    _work: Coroutine[Any, Any, Any]
    _answer: asyncio.Future[Any] | None

    ends_by_itself = True

    def __init__(self, group: Group) -> None:
        super().__init__(group.line)
        self.group = group
        self.members: list[Member] = []
        self._live = 0  # members whose callers are there
        self._answer = None
        self._operation: Operation | None = None  # if somebody observes
        self.is_out_of_time = False
        self.is_quick = False  # what it was begun as

    # What a gate's lines, and its report, ask of a waiter

    def statement(self) -> str:
        return self.group.sql

    def doing(self) -> str:
        callers = len(self.members) or self.group.waiting
        return super().doing() or f"for {callers} caller{'s' if callers > 1 else ''}"

    def granted(self, parcel: Parcel, now: float) -> None:
        forget(self)
        self.connection = parcel
        self.group.granted(self, now)

    def refused(self, error: Exception) -> None:
        self.group.refused(error)

    def overdue(self) -> None:
        if self._answer is not None and self._answer.done():  # it came in time
            return
        self._tell_out_of_time(self._timed_out)
        if self._answer is not None:
            self._answer.cancel()

    # Its way

    def begin(self, members: list[Member], now: float) -> None:
        """Send the statement of *members* at once if its connection has it prepared, else in a task."""
        self.members, self._live = members, len(members)
        for member in members:
            member.batch = self
        if self.group.owner.gate.observing.observers:
            self._observe(now)
        try:
            begun = self._begun()
        except Exception:  # arguments that do not fit: the task finds out whose
            begun = None
        if begun is None:
            self._start_driving()
        else:
            self._work, self._answer = begun
            owner = self.group.owner
            owner.gate.set_deadline(self, now + owner.query_timeout)
            self._answer.add_done_callback(self._answered)

    def _observe(self, now: float) -> None:
        observing, first = self.group.owner.gate.observing, self.members[0]
        self.asked_at, self.got_at = first.asked_at, now
        for member in self.members:
            observing.waited(member, now - member.asked_at, in_vain=False)
        self._operation = Operation(
            observing, Asked.PART, self.line, first.site, self.group.sql, size=len(self.members)
        ).begin()
        self._operation.waiter = self

    def left(self) -> None:
        """One of its callers is gone; with the last of them the statement is stopped."""
        self._live -= 1
        if not self._live and self._answer is not None:
            self._answer.cancel()

    def _begun(self) -> tuple[Coroutine[Any, Any, Any], asyncio.Future[Any]] | None:
        connection, plan, group = self.connection, self.group.plan, self.group
        if connection is None or plan is None:
            return None
        if len(self.members) == 1:
            return connection.begin(group.sql, self.members[0].args, group.want)
        columns = columns_of([member.args for member in self.members])
        if columns is None or plan.form not in ARRAYS or any(map(could_be_items, columns)):
            return None
        return connection.begin(plan.sql, columns, Want.ROWS, BatchRow)

    def _answered(self, _: asyncio.Future[Any]) -> None:
        forget(self)
        connection, plan = self.connection, self.group.plan
        assert connection is not None
        sql = self.group.sql if plan is None or len(self.members) == 1 else plan.sql
        try:
            self._work.send(None)
        except StopIteration as stop:
            if connection.is_whole(sql, self.group.want, stop.value):
                self._deliver(stop.value[0])
                self._end()
            else:
                self._fail(incomplete())
        except Exception as error:
            may_go_on = can_run_again(connection, error, sql) or is_items_fault(error)
            if may_go_on and not connection.is_closed() and self._live:
                self._start_driving()  # whose fault, and what of the others?
            else:
                self._fail(error)
        except BaseException:
            self._end(interrupted=True)

    def _deliver(self, rows: list[Any]) -> None:
        members = self.members
        if len(members) == 1:
            members[0].tell(rows)
            return
        for member, answer in zip(members, by_item(rows, len(members)), strict=True):
            if member.bucket is not None or member.wakeup.done():
                member.tell(answer)
            else:
                member.wakeup.set_result(answer)  # as tell() does, without a call for each

    def _start_driving(self) -> None:
        task = self.group.owner.tasks.start(self._drive())
        self._answer = task
        task.add_done_callback(self._driven)

    async def _drive(self) -> None:
        """Open a connection, prepare, or find out which of the members failed."""
        owner, group = self.group.owner, self.group
        deadline = owner.loop.time() + owner.acquire_timeout
        connection = await owner.leases.obtain(self, deadline, self.members[0].since)
        assert group.plan is not None
        take = Take.ROWS if group.want is Want.ROWS else Take.ROW
        items = [member.args for member in self.members]
        async with asyncio.timeout(owner.query_timeout):
            answers = await run_batch(connection, group.plan, take, items, owner.query_timeout)
        for index, member in enumerate(self.members[: len(answers.results)]):
            member.tell(answers.errors.get(index) or _rows(answers, index, take))
        if answers.stopped_by is not None:
            raise answers.stopped_by

    def _driven(self, task: asyncio.Future[None]) -> None:
        if task.cancelled():
            self._end(interrupted=True)
        elif (error := task.exception()) is None:
            self._end()
        else:
            self._fail(error)

    def _fail(self, error: BaseException) -> None:
        """It was stopped by *error*, which is no single member's fault."""
        if isinstance(error, TimeoutError) and not isinstance(error, AcquireTimeout):
            self._tell_out_of_time(self._timed_out)
        else:
            connection, name = self.connection, self.group.owner.named(self.line)
            ours = error if connection is None else translated(error, connection, name)
            tell = self._tell_out_of_time if sqlstate(error) == QUERY_CANCELED else self._tell_all
            tell(lambda: copied(ours))
        self._end(interrupted=is_unfinished(error))

    def _end(self, *, interrupted: bool = False) -> None:
        owner = self.group.owner
        if self._operation is not None:
            self._operation.end(None)
        self.group.ended(self)
        connection = self.connection
        if connection is not None and not interrupted and owner.leases.is_clean(connection):
            owner.leases.pass_on(self, connection)
        else:
            owner.leases.settle(self, interrupted=interrupted)

    def _tell_out_of_time(self, make: Callable[[], BaseException]) -> None:
        """One caller may have taken the time of all: each then sends its statement alone, for it only reads."""
        self.is_out_of_time = True
        self._tell_all(make if len(self.members) == 1 else lambda: Again.ALONE)

    def _tell_all(self, make: Callable[[], Answer]) -> None:
        for member in self.members:
            if not member.wakeup.done():
                member.tell(make())

    def _timed_out(self) -> QueryTimeout:
        return query_timeout(self.group.owner.named(self.line), self.group.owner.query_timeout)


def _rows(answers: Answers, index: int, take: Take) -> list[Any]:
    result = answers.results[index]
    if take is Take.ROWS:
        rows: list[Any] = result
        return rows
    return [] if result is None else [result]


def copied(error: BaseException) -> BaseException:
    """The same error for one more caller: each adds its own traceback."""
    copy = type(error).__new__(type(error), *error.args)
    copy.__dict__.update(error.__dict__)
    copy.__cause__ = error.__cause__
    return copy
