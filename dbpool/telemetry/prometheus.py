"""A collector for Prometheus, which reads pools' numbers when it is scraped."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

from dbpool.errors import UsageError
from dbpool.telemetry import needs
from dbpool.telemetry.buckets import Buckets
from dbpool.telemetry.counting import Counting
from dbpool.telemetry.series import EVENTS, GAUGES, LANE_GAUGES, LANE_TOTALS, NO_LANE, TOTALS, lanes_of
from dbpool.telemetry.steady import steady_stats

try:
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector
except ImportError as error:
    raise needs("prometheus-client", "prometheus", error) from error

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool
    from dbpool.stats import PoolStats


@dataclass(frozen=True, slots=True)
class _Watched:
    """A pool that is counted."""

    pool: weakref.ref[DatabasePool]
    counting: Counting
    end: Callable[[], object]


class PoolCollector(Collector):
    """The metrics of one pool or several, for ``REGISTRY.register(PoolCollector(db))``; needs ``dbpool[prometheus]``.

    Gauges and counters are read from the pool at each scrape; durations are counted from when this is made. Every
    series has the label ``pool``, its name; those of callers ``lane``, too, which is ``(none)`` for those who come by
    no lane. A registry takes one collector: make it with all pools, or ``add`` those that come later. A closed pool is
    told as it was closed, until it is removed or nobody has it any more.

    Args:
        pools: open or not.
    Raises:
        UsageError: a pool is there already.
    Example::

        from prometheus_client import REGISTRY
        REGISTRY.register(PoolCollector(db))
    """

    def __init__(self, *pools: DatabasePool) -> None:
        self._pools: dict[str, _Watched] = {}
        for pool in pools:
            self.add(pool)

    def add(self, db: DatabasePool) -> str:
        """Collect *db*, too; return its label: its name, with a number behind it if another pool has that name."""
        for name, watched in list(self._pools.items()):
            pool = watched.pool()
            if pool is db:
                raise UsageError(f"{db!r} is collected already, as {name!r}")
            if pool is None:
                del self._pools[name]
        name, number = db.settings.name, 2
        while name in self._pools:
            name, number = f"{db.settings.name}-{number}", number + 1
        counting = Counting()
        stops = (db.observing.add(counting), db.on_event(counting.on_event))
        end = weakref.finalize(self, _call_each, stops)  # a collector that no registry takes counts nothing any more
        end.atexit = False
        self._pools[name] = _Watched(weakref.ref(db), counting, end)
        return name

    def remove(self, db: DatabasePool) -> None:
        """Collect it no more; does nothing if it is not there."""
        for name, watched in list(self._pools.items()):
            if watched.pool() is db:
                del self._pools[name]
                watched.end()

    def describe(self) -> Iterable[Metric]:
        """The families without series, so that a registry takes only one collector of them."""
        return self._collected([])

    def collect(self) -> Iterable[Metric]:
        pools = [(name, watched.pool(), watched.counting) for name, watched in list(self._pools.items())]
        return self._collected([(name, steady_stats(db), db, told) for name, db, told in pools if db is not None])

    def _collected(self, pools: list[tuple[str, PoolStats, DatabasePool, Counting]]) -> Iterator[Metric]:
        for name, text, read in GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=["pool"], unit="seconds" if name.endswith("_seconds") else "")
            for pool, stats, db, _ in pools:
                gauge.add_metric([pool], read(stats, db))
            yield gauge
        connections = GaugeMetricFamily("dbpool_connections", "Connections open now.", labels=["pool", "state"])
        for pool, stats, _, _ in pools:
            connections.add_metric([pool, "idle"], stats.idle)
            connections.add_metric([pool, "used"], max(0, stats.connections - stats.idle))
        yield connections
        for name, text, of_lane in LANE_GAUGES:
            gauge = GaugeMetricFamily(name, text, labels=["pool", "lane"])
            for pool, stats, _, _ in pools:
                for lane, values in lanes_of(stats):
                    gauge.add_metric([pool, lane], of_lane(values))
            yield gauge
        yield from _counters(pools)
        yield from _histograms(pools)


def _call_each(functions: Iterable[Callable[[], object]]) -> None:
    for function in functions:
        function()


def _counters(pools: list[tuple[str, PoolStats, DatabasePool, Counting]]) -> Iterator[Metric]:
    for name, text, total in TOTALS:
        counter = CounterMetricFamily(name, text, labels=["pool"])
        for pool, stats, _, _ in pools:
            counter.add_metric([pool], total(stats))
        yield counter
    for name, text, kind in EVENTS:
        counter = CounterMetricFamily(name, text, labels=["pool"])
        for pool, _, _, told in pools:
            counter.add_metric([pool], told.events[kind])
        yield counter
    for name, text, of_lane in LANE_TOTALS:
        counter = CounterMetricFamily(name, text, labels=["pool", "lane"])
        for pool, stats, _, _ in pools:
            for lane, values in lanes_of(stats):
                counter.add_metric([pool, lane], of_lane(values))
        yield counter
    errors = CounterMetricFamily(
        "dbpool_operation_errors",
        "Operations that failed, by SQLSTATE or class of error.",
        labels=["pool", "lane", "error"],
    )
    for pool, _, _, told in pools:
        for (lane, error), count in list(told.errors.items()):
            errors.add_metric([pool, lane or NO_LANE, error], count)
    yield errors


def _histograms(pools: list[tuple[str, PoolStats, DatabasePool, Counting]]) -> Iterator[Metric]:
    waits = _family("dbpool_wait_seconds", "How long callers waited for a connection, also in vain.", "lane")
    uses = _family("dbpool_use_seconds", "How long a caller had a connection, its cleanup included.", "lane")
    durations = _family(
        "dbpool_operation_duration_seconds", "How long callers' operations took, with the wait.", "lane", "operation"
    )
    connects = _family("dbpool_connect_seconds", "How long it took to open a connection.")
    for pool, _, _, told in pools:
        for lane, buckets in list(told.waits.items()):
            _add(waits, [pool, lane or NO_LANE], buckets)
        for lane, buckets in list(told.uses.items()):
            _add(uses, [pool, lane or NO_LANE], buckets)
        for (lane, asked), buckets in list(told.durations.items()):
            _add(durations, [pool, lane or NO_LANE, asked.value], buckets)
        _add(connects, [pool], told.connects)
    yield from (waits, uses, durations, connects)


def _family(name: str, text: str, *labels: str) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, text, labels=["pool", *labels], unit="seconds")


def _in_words(bound: float) -> str:
    return "+Inf" if bound == inf else repr(bound)


def _add(family: HistogramMetricFamily, labels: list[str], buckets: Buckets) -> None:
    bounds = [(_in_words(bound), float(count)) for bound, count in buckets.cumulative()]
    family.add_metric(labels, bounds, buckets.total_s)
