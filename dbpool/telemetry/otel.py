"""OpenTelemetry for a pool: spans, durations and the metrics of its connections."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from opentelemetry import metrics, trace
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

import dbpool
from dbpool.errors import UsageError
from dbpool.telemetry.conventions import SCHEMA_URL
from dbpool.telemetry.described import Describer
from dbpool.telemetry.meters import ConnectionTimes, Instruments
from dbpool.telemetry.spans import Spans

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool

_instruments: weakref.WeakKeyDictionary[MeterProvider, Instruments] = weakref.WeakKeyDictionary()
_instrumented: weakref.WeakSet[DatabasePool] = weakref.WeakSet()


class Instrumentation:
    """What ``instrument`` returns; ``uninstrument``, or the end of a ``with`` block, ends it."""

    def __init__(
        self,
        db: DatabasePool,
        tracer_provider: TracerProvider | None,
        meter_provider: MeterProvider | None,
        *,
        record_parameters: bool,
        record_text: bool,
    ) -> None:
        if db in _instrumented:
            raise UsageError(f"{db!r} is instrumented already: uninstrument() ends that")
        tracer = trace.get_tracer("dbpool", dbpool.__version__, tracer_provider, SCHEMA_URL)
        instruments = _instruments_of(meter_provider or metrics.get_meter_provider())
        self.pool_name = instruments.add(db, db.settings.name)
        """``db.client.connection.pool.name``: the pool's, with a number behind it if another pool has that name."""
        times = ConnectionTimes(instruments, self.pool_name)
        spans = Spans(
            tracer,
            instruments.durations,
            Describer(db.dsn, record_text=record_text),
            record_parameters=record_parameters,
        )
        self._db = db
        self._ends: list[Callable[[], object]] = [
            db.observing.add(spans),
            db.observing.add(times),
            db.on_event(times.on_event),
            lambda: instruments.remove(self.pool_name),
            lambda: _instrumented.discard(db),
        ]
        _instrumented.add(db)

    def uninstrument(self) -> None:
        """Tell no more; spans of what is under way still end. Does nothing the second time."""
        ends, self._ends = self._ends, []
        for end in ends:
            end()

    def __enter__(self) -> Instrumentation:
        return self

    def __exit__(self, *_: object) -> None:
        self.uninstrument()


def _instruments_of(provider: MeterProvider) -> Instruments:
    found = _instruments.get(provider)
    if found is None:
        meter = metrics.get_meter("dbpool", dbpool.__version__, provider, SCHEMA_URL)
        found = _instruments[provider] = Instruments(meter)
    return found
