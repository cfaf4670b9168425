"""The items of ``map`` on their way: cut into batches, sent, tried again, answered."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from dbpool.bulk.access import Access
from dbpool.bulk.batch import QUERY_CANCELED, Answers, Result, Take, run_batch
from dbpool.bulk.files import TextRow
from dbpool.bulk.guard import BatchPlan, taking_text
from dbpool.bulk.items import Source
from dbpool.bulk.plans import Key
from dbpool.connection import PooledConnection, Record
from dbpool.core.batches import Form, Text, read
from dbpool.core.batchsize import BatchSize
from dbpool.core.columns import args_of
from dbpool.core.formtrial import FormTrial
from dbpool.core.jsontext import Kind
from dbpool.core.pacing import Pace, Rate
from dbpool.core.retry import Backoff, Verdict, verdict
from dbpool.core.statements import classify
from dbpool.errors import ConnectionLost, QueryTimeout, ServerUnavailable
from dbpool.faults import query_timeout, sqlstate, translated
from dbpool.observing import Asked
from dbpool.queries import mapper_of

FEW = 4  # so many items are sent before a plan would be there
SAMPLED = 500  # items that are read ahead, to plan with some from different places

_RETRY = Backoff(first_s=0.02, cap_s=1.0)


@dataclass(frozen=True, slots=True)
class How:
    """What ``map`` is told; see ``Lane.map``."""

    take: Take
    form: Form | None
    at_once: int
    batch: int
    retry: int
    timeout: float
    rate: Rate | None
    into: Callable[..., object] | None
    from_text: bool
    """The items' values are text, to be read as the server reads it."""
    finish: Callable[[Any], Any] | None
    """Makes an item's answer of the server's, before *into*."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Items with what became of them; *first* is the number of the first one, from 1."""

    first: int
    keys: list[object]
    answers: Answers


