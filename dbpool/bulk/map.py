"""The same statement for many items: batched where that is proven to give the same, never more than fits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple, TypedDict, Unpack

from dbpool.bulk.access import Access
from dbpool.bulk.batch import Take
from dbpool.bulk.files import TextRow, TextRows, rows_of
from dbpool.bulk.guard import BatchPlan, examine, taking_text
from dbpool.bulk.items import Source, source_of
from dbpool.bulk.mapping import How, Mapping
from dbpool.bulk.window import results_of
from dbpool.core.batches import Form, read
from dbpool.core.columns import args_of
from dbpool.core.pacing import Rate
from dbpool.errors import BulkFailed, UsageError
from dbpool.executable import Executable, sqlalchemys
from dbpool.observing import Asked, Operation
from dbpool.queries import check_statement
from dbpool.settings import positive_seconds, whole_number

MOST_AT_ONCE = 4  # connections: more only wait for each other on a server's processors
BATCH = 500  # items: nothing is gained beyond
PROGRESS_EVERY_S = 0.5


class Rows(NamedTuple):
    """An item of ``map`` with all its rows, or the error that it met."""

    key: Any
    rows: list[Any]
    error: Exception | None


class Row(NamedTuple):
    """An item of ``map_row`` with its first row, None if it has none, or the error that it met."""

    key: Any
    row: Any
    error: Exception | None


class Value(NamedTuple):
    """An item of ``map_val`` with the first column of its first row, or the error that it met."""

    key: Any
    value: Any
    error: Exception | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far bulk work has come; *total* is None where nobody knows."""

    items: int
    failed: int
    total: int | None
    seconds: float

    @property
    def per_s(self) -> float:
        """Items a second since it began."""
        return self.items / self.seconds if self.seconds else 0.0

    @property
    def left_s(self) -> float | None:
        """Seconds until its end, as it went so far; None where nobody knows."""
        return None if self.total is None or not self.items else (self.total - self.items) / self.per_s


class MapOptions(TypedDict, total=False):
    """Options of ``map``; see there."""

    ordered: bool
    at_once: int
    on_error: str
    form: Form | str
    retry: int
    timeout: float
    rate: Rate
    batch: int
    progress: Callable[[Progress], object]
    into: Callable[..., Any]


_CLASSES: dict[Take, Callable[[Any, Any, Exception | None], Any]] = {
    Take.ROWS: Rows,
    Take.ROW: Row,
    Take.VALUE: Value,
}


def mapped(
    access: Access,
    sql: str | Executable,
    items: Iterable[Any] | AsyncIterable[Any] | Path,
    take: Take,
    *,
    finish: Callable[[Any], Any] | None = None,
    **options: Unpack[MapOptions],
) -> AsyncGenerator[Any]:
    """What ``Lane.map`` returns; *finish* makes an item's answer of the server's."""
    if not isinstance(sql, str):
        answers: AsyncGenerator[Any] = sqlalchemys(sql).mapped(access, sql, items, take, options)
        return answers
    check_statement(sql, (), access.settings.trusted_functions)
    refuse_unknown(options, MapOptions)
    if isinstance(items, Path):
        items = rows_of(items)
    how = _how(access, take, options, from_text=isinstance(items, TextRows), finish=finish)
    collects = one_of(options.get("on_error", "raise"), "on_error", "raise", "collect") == "collect"
    source = source_of(items)
    progress = Reporting(options.get("progress"), source)
    return _answers(
        Mapping(access, sql, read(sql), source, how),
        source,
        how,
        progress,
        access.operation(Asked.MAP, sql),
        ordered=options.get("ordered", True),
        collects=collects,
    )


async def _answers(
    mapping: Mapping,
    source: Source[Any],
    how: How,
    progress: Reporting,
    operation: Operation,
    *,
    ordered: bool,
    collects: bool,
) -> AsyncGenerator[Any]:
    make = _CLASSES[how.take]
    with operation:
        try:
            async with aclosing(results_of(mapping.next_batch, most=2 * how.at_once, ordered=ordered)) as batches:
                async for batch in batches:
                    answers = batch.answers
                    progress.add(len(batch.keys), len(answers.errors))
                    if not answers.errors:
                        for item in map(make, batch.keys, answers.results, repeat(None)):
                            yield item
                        continue
                    for index, (key, result) in enumerate(zip(batch.keys, answers.results, strict=True)):
                        error = answers.errors.get(index)
                        if error is not None:
                            if not hasattr(error, "__notes__"):  # not one that several items have
                                error.add_note(getattr(key, "where", f"item {batch.first + index}"))
                            if not collects:
                                raise error
                            result = [] if how.take is Take.ROWS else None
                        yield make(key, result, error)
            progress.end()
        finally:
            operation.size = progress.items
            await source.aclose()


