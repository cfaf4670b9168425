"""Tells of statements that take long, and of long waits for a connection."""

from __future__ import annotations

from math import inf

from dbpool.events import Events, SlowAcquire, SlowQuery
from dbpool.observing import SENT, Observing, Operation
from dbpool.settings import PoolSettings
from dbpool.waiter import Waiter


def watch_slow(observing: Observing, settings: PoolSettings, events: Events) -> None:
    """Tell *events* what is slow by *settings*, if these say what is."""
    if settings.slow_query is not None or settings.slow_acquire is not None:
        observing.add(SlowWatch(settings, events))


class SlowWatch:
    """An Observer for ``slow_query`` and ``slow_acquire``."""

    def __init__(self, settings: PoolSettings, events: Events) -> None:
        self._events = events
        self._slow_query_s = inf if settings.slow_query is None else settings.slow_query
        self._slow_acquire_s = inf if settings.slow_acquire is None else settings.slow_acquire

    def begun(self, operation: Operation) -> None:
        """Its time is looked at when it is over."""

    def ended(self, operation: Operation, note: object, error: BaseException | None) -> None:  # noqa: ARG002 - an Observer's
        took_s = operation.ran_s
        if took_s <= self._slow_query_s or operation.asked not in SENT:
            return
        waited_s = operation.waited_s
        if waited_s is not None:  # else it never ran, or others had it run with theirs, which is told apart
            self._events.tell(SlowQuery(operation.sql, took_s, waited_s, operation.where, operation.line.name))

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:  # noqa: ARG002 - as above
        if seconds > self._slow_acquire_s:
            self._events.tell(SlowAcquire(seconds, str(waiter.site), waiter.line.name))

    def used(self, waiter: Waiter, seconds: float) -> None:
        """How long somebody holds a connection is ``leak_after``'s business."""