class Mapping:
    """One call of ``map``."""

    def __init__(self, access: Access, sql: str, text: Text, source: Source[object], how: How) -> None:
        self._access = access
        self._sql = sql
        self._key: Key = (sql, how.take is not Take.ROWS, how.form)
        self._text = text
        self._kinds: tuple[Kind, ...] | None = None  # of parameters that take text
        self._source = source
        self._how = how
        self._repeats = classify(sql, access.settings.trusted_functions).reads_only  # it may be sent once more
        self._slots = asyncio.Semaphore(how.at_once)
        most = how.batch if how.rate is None else max(1, min(how.batch, round(how.rate.n / how.rate.per / 20)))
        self._size = BatchSize(most)
        self._has_learned = asyncio.Event()  # from the batch that was begun last
        self._pace = None if how.rate is None else Pace(how.rate)
        self._ahead: deque[object] = deque()  # read, not sent
        self._read = 0
        self._plan: BatchPlan | None = None
        self._trial = FormTrial(Form.SINGLE, has_many=False)
        self._is_stale = False  # the plan

    async def next_batch(self) -> Coroutine[Any, Any, Batch] | None:
        """What runs the next batch; None when there is no more."""
        if self._plan is None or self._is_stale:
            if not self._ahead:
                self._ahead.extend(self._readable(await self._source.take(SAMPLED)))
            if not self._ahead:
                return None
            await self._find_plan()
        assert self._plan is not None
        if self._size.leaps:
            await self._has_learned.wait()
        self._has_learned.clear()
        size = self._plan.most_of(self._size.next())
        keys = [self._ahead.popleft() for _ in range(min(size, len(self._ahead)))]
        if not keys:
            keys = self._readable(await self._source.take(size))
        if not keys:
            return None
        await self._wait_due(len(keys))
        first, self._read = self._read + 1, self._read + len(keys)
        return self._run(first, keys)

    async def _find_plan(self) -> None:
        tries = 1
        while True:
            try:
                return await self._look_for_plan()
            except (ConnectionLost, ServerUnavailable):  # nothing was run, whatever the statement does
                if tries >= self._how.retry:
                    raise
            tries += 1
            await asyncio.sleep(_RETRY.delay_s(tries, random.random()))

    async def _look_for_plan(self) -> None:
        if self._how.from_text and self._kinds is None:
            async with self._access.asking(self._how.timeout) as connection:
                sql, self._kinds = await taking_text(connection, self._sql)
            self._text, self._key = read(sql), (sql, *self._key[1:])
            self._ahead = deque(self._readable([*self._ahead]))
        ahead, clock = self._ahead, self._access.leases.loop.time
        plan = self._access.plans.get(self._key, clock())
        is_few = plan is None and self._how.form is None and len(ahead) <= FEW
        if is_few:
            plan = BatchPlan.one_by_one(self._text, self._key[0], "there are only a few items")
        elif plan is None:
            samples = [args_of(ahead[at]) for at in sorted({0, len(ahead) // 2, len(ahead) - 1})]
            async with self._access.asking(self._how.timeout) as connection:
                plan = await self._access.plans.find(connection, self._key, self._text, samples, clock())
        self._plan, self._is_stale = plan, is_few  # whoever comes later may be more
        self._trial = FormTrial(plan.form, has_many=bool(plan.many))

    def _readable(self, keys: list[object]) -> list[object]:
        """The items as the parameters read them."""
        kinds = self._kinds
        if kinds is None:
            return keys
        return [key.read_as(kinds) if isinstance(key, TextRow) else key for key in keys]

    async def _wait_due(self, items: int) -> None:
        if self._pace is None:
            return
        clock = self._access.leases.loop.time
        due = clock()
        for _ in range(items):
            due = self._pace.next_at(due)
            self._pace.take(due, waited=True)
        await asyncio.sleep(due - clock())

    async def _run(self, first: int, keys: list[object]) -> Batch:
        answers = Answers()
        tries, most = 1, len(keys)
        async with self._slots:
            while (at := len(answers.results)) < len(keys):
                try:
                    answers.add(await self._send(keys[at : at + most]))
                except ServerUnavailable as error:
                    answers.stopped_by = error
                finally:
                    self._has_learned.set()
                if answers.stopped_by is None:
                    continue
                if self._may_try_again(answers, tries):
                    is_slow = _is_cancelled(answers.stopped_by)
                    most = max(1, answers.under_way // 2)
                    tries += not is_slow
                    await asyncio.sleep(0 if is_slow else _RETRY.delay_s(tries, random.random()))
                elif isinstance(answers.stopped_by, ServerUnavailable):
                    raise answers.stopped_by
                else:
                    if answers.under_way > 1:
                        last = first + len(answers.results) + answers.under_way - 1
                        answers.stopped_by.add_note(f"items {first + len(answers.results)} to {last}")
                    for _ in range(answers.under_way):
                        answers.fail(answers.stopped_by)
                answers.stopped_by = None
        return Batch(first, keys, answers)

    def _may_try_again(self, answers: Answers, tries: int) -> bool:
        error = answers.stopped_by
        if _is_cancelled(error):  # one may be the slow one; what the server cancelled, it undid
            return answers.under_way > 1 and (self._repeats or not isinstance(error, QueryTimeout))
        if tries >= self._how.retry:
            return False
        if isinstance(error, ServerUnavailable):
            return True
        if isinstance(error, ConnectionLost):
            return self._repeats
        return verdict(sqlstate(error)) is Verdict.RETRY_TRANSACTION if error is not None else False

    async def _send(self, keys: Sequence[object]) -> Answers:
        """Run the items *keys* on one connection, until something stops it."""
        plan = self._plan
        assert plan is not None
        timeout, clock = self._how.timeout, self._access.leases.loop.time
        lease = self._access.lease()
        async with lease as connection:
            form = self._trial.next()
            began = clock()
            with self._access.operation(Asked.PART, self._sql, size=len(keys)) as part:
                part.waiter = lease.holder
                answers = await run_batch(connection, plan.as_form(form), self._how.take, keys, timeout)
            self._learn(form, len(keys), answers, clock() - began)
            if answers.stopped_by is not None:
                answers.stopped_by = self._told(answers.stopped_by, connection)
        if self._how.finish is not None:
            self._each(answers, self._how.finish)
        if self._how.into is not None:
            self._map_into(answers, self._how.into)
        return answers

    def _learn(self, form: Form, items: int, answers: Answers, seconds: float) -> None:
        failed = bool(answers.errors) or answers.stopped_by is not None
        self._size.learn(items, answers.rows, seconds, failed=failed)
        if answers.halved and not failed:  # what fails together only: a column has another type, or is gone
            self._access.plans.forget(self._key)
            self._is_stale, self._kinds = True, None
        if not failed:
            self._trial.learn(form, items, seconds)

    def _told(self, error: Exception, connection: PooledConnection) -> Exception:
        """*error* as this package reports it."""
        if isinstance(error, TimeoutError):
            ours: BaseException = query_timeout(self._access.name, self._how.timeout)
            ours.__cause__ = error
        else:
            ours = translated(error, connection, self._access.name)
        assert isinstance(ours, Exception), ours
        return ours

    def _map_into(self, answers: Answers, into: Callable[..., object]) -> None:
        results: list[Result] = answers.results
        some = next((row for result in results for row in _rows(result)), None)
        if some is None:
            return
        mapped = mapper_of(into, some)
        takes_rows = self._how.take is Take.ROWS
        self._each(answers, (lambda rows: list(map(mapped, rows))) if takes_rows else mapped)

    def _each(self, answers: Answers, make: Callable[[Result], Result]) -> None:
        results: list[Result] = answers.results
        for index, result in enumerate(results):
            if result is None:
                continue
            try:
                results[index] = make(result)
            except Exception as error:
                answers.errors[index] = error


def _is_cancelled(error: Exception | None) -> bool:
    """Whether time was up for a statement: here, or for the server, or for who looks after it."""
    return isinstance(error, QueryTimeout) or (error is not None and sqlstate(error) == QUERY_CANCELED)


def _rows(result: Result) -> Sequence[Record]:
    if isinstance(result, list):
        return result
    return () if result is None else (result,)
