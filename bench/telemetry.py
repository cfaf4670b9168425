"""What it costs to be watched: point lookups of one pool with and without telemetry, in turn."""

from __future__ import annotations

import asyncio
import gc
import random
import time
from collections.abc import Callable, Iterator, Mapping
from statistics import median
from typing import Any, Final

from bench import process
from bench.contenders import CONNECTIONS, SQL
from bench.database import ROWS
from bench.order import order_of_round
from bench.process import progress
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge
from dbpool import DatabasePool
from dbpool.settings import PoolSettings
from dbpool.slowness import watch_slow

PROCESSES: Final = 2  # where the system puts client and server is settled by chance when they start
SDK: Final = Target(at_most=30.0, unit=" µs")
OFF: Final = "off"
LABELS: Final = {
    OFF: "nothing",
    "slow": "slow_query and slow_acquire",
    "prometheus": "a Prometheus collector",
    "api": "OpenTelemetry's API, no SDK",
    "sdk": "OpenTelemetry's SDK, spans and metrics in memory",
    "spans": "the SDK's spans, Prometheus for metrics",
}


def measure_rounds(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """The blocks of several processes.

    Args:
        request: ``dsn``, ``label``, ``rounds`` (together), ``lookups`` (a block).
    Returns: ``blocks``: for each mode CPU µs a call and lookups a second, a round at the same place in each.
    """
    blocks: dict[str, list[list[float]]] = {mode: [] for mode in LABELS}
    for number in range(PROCESSES):
        progress(f"{request['label']}: telemetry, {number + 1} of {PROCESSES}")
        asked = {**request, "rounds": -(-request["rounds"] // PROCESSES)}
        for mode, seen in process.measure("telemetry", asked, loop=loop).items():
            blocks[mode] += seen
    return {"blocks": blocks}


async def measure(request: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """CPU µs a call, and lookups a second, of each block of each mode."""
    async with DatabasePool(request["dsn"], CONNECTIONS, min_connections=CONNECTIONS) as db:
        modes = _modes(db)
        seen: dict[str, list[tuple[float, float]]] = {mode: [] for mode in modes}
        for number in range(-1, request["rounds"]):
            for mode in order_of_round(list(modes), number):
                end = modes[mode]()
                gc.collect()
                figures = await _block(db, request["lookups"])
                end()
                if number >= 0:  # else a warm-up
                    seen[mode].append(figures)
        return seen


async def _block(db: DatabasePool, lookups: int) -> tuple[float, float]:
    keys = iter([random.randrange(1, ROWS + 1) for _ in range(lookups)])

    async def work() -> None:
        for key in keys:
            await db.fetchrow(SQL, key)

    started, cpu = time.perf_counter(), time.process_time()
    await asyncio.gather(*(work() for _ in range(TARGET_TASKS)))
    cpu_s, elapsed_s = time.process_time() - cpu, time.perf_counter() - started
    return cpu_s / lookups * 1e6, lookups / elapsed_s


def _modes(db: DatabasePool) -> dict[str, Callable[[], Callable[[], object]]]:
    """How to begin each; what that returns ends it."""
    from opentelemetry.metrics import NoOpMeterProvider
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    from opentelemetry.trace import NoOpTracerProvider

    from dbpool.telemetry import instrument
    from dbpool.telemetry.prometheus import PoolCollector

    exporter, traces = InMemorySpanExporter(), TracerProvider()
    traces.add_span_processor(SimpleSpanProcessor(exporter))
    meters = MeterProvider([InMemoryMetricReader()])
    slow = PoolSettings.from_mapping({"dsn": db.dsn, "slow_query": 10.0, "slow_acquire": 10.0})

    def is_slow() -> Callable[[], object]:
        before = db.observing.observers
        watch_slow(db.observing, slow, db._events)  # noqa: SLF001 - as the setting does
        return lambda: setattr(db.observing, "observers", before)

    def collected() -> Callable[[], object]:
        collector = PoolCollector(db)
        return lambda: collector.remove(db)

    def of_api() -> Callable[[], object]:
        return instrument(db, tracer_provider=NoOpTracerProvider(), meter_provider=NoOpMeterProvider()).uninstrument

    def of_sdk() -> Callable[[], object]:
        told = instrument(db, tracer_provider=traces, meter_provider=meters)
        return lambda: (told.uninstrument(), exporter.clear())

    def of_spans() -> Callable[[], object]:
        told, end = instrument(db, tracer_provider=traces, meter_provider=NoOpMeterProvider()), collected()
        return lambda: (told.uninstrument(), end(), exporter.clear())

    return {
        OFF: lambda: lambda: None,
        "slow": is_slow,
        "prometheus": collected,
        "api": of_api,
        "sdk": of_sdk,
        "spans": of_spans,
    }


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    columns = ("loop", "watched by", "lookups/s", "of those unwatched", "CPU/call", "more than unwatched")
    rows = []
    for loop, measured in results.items():
        for mode, seen in measured["blocks"].items():
            cpu_us, per_s = (median(each[figure] for each in seen) for figure in (0, 1))
            ratio = median(mine[1] / off[1] for mine, off in zip(seen, measured["blocks"][OFF], strict=True))
            more = "" if mode == OFF else f"{_more_us(measured, mode):+.1f} µs"
            rows.append((loop, LABELS[mode], f"{per_s:,.0f}", f"{ratio:.2f} x", f"{cpu_us:.1f} µs", more))
    yield Table(f"Telemetry: point lookups, {TARGET_TASKS} tasks", columns, rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        what = f"{loop}, {TARGET_TASKS} tasks: spans and metrics of a call by the SDK"
        yield judge(what, _more_us(measured, "sdk"), SDK)


def _more_us(measured: Mapping[str, Any], mode: str) -> float:
    """The median, over the rounds, of what a call takes more than one that nobody watches."""
    blocks = measured["blocks"]
    return median(mine[0] - off[0] for mine, off in zip(blocks[mode], blocks[OFF], strict=True))
