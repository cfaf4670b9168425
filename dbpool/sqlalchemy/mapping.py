"""``map`` for statements of SQLAlchemy's: items become values, and rows what the types of their columns make."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Callable, Iterable, Iterator, Sized
from contextlib import aclosing
from pathlib import Path
from typing import Any

from dbpool.bulk import map as bulk
from dbpool.bulk.access import Access
from dbpool.bulk.batch import Take
from dbpool.bulk.files import TextRows
from dbpool.bulk.guard import BatchPlan
from dbpool.errors import StatementError, UsageError
from dbpool.sqlalchemy.many import ManyValues, many_values
from dbpool.sqlalchemy.results import Results


def mapped(
    access: Access,
    statement: object,
    items: object,
    take: Take,
    options: bulk.MapOptions,
) -> AsyncGenerator[Any]:
    """What ``Lane.map`` returns."""
    refuse_rows_of_files(items)
    if isinstance(items, AsyncIterable):
        return _of_async(access, statement, items, take, options)
    many, items = many_values(statement, checked(items))
    return _mapped(access, many, bound_items(many, items), take, options)


async def _of_async(
    access: Access, statement: object, items: AsyncIterable[Any], take: Take, options: bulk.MapOptions
) -> AsyncGenerator[Any]:
    """The same for items of which the first must be waited for."""
    iterator = aiter(items)
    try:
        first = await anext(iterator)
    except StopAsyncIteration:
        first = ()
    many = ManyValues(statement, first)

    async def bound() -> AsyncGenerator[Item]:
        if first != ():
            yield item_of(many, first)
        async for item in iterator:
            yield item_of(many, item)

    async with aclosing(_mapped(access, many, bound(), take, options)) as found:
        async for item in found:
            yield item


def _mapped(
    access: Access,
    many: ManyValues,
    items: Iterable[Item] | AsyncIterable[Item],
    take: Take,
    options: bulk.MapOptions,
) -> AsyncGenerator[Any]:
    collects = bulk.one_of(options.get("on_error", "raise"), "on_error", "raise", "collect") == "collect"
    options = {**options, "on_error": "collect"}  # so that the error of an item that could not be bound is known
    found = bulk.mapped(access, many.sql, items, take, finish=_finish(many.shape.results, take), **options)
    return _answers(found, collects=collects)


async def _answers(found: AsyncGenerator[Any], *, collects: bool) -> AsyncGenerator[Any]:
    """The answers with the items as they were given."""
    async with aclosing(found) as answers:
        async for answer in answers:
            item, error = answer.key, answer.error
            if error is not None and item.why is not None:
                for note in error.__notes__:  # which item it is
                    item.why.add_note(note)
                error = item.why
            if error is not None and not collects:
                raise error
            yield answer._replace(key=item.item, error=error)


async def explained(access: Access, statement: object, sample: object, take: Take) -> BatchPlan:
    """What ``Lane.explain_map`` returns."""
    refuse_rows_of_files(sample)
    many, items = many_values(statement, checked(sample))
    return await bulk.explained(access, many.sql, [many.args_of(item) for item in items], take)


def bound_job(statement: object, items: object) -> tuple[str, Iterable[Any]]:
    """A statement and its items as ``Lane.job`` takes them: text, and values."""
    refuse_rows_of_files(items)
    if isinstance(items, AsyncIterable):
        raise UsageError("a job of a statement of SQLAlchemy's takes items that need not be waited for")
    many, items = many_values(statement, checked(items))
    return many.sql, bound_items(many, items)


def _finish(results: Results, take: Take) -> Callable[[Any], Any] | None:
    """What makes the server's answer to one item that which its caller gets; None: it is that."""
    if not results.needs_work:
        return None
    if take is Take.ROWS:
        return results.rows
    return results.first_value if take is Take.VALUE else lambda row: results.rows([row])[0]


class Item(tuple[Any, ...]):  # noqa: SLOT001 - a tuple can have no slots of its own
    """The values of an item, or why there are none."""

    item: Any
    why: StatementError | None


class Unbound:
    """Stands for a value that could not be made, for it cannot be sent: so an item fails that has it."""


def item_of(many: ManyValues, item: object) -> Item:
    """*item* with its values."""
    try:
        made, why = Item(many.args_of(item)), None
    except StatementError as error:
        made, why = Item([Unbound()] * len(many.shape.slots)), error
    made.item, made.why = item, why
    return made


class _Items:
    """Items with their values, each time that they are read."""

    def __init__(self, many: ManyValues, items: Iterable[Any]) -> None:
        self._many = many
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        items = iter(self._items)
        try:
            for item in items:
                yield item_of(self._many, item)
        finally:
            close = getattr(items, "close", None)  # of a generator
            if close is not None:
                close()


class _CountedItems(_Items):
    """The same, where it is known how many there are."""

    def __init__(self, many: ManyValues, items: Iterable[Any], count: int) -> None:
        super().__init__(many, items)
        self._count = count

    def __len__(self) -> int:
        return self._count


def bound_items(many: ManyValues, items: Iterable[Any]) -> Iterable[Item]:
    """*items* with the values that the statement takes."""
    return _CountedItems(many, items, len(items)) if isinstance(items, Sized) else _Items(many, items)


def checked(items: object) -> Iterable[Any]:
    """Refuse what is no iterable of items.

    Raises:
        UsageError: it is none.
    """
    if isinstance(items, Iterable) and not isinstance(items, (str, bytes, bytearray)):
        return items
    raise UsageError(f"items must be an iterable or an async iterable, not {type(items).__name__}")


def refuse_rows_of_files(items: object) -> None:
    """Refuse what holds text alone: the values of a bind are of its type."""
    if isinstance(items, (Path, TextRows)):
        raise StatementError(
            "the rows of a file are text, as SQL text takes them: give SQL text, or read the file into values yourself"
        )
