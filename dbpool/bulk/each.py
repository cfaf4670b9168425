"""A function for many items: bounded, in order, tried again, with the error of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Generic, TypedDict, TypeVar, Unpack

from dbpool.bulk.items import Source, source_of
from dbpool.bulk.map import Progress, Reporting, Value, one_of, refuse_unknown
from dbpool.bulk.window import results_of
from dbpool.core.pacing import Rate
from dbpool.core.retry import Backoff
from dbpool.errors import UsageError
from dbpool.gate import Gate
from dbpool.settings import LONGEST_S, positive_seconds, whole_number

T = TypeVar("T")
R = TypeVar("R")

AT_ONCE = 10
_RETRY = Backoff(first_s=0.1, cap_s=30.0)


class EachOptions(TypedDict, total=False):
    """Options of ``for_each``; see there."""

    at_once: int
    ordered: bool
    on_error: str
    retry: int
    timeout: float
    rate: Rate
    progress: Callable[[Progress], object]


@dataclass(slots=True)
class _Work(Generic[T, R]):
    """How *function* is called for each item."""

    function: Callable[[T], Awaitable[R]]
    source: Source[T]
    gate: Gate
    tries: int
    timeout: float | None
    begun: int = 0

    async def next_call(self) -> Coroutine[Any, Any, Value] | None:
        items = await self.source.take(1)
        self.begun += len(items)
        return self._call(items[0], self.begun) if items else None

    async def _call(self, item: T, number: int) -> Value:
        for tries in range(1, self.tries + 1):
            try:
                async with self.gate:
                    async with asyncio.timeout(self.timeout):
                        return Value(item, await self.function(item), None)
            except Exception as error:
                if tries == self.tries:
                    error.add_note(f"item {number}")
                    return Value(item, None, error)
            await asyncio.sleep(_RETRY.delay_s(tries, random.random()))
        raise AssertionError(self.tries)


def for_each(
    source: Iterable[T] | AsyncIterable[T],
    function: Callable[[T], Awaitable[Any]],
    **options: Unpack[EachOptions],
) -> AsyncIterator[Value]:
    """What an async *function* makes of each item, as in ``async for item, value, error in db.for_each(files, parse)``.

    At most *at_once* calls are under way, and the source is read only as fast as the results are, so that memory is
    bounded however long it is. A call that fails costs only its own item. Ending the loop early, or cancelling it,
    cancels the calls under way.

    Args:
        source: any iterable, async or not, such as ``db.stream(...)``.
        options: *at_once*: calls, 10. *ordered* (default): in the order of *source*, else as they end. *on_error*:
            ``"raise"`` (default) the first one, or ``"collect"`` it in the item. *retry*: calls for each item, 1;
            between them it waits with full jitter, up to 30 s. *timeout*: seconds for each call. *rate*: calls a
            second. *progress*: called with a ``Progress`` twice a second, and at the end.
    Raises: what *function* raises, with the item's number as a note; what *source* raises, after all results.
    """
    refuse_unknown(options, EachOptions)
    at_once = whole_number(options.get("at_once", AT_ONCE), "at_once", 1)
    timeout = options.get("timeout")
    collects = one_of(options.get("on_error", "raise"), "on_error", "raise", "collect") == "collect"
    if not callable(function):
        raise UsageError(f"for_each() calls a function with each item, and {function!r} cannot be called")
    work = _Work(
        function,
        source_of(source, "source"),
        Gate(at_once, rate=options.get("rate"), timeout=LONGEST_S, name="for_each()"),
        whole_number(options.get("retry", 1), "retry", 1),
        None if timeout is None else positive_seconds(timeout, "timeout"),
    )
    progress = Reporting(options.get("progress"), work.source)
    return _values(work, progress, at_once, ordered=options.get("ordered", True), collects=collects)


async def _values(
    work: _Work[Any, Any], progress: Reporting, at_once: int, *, ordered: bool, collects: bool
) -> AsyncIterator[Value]:
    try:
        async with aclosing(results_of(work.next_call, most=2 * at_once, ordered=ordered)) as values:
            async for value in values:
                progress.add(1, value.error is not None)
                if value.error is not None and not collects:
                    raise value.error
                yield value
        progress.end()
    finally:
        await work.source.aclose()
