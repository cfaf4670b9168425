"""Rows in the order of a key, sorted without keeping the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from heapq import merge
from itertools import islice
from operator import itemgetter
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from dbpool.errors import StatementError

if TYPE_CHECKING:
    from _typeshed import SupportsRichComparison

Row: TypeAlias = Sequence[object]
SortBy: TypeAlias = "int | Callable[[Row], SupportsRichComparison]"

_AT_ONCE: Final = 2048  # sorted in about a millisecond


async def in_order(rows: Iterable[Row], sort_by: SortBy) -> Iterable[Row]:
    """All *rows* in the order of *sort_by*, equal ones in the order in which they came.

    What *rows* or a caller's key raise comes out as it is, here or while the result is read.

    Raises:
        StatementError: *sort_by* is no index that every row has, or there are NULLs among what it would sort by.
    """
    key = _key_of(sort_by)
    source = iter(rows)
    runs = []
    while run := list(islice(source, _AT_ONCE)):
        try:
            run.sort(key=key)
        except (LookupError, TypeError) as error:
            if callable(sort_by):
                raise
            raise StatementError(
                f"sort_by={sort_by} cannot order the rows: {error}; give a function that makes something comparable of "
                f"each row, NULLs included"
            ) from error
        runs.append(run)
        await asyncio.sleep(0)
    return merge(*runs, key=key)


def _key_of(sort_by: SortBy) -> Callable[[Row], SupportsRichComparison]:
    if callable(sort_by):
        return sort_by
    if isinstance(sort_by, bool) or not isinstance(sort_by, int):
        raise StatementError(f"sort_by must be the index of a parameter, from 0, or a function, not {sort_by!r}")
    return cast("Callable[[Row], SupportsRichComparison]", itemgetter(sort_by))
