"""The metrics of connection pools, by the conventions."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation

from dbpool.events import ConnectionOpened, Event
from dbpool.observing import Operation
from dbpool.stats import PoolStats
from dbpool.telemetry import conventions as names
from dbpool.telemetry.steady import steady_stats
from dbpool.waiter import Waiter

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool

Read = Callable[[PoolStats, "DatabasePool"], Iterable[tuple[int, dict[str, str]]]]


class Instruments:
    """The instruments of one meter, for all pools that are instrumented with it: each is made once."""

    def __init__(self, meter: Meter) -> None:
        self._pools: dict[str, weakref.ref[DatabasePool]] = {}
        self.durations = _histogram(
            meter, names.DB_CLIENT_OPERATION_DURATION, "Duration of database client operations."
        )
        self.create_time = _histogram(
            meter, names.DB_CLIENT_CONNECTION_CREATE_TIME, "The time it took to create a new connection."
        )
        self.wait_time = _histogram(
            meter, names.DB_CLIENT_CONNECTION_WAIT_TIME, "The time it took to obtain an open connection from the pool."
        )
        self.use_time = _histogram(
            meter,
            names.DB_CLIENT_CONNECTION_USE_TIME,
            "The time between borrowing a connection and returning it to the pool.",
        )
        for name, unit, description, read in _GAUGES:
            meter.create_observable_up_down_counter(name, [self._callback(read)], unit, description)
        meter.create_observable_counter(
            names.DB_CLIENT_CONNECTION_TIMEOUTS,
            [self._callback(lambda stats, _: [(stats.timeouts_total, {})])],
            "{timeout}",
            "The number of connection timeouts that have occurred trying to obtain a connection from the pool.",
        )

    def add(self, db: DatabasePool, name: str) -> str:
        """Have *db* read, as *name* or with a number behind it if another pool has that name; return the name."""
        taken = {each for each, pool in self._pools.items() if pool() is not None}
        unique, number = name, 2
        while unique in taken:
            unique, number = f"{name}-{number}", number + 1
        self._pools[unique] = weakref.ref(db)
        return unique

    def remove(self, name: str) -> None:
        self._pools.pop(name, None)

    def _callback(self, read: Read) -> Callable[[CallbackOptions], Iterable[Observation]]:
        def observe(_: CallbackOptions) -> Iterable[Observation]:
            found: list[Observation] = []
            for name, pool in list(self._pools.items()):
                db = pool()
                if db is not None:
                    attributes = {names.DB_CLIENT_CONNECTION_POOL_NAME: name}
                    found += [Observation(value, attributes | more) for value, more in read(steady_stats(db), db)]
            return found

        return observe


class ConnectionTimes:
    """An Observer that records the durations of one pool's connections."""

    def __init__(self, instruments: Instruments, name: str) -> None:
        self._instruments = instruments
        self._attributes = {names.DB_CLIENT_CONNECTION_POOL_NAME: name}

    def begun(self, operation: Operation) -> None:
        """An operation, not a connection."""

    def ended(self, operation: Operation, note: object, error: BaseException | None) -> None:
        """The same."""

    def waited(self, waiter: Waiter, seconds: float, *, in_vain: bool) -> None:  # noqa: ARG002 - an Observer's
        if not in_vain:
            self._instruments.wait_time.record(seconds, self._attributes)

    def used(self, waiter: Waiter, seconds: float) -> None:  # noqa: ARG002 - an Observer's
        self._instruments.use_time.record(seconds, self._attributes)

    def on_event(self, event: Event) -> None:
        if isinstance(event, ConnectionOpened):
            self._instruments.create_time.record(event.took_s, self._attributes)


def _histogram(meter: Meter, name: str, description: str) -> Histogram:
    # without bounds an SDK takes those for milliseconds
    return meter.create_histogram(name, "s", description, explicit_bucket_boundaries_advisory=names.BUCKETS_S)


_GAUGES: tuple[tuple[str, str, str, Read], ...] = (
    (
        names.DB_CLIENT_CONNECTION_COUNT,
        "{connection}",
        "The number of connections that are currently in state described by the `state` attribute.",
        lambda stats, _: [
            (stats.idle, {names.DB_CLIENT_CONNECTION_STATE: names.IDLE}),
            (max(0, stats.connections - stats.idle), {names.DB_CLIENT_CONNECTION_STATE: names.USED}),
        ],
    ),
    (
        names.DB_CLIENT_CONNECTION_IDLE_MAX,
        "{connection}",
        "The maximum number of idle open connections allowed.",
        lambda stats, _: [(stats.capacity, {})],
    ),
    (
        names.DB_CLIENT_CONNECTION_IDLE_MIN,
        "{connection}",
        "The minimum number of idle open connections allowed.",
        lambda _, db: [(db.settings.min_connections, {})],
    ),
    (
        names.DB_CLIENT_CONNECTION_MAX,
        "{connection}",
        "The maximum number of open connections allowed.",
        lambda stats, _: [(stats.capacity, {})],
    ),
    (
        names.DB_CLIENT_CONNECTION_PENDING_REQUESTS,
        "{request}",
        "The number of current pending requests for an open connection.",
        lambda stats, _: [(stats.waiting, {})],
    ),
)