class Reporting:
    """Tells how far it has come, twice a second at the most, then once more at the end."""

    def __init__(self, tell: Callable[[Progress], object] | None, source: Source[Any]) -> None:
        if tell is not None and not callable(tell):
            raise UsageError(f"progress= is a function that takes a Progress, not {tell!r}")
        self._tell = tell
        self._source = source
        self._clock = asyncio.get_running_loop().time
        self._began = self._told_at = self._clock()
        self.items = self._failed = 0

    def add(self, items: int, failed: int) -> None:
        self.items += items
        self._failed += failed
        if self._tell is not None and self._clock() - self._told_at >= PROGRESS_EVERY_S:
            self.end()

    def end(self) -> None:
        if self._tell is not None:
            self._told_at = self._clock()
            self._tell(Progress(self.items, self._failed, self._source.total, self._told_at - self._began))


async def all_rows(
    access: Access,
    sql: str | Executable,
    items: Iterable[Any] | AsyncIterable[Any] | Path,
    **options: Unpack[MapOptions],
) -> list[Any]:
    """What ``Lane.fetch_all`` returns."""
    options |= {"on_error": "collect", "ordered": True}
    found: list[Rows] = [item async for item in mapped(access, sql, items, Take.ROWS, **options)]
    failures = {index: item.error for index, item in enumerate(found) if item.error is not None}
    if failures:
        first, error = next(iter(failures.items()))
        raise BulkFailed(
            f"{len(failures)} of {len(found)} items failed, the first of them item {first + 1}: "
            f"{type(error).__name__}: {error}. What the others gave is in this error's rows.",
            rows=[None if item.error is not None else item.rows for item in found],
            failures=failures,
        ) from error
    return [item.rows for item in found]


async def text_statement(access: Access, sql: str) -> str:
    """What ``Lane.taking_text`` returns."""
    async with access.asking(access.settings.query_timeout) as connection:
        return (await taking_text(connection, sql))[0]


async def explained(access: Access, sql: str | Executable, sample: Iterable[Any], take: Take = Take.ROWS) -> BatchPlan:
    """What ``Lane.explain_map`` returns."""
    if not isinstance(sql, str):
        plan: BatchPlan = await sqlalchemys(sql).explained(access, sql, sample, take)
        return plan
    check_statement(sql, (), access.settings.trusted_functions)
    samples = [args_of(key) for key in sample]
    async with access.asking(access.settings.query_timeout) as connection:
        if any(isinstance(args, TextRow) for args in samples):
            sql, kinds = await taking_text(connection, sql)
            samples = [args.read_as(kinds) if isinstance(args, TextRow) else args for args in samples]
        return await examine(connection, sql, read(sql), samples, first_row=take is not Take.ROWS, asked=None)


def _how(
    access: Access, take: Take, options: MapOptions, *, from_text: bool, finish: Callable[[Any], Any] | None
) -> How:
    rate, form, into = options.get("rate"), options.get("form"), options.get("into")
    if rate is not None and not isinstance(rate, Rate):
        raise UsageError(f"rate must be a Rate, as Rate(500, per=60), not {rate!r}")
    if into is not None and not callable(into):
        raise UsageError(f"into= is a type, or a function that takes a row's columns, not {into!r}")
    if into is not None and take is Take.VALUE:
        raise UsageError("into= is for rows: map_val gives one value of an item; map_row gives its first row")
    most = access.most
    at_once = whole_number(options.get("at_once", min(MOST_AT_ONCE, most)), "at_once", 1)
    timeout = options.get("timeout")
    return How(
        take=take,
        form=None if form is None else _form(form),
        at_once=min(at_once, most),
        batch=whole_number(options.get("batch", BATCH), "batch", 1),
        retry=whole_number(options.get("retry", 3), "retry", 1),
        timeout=access.settings.query_timeout if timeout is None else positive_seconds(timeout, "timeout"),
        rate=rate,
        into=into,
        from_text=from_text,
        finish=finish,
    )


def _form(form: Form | str) -> Form:
    if isinstance(form, Form):
        return form
    return Form[one_of(form, "form", *(each.name.lower() for each in Form)).upper()]


def refuse_unknown(names: Iterable[str], options: type) -> None:
    """Refuse names that are none of *options*, a TypedDict."""
    known = options.__annotations__
    for name in names:
        if name not in known:
            raise UsageError(f"there is no option {name}=; there are {', '.join(f'{each}=' for each in known)}")


def one_of(value: str, what: str, *allowed: str) -> str:
    """Refuse a word that is none of those allowed."""
    if value not in allowed:
        raise UsageError(f"{what} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
    return value
