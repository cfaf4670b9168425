"""What OpenTelemetry's own SDK collects of a pool, in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Unpack

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader, Metric
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from dbpool import DatabasePool
from dbpool.options import Options
from dbpool.telemetry import instrument
from tests.support.databases import Database
from tests.support.pools import pool_of


class Collected:
    """Spans as they end, metrics as they are read."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.traces = TracerProvider()
        self.traces.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])
        self.tracer = self.traces.get_tracer("a test")

    def spans(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def names(self) -> list[str]:
        return [span.name for span in self.spans()]

    def take(self) -> ReadableSpan:
        """The only span since the last time."""
        (span,) = self.spans()
        self._exporter.clear()
        return span

    def clear(self) -> None:
        self._exporter.clear()

    def metrics(self) -> dict[str, Metric]:
        data = self._reader.get_metrics_data()
        if data is None:
            return {}
        scopes = [scope for resource in data.resource_metrics for scope in resource.scope_metrics]
        return {metric.name: metric for scope in scopes for metric in scope.metrics}

    def points(self, name: str) -> list[tuple[dict[str, Any], Any]]:
        """Attributes and data point of each series."""
        metric = self.metrics().get(name)
        return [] if metric is None else [(dict(point.attributes or {}), point) for point in metric.data.data_points]

    def value(self, name: str, /, **where: str) -> Any:  # noqa: ANN401 - an int, or a histogram's point
        """Of the only series whose attributes end with these names and have these values."""
        found = [point for attributes, point in self.points(name) if _fits(attributes, where)]
        (point,) = found
        return getattr(point, "value", point)

    def close(self) -> None:
        self.traces.shutdown()
        self.meters.shutdown()


def _fits(attributes: Mapping[str, Any], where: Mapping[str, str]) -> bool:
    return all(
        any(name.rpartition(".")[2] == key and value == wanted for name, value in attributes.items())
        for key, wanted in where.items()
    )


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent_of(span: ReadableSpan, spans: Iterable[ReadableSpan]) -> ReadableSpan | None:
    """The one among *spans* that is its parent."""
    for each in spans:
        if span.parent is not None and each.context is not None and each.context.span_id == span.parent.span_id:
            return each
    return None


@asynccontextmanager
async def instrumented(
    database: Database,
    max_connections: int = 2,
    *,
    collected: Collected | None = None,
    record_parameters: bool = False,
    record_text: bool = True,
    **options: Unpack[Options],
) -> AsyncIterator[tuple[DatabasePool, Collected]]:
    """An open pool that is instrumented from then on."""
    found = collected or Collected()
    try:
        async with pool_of(database, max_connections, **options) as db:
            with instrument(
                db,
                tracer_provider=found.traces,
                meter_provider=found.meters,
                record_parameters=record_parameters,
                record_text=record_text,
            ):
                yield db, found
    finally:
        if collected is None:
            found.close()
