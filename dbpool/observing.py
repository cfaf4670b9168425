"""What callers do with a pool, told to whoever measures it: spans, histograms, slow statements."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from enum import Enum
from typing import Protocol, Self, TypeVar

from dbpool.core.permits import WAITING, Line
from dbpool.sites import Site, Sites
from dbpool.waiter import Waiter

log = logging.getLogger("dbpool")

T = TypeVar("T")


class Asked(Enum):
    """What a caller asked for."""

    STATEMENT = "statement"  # one, once
    EXECUTEMANY = "executemany"
    COPY = "copy"
    STREAM = "stream"
    TRANSACTION = "transaction"  # a block, in which statements are asked for
    MAP = "map"
    JOB = "job"
    INSERT = "insert"
    UPSERT = "upsert"
    UPDATE = "update"
    LOAD = "load"
    EXPORT = "export"
    PART = "part"  # what one of the six above sends at a time, or a batch of callers: nobody asked for it by itself


SENT = frozenset({Asked.STATEMENT, Asked.EXECUTEMANY, Asked.COPY, Asked.PART})
"""Those that are one exchange with the server, so that their time is the server's."""


READ_BY_CALLER = frozenset({Asked.STREAM, Asked.MAP})
"""Those whose caller may leave the loop early, which is no error."""


class Observer(Protocol):
    """Measures; called in the event loop, between two steps of the pool. What it raises is logged, and costs nobody."""

    def begun(self, operation: Operation) -> object:
        """*operation* begins, in its caller's task and context; what is returned is given back at its end."""

    def ended(self, operation: Operation, note: object, error: BaseException | None) -> None:
        """It is over, once, however it ended; *error* is what its caller sees."""

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:
        """A caller has waited for a connection, and has one now, or gave up."""

    def used(self, waiter: Waiter, seconds: float) -> None:
        """A connection is free for the next one, its cleanup included."""


class Observing:
    """Who observes a gate, and all that hangs on it. The code that is observed asks ``observers`` whether anybody does.

    There is no cost where nobody does but for that test.
    """

    __slots__ = ("clock", "observers", "sites")

    def __init__(self, sites: Sites) -> None:
        self.observers: tuple[Observer, ...] = ()
        self.sites = sites
        self.clock: Callable[[], float] = time.monotonic  # the loop's, once there is one

    def add(self, observer: Observer) -> Callable[[], None]:
        """Have *observer* told from now on, until what this returns is called; what has begun is still ended."""
        self.observers += (observer,)

        def remove() -> None:
            self.observers = tuple(each for each in self.observers if each is not observer)

        return remove

    def obtained(self, waiter: Waiter) -> None:
        """*waiter*, if a caller's, has its connection."""
        if waiter.got_at is None and waiter.site is not None:  # had it one, this is another in place of a lost one
            waiter.got_at = now = self.clock()
            self.waited(waiter, now - waiter.asked_at, in_vain=False)

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:
        """*waiter* waits no more."""
        for observer in self.observers:
            try:
                observer.waited(waiter, seconds, in_vain=in_vain)
            except Exception as error:
                _failed(observer, error)

    def left(self, waiter: Waiter, now: float) -> None:
        """*waiter* is about to leave its line, or gives its permit back."""
        if waiter.place is WAITING:
            if waiter.site is not None:
                self.waited(waiter, now - waiter.asked_at, in_vain=True)
        elif waiter.got_at is not None:
            for observer in self.observers:
                try:
                    observer.used(waiter, now - waiter.got_at)
                except Exception as error:
                    _failed(observer, error)


class Operation:
    """Something that a caller asked for, from its begin to its end: a context manager in the caller's task."""

    __slots__ = (
        *("_notes", "args", "began_at", "ended_at", "asked", "line"),
        *("observing", "site", "size", "sql", "table", "waiter"),
    )

    def __init__(
        self,
        observing: Observing,
        asked: Asked,
        line: Line,
        site: Site | None,
        sql: str = "",
        args: Sequence[object] = (),
        *,
        table: str = "",
        size: int | None = None,
    ) -> None:
        self.observing = observing
        self.asked = asked
        self.line = line
        self.site = site
        self.sql = sql
        self.args = args
        self.table = table  # its name, where the caller gave one
        self.size = size  # statements in one, rows: as far as known at its end
        self.waiter: Waiter | None = None  # who waits, or waited, for its connection
        self._notes: list[tuple[Observer, object]] | None = None  # while it lasts

    @property
    def waited_s(self) -> float | None:
        """For how long it waited for its connection; None: it got none."""
        waiter = self.waiter
        if waiter is None:
            return 0.0
        return None if waiter.got_at is None else waiter.got_at - waiter.asked_at

    @property
    def took_s(self) -> float:
        """All of it, waiting included, where it began with that."""
        return self.ended_at - self.began_at

    @property
    def ran_s(self) -> float:
        """From when it had its connection."""
        got_at = None if self.waiter is None else self.waiter.got_at
        return self.ended_at - (self.began_at if got_at is None else max(self.began_at, got_at))

    @property
    def where(self) -> str:
        """Where in the program it was asked for."""
        return "" if self.site is None else str(self.site)

    def begin(self) -> Self:
        """Does nothing if it has begun, and is not over."""
        if self._notes is not None:
            return self
        self.began_at = self.observing.clock()
        self._notes = []
        for observer in self.observing.observers:
            try:
                self._notes.append((observer, observer.begun(self)))
            except Exception as error:
                _failed(observer, error)
        return self

    def end(self, error: BaseException | None) -> None:
        """Does nothing if it is over, or never began."""
        notes, self._notes = self._notes, None
        if notes is None:
            return
        if isinstance(error, GeneratorExit) and self.asked in READ_BY_CALLER:
            error = None
        self.ended_at = self.observing.clock()
        for observer, note in notes:
            try:
                observer.ended(self, note, error)
            except Exception as failure:  # not `error`, which the next observer is to be told
                _failed(observer, failure)

    def __enter__(self) -> Self:
        return self.begin()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        self.end(error)


class Block(Operation):
    """One that lasts until its caller ends it, or has let go of it without a word."""

    __slots__ = ("loop",)

    def begin(self) -> Self:
        """In the event loop that it belongs to."""
        self.loop = asyncio.get_running_loop()
        return super().begin()

    def __del__(self) -> None:
        if self._notes is not None:
            try:  # this may be any thread
                self.loop.call_soon_threadsafe(self.end, GeneratorExit("nobody has it any more"))
            except Exception:  # noqa: S110 - the loop is closed, or Python ends
                pass


async def observed(operation: Operation, answer: Awaitable[T]) -> T:
    """Await *answer* as *operation*."""
    with operation:
        return await answer


async def observed_from(operation: Operation, begin: Callable[[], Awaitable[T]]) -> T:
    """The same for what is begun with the call: it may fail then, and its caller's place in line is taken."""
    with operation:
        return await begin()


def _failed(observer: Observer, error: Exception) -> None:
    """Log what an observer has raised."""
    log.error("%s failed", type(observer).__name__, exc_info=error)
