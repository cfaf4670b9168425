"""What Prometheus reads of real pools: valid, complete, apart."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from dbpool import AcquireTimeout, DatabasePool, UsageError
from dbpool.telemetry.buckets import BOUNDS_S, Buckets
from dbpool.telemetry.prometheus import PoolCollector
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of

Scraped = Callable[..., float]


def scraped(registry: CollectorRegistry) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """All samples, read back from the text by the parser of OpenMetrics."""
    text = openmetrics(registry).decode()  # type: ignore[no-untyped-call]
    families = text_string_to_metric_families(text)  # type: ignore[no-untyped-call]
    samples = [sample for family in families for sample in family.samples]
    found = {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
    assert len(found) == len(samples), "a series is there twice"
    return found


def reader(registry: CollectorRegistry) -> Scraped:
    found = scraped(registry)

    def value(name: str, **labels: str) -> float:
        return found[name, frozenset(labels.items())]

    return value


async def test_gauges_counters_and_durations_are_what_happened(database: Database) -> None:
    registry = CollectorRegistry()
    async with pool_of(database, 2, name="shop", slow_acquire=0.01) as db:
        registry.register(PoolCollector(db))
        batch = db.lane("batch", at_most=1, reserved=1)
        async with held(batch), held(db):
            with pytest.raises(AcquireTimeout):
                await batch.fetchval("select 1", timeout=0.05)
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await becomes(lambda: db.stats().waiting)
            value = reader(registry)
            assert value("dbpool_held", pool="shop", lane="batch") == 1
            assert value("dbpool_held", pool="shop", lane="(none)") == 1
            assert value("dbpool_waiting", pool="shop", lane="(none)") == 1
            assert value("dbpool_connections", pool="shop", state="used") == 2
            assert value("dbpool_max_connections", pool="shop") == 2
            assert value("dbpool_lane_reserved", pool="shop", lane="batch") == 1
            assert value("dbpool_oldest_wait_seconds", pool="shop") > 0
        await waiting
        with pytest.raises(Exception, match="nowhere"):
            await db.fetch("select * from nowhere")
        await db.executemany("select $1::int", [(1,), (2,)])
        async with db.transaction() as tx:
            await tx.execute("select 1")
        value = reader(registry)
    assert value("dbpool_acquire_timeouts_total", pool="shop", lane="batch") == 1
    assert value("dbpool_acquires_total", pool="shop", lane="batch") == 1
    assert value("dbpool_slow_acquires_total", pool="shop") >= 2  # a connect may be slow, too
    assert value("dbpool_operation_errors_total", pool="shop", lane="(none)", error="42P01") == 1
    assert value("dbpool_operation_errors_total", pool="shop", lane="batch", error="AcquireTimeout") == 1
    assert value("dbpool_wait_seconds_count", pool="shop", lane="batch") == 2
    assert value("dbpool_wait_seconds_sum", pool="shop", lane="batch") >= 0.05
    assert value("dbpool_wait_seconds_bucket", pool="shop", lane="batch", le="30.0") == 2
    assert value("dbpool_wait_seconds_bucket", pool="shop", lane="batch", le="+Inf") == 2
    assert value("dbpool_use_seconds_count", pool="shop", lane="(none)") == 5
    statements = {"pool": "shop", "lane": "(none)", "operation": "statement"}
    assert value("dbpool_operation_duration_seconds_count", **statements) == 3
    with pytest.raises(KeyError):
        value("dbpool_operation_duration_seconds_count", **statements | {"operation": "transaction"})
    assert value("dbpool_operation_duration_seconds_count", **statements | {"operation": "executemany"}) == 1
    assert value("dbpool_connect_seconds_count", pool="shop") == 1  # one was there before


async def test_several_pools_stand_side_by_side_in_one_collector(database: Database) -> None:
    registry = CollectorRegistry(auto_describe=True)
    async with pool_of(database, 2, name="shop") as one, pool_of(database, 3, name="shop") as two:
        collector = PoolCollector(one)
        registry.register(collector)
        assert collector.add(two) == "shop-2"
        value = reader(registry)
        assert (value("dbpool_max_connections", pool="shop"), value("dbpool_max_connections", pool="shop-2")) == (2, 3)
        with pytest.raises(UsageError, match="collected already, as 'shop-2'"):
            collector.add(two)
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            registry.register(PoolCollector(two))
        with pytest.raises(ValueError, match="Duplicated timeseries"):
            registry.register(collector)
        collector.remove(two)
        collector.remove(two)
        assert {dict(labels)["pool"] for _, labels in scraped(registry)} == {"shop"}
        gc.collect()
        assert not two.observing.observers


async def test_a_closed_pool_keeps_its_counters_and_one_that_is_gone_has_no_series(database: Database) -> None:
    registry = CollectorRegistry()
    db = DatabasePool(database.dsn, name="shop")
    registry.register(PoolCollector(db))
    assert reader(registry)("dbpool_acquires_total", pool="shop", lane="(none)") == 0
    async with db:
        await db.fetchval("select 1")
    value = reader(registry)
    assert value("dbpool_connections", pool="shop", state="used") == 0
    assert value("dbpool_use_seconds_count", pool="shop", lane="(none)") == 1
    del db
    gc.collect()
    assert not scraped(registry)


@pytest.mark.parametrize("seconds", [0.0, BOUNDS_S[0], BOUNDS_S[3], 0.3, 1e6])
def test_a_duration_counts_in_every_bucket_that_holds_it(seconds: float) -> None:
    buckets = Buckets()
    buckets.add(seconds)
    assert all(count == (seconds <= bound) for bound, count in buckets.cumulative())
    assert buckets.cumulative()[-1] == (float("inf"), 1)
