"""The metrics of real pools, as OpenTelemetry's SDK reads them, against the conventions' own constants."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from opentelemetry.sdk.metrics.export import Histogram, Sum
from opentelemetry.semconv._incubating.attributes import db_attributes as incubating
from opentelemetry.semconv._incubating.metrics import db_metrics as pool_metrics
from opentelemetry.semconv.attributes import db_attributes, error_attributes, server_attributes
from opentelemetry.semconv.metrics import db_metrics
from opentelemetry.semconv.schemas import Schemas

from dbpool import AcquireTimeout, DatabasePool, UsageError
from dbpool.telemetry import conventions, instrument
from tests.support.databases import Database
from tests.support.pools import held
from tests.telemetry.collected import Collected, instrumented

COUNT, STATE = conventions.DB_CLIENT_CONNECTION_COUNT, conventions.DB_CLIENT_CONNECTION_STATE
UNITS = {
    conventions.DB_CLIENT_OPERATION_DURATION: ("s", Histogram),
    COUNT: ("{connection}", Sum),
    conventions.DB_CLIENT_CONNECTION_IDLE_MAX: ("{connection}", Sum),
    conventions.DB_CLIENT_CONNECTION_IDLE_MIN: ("{connection}", Sum),
    conventions.DB_CLIENT_CONNECTION_MAX: ("{connection}", Sum),
    conventions.DB_CLIENT_CONNECTION_PENDING_REQUESTS: ("{request}", Sum),
    conventions.DB_CLIENT_CONNECTION_TIMEOUTS: ("{timeout}", Sum),
    conventions.DB_CLIENT_CONNECTION_CREATE_TIME: ("s", Histogram),
    conventions.DB_CLIENT_CONNECTION_WAIT_TIME: ("s", Histogram),
    conventions.DB_CLIENT_CONNECTION_USE_TIME: ("s", Histogram),
}


def test_every_name_is_the_conventions_own() -> None:
    theirs: dict[str, object] = {}
    for module in (pool_metrics, incubating, db_metrics, db_attributes, error_attributes, server_attributes):
        theirs |= vars(module)
    ours = {name: value for name, value in vars(conventions).items() if name.startswith(("DB_", "ERROR_", "SERVER_"))}
    parameter = ours.pop("DB_QUERY_PARAMETER")
    assert parameter == theirs["DB_QUERY_PARAMETER_TEMPLATE"]
    assert ours == {name: theirs[name] for name in ours}
    assert db_attributes.DbSystemNameValues.POSTGRESQL.value == conventions.POSTGRESQL
    states = {incubating.DbClientConnectionStateValues.IDLE.value, incubating.DbClientConnectionStateValues.USED.value}
    assert states == {conventions.IDLE, conventions.USED}
    assert Schemas.V1_44_0.value == conventions.SCHEMA_URL


async def test_all_ten_metrics_have_the_conventions_units_and_kinds(database: Database) -> None:
    async with instrumented(database, 3, min_connections=1) as (db, collected):
        async with held(db), held(db):
            with pytest.raises(AcquireTimeout):
                async with held(db):
                    await db.fetchval("select 1", timeout=0.05)
        await db.fetchval("select 1")
        found = collected.metrics()
        assert set(found) == set(UNITS)
        for name, (unit, kind) in UNITS.items():
            metric = found[name]
            assert (metric.unit, type(metric.data)) == (unit, kind), name
            assert metric.description, name
            for attributes, point in collected.points(name):
                if name != conventions.DB_CLIENT_OPERATION_DURATION:
                    assert attributes.pop(conventions.DB_CLIENT_CONNECTION_POOL_NAME) == database.name
                    assert set(attributes) <= {STATE}
                if isinstance(metric.data, Histogram):
                    assert point.explicit_bounds == conventions.BUCKETS_S
            if isinstance(metric.data, Sum):
                assert metric.data.is_monotonic is (name == conventions.DB_CLIENT_CONNECTION_TIMEOUTS)
        assert collected.value(conventions.DB_CLIENT_CONNECTION_TIMEOUTS) == 1
        assert collected.value(conventions.DB_CLIENT_CONNECTION_MAX) == 3
        assert collected.value(conventions.DB_CLIENT_CONNECTION_IDLE_MAX) == 3
        assert collected.value(conventions.DB_CLIENT_CONNECTION_IDLE_MIN) == 1
        assert collected.value(conventions.DB_CLIENT_CONNECTION_CREATE_TIME).count == 2  # the first was there before
        assert collected.value(conventions.DB_CLIENT_CONNECTION_WAIT_TIME).count == 4
        assert collected.value(conventions.DB_CLIENT_CONNECTION_USE_TIME).count == 4


async def test_gauges_are_of_the_moment(database: Database) -> None:
    async with instrumented(database, 1) as (db, collected):
        assert (collected.value(COUNT, state="idle"), collected.value(COUNT, state="used")) == (1, 0)
        async with held(db):
            waiting = asyncio.create_task(db.fetchval("select 1"))
            await asyncio.sleep(0.01)
            assert (collected.value(COUNT, state="idle"), collected.value(COUNT, state="used")) == (0, 1)
            assert collected.value(conventions.DB_CLIENT_CONNECTION_PENDING_REQUESTS) == 1
        await waiting
        assert collected.value(conventions.DB_CLIENT_CONNECTION_PENDING_REQUESTS) == 0


async def test_durations_are_apart_by_what_was_done_and_how_it_ended(database: Database) -> None:
    async with instrumented(database) as (db, collected):
        await db.fetchval("select 1")
        await db.fetchval("select 2")
        with pytest.raises(Exception, match="nowhere"):
            await db.fetch("select * from nowhere")
        async with db.transaction() as tx:
            await tx.fetchval("select 3")
        points = collected.points(conventions.DB_CLIENT_OPERATION_DURATION)
        counted = {(each.get("db.query.summary"), each.get("error.type")): point.count for each, point in points}
        assert counted == {("SELECT", None): 3, ("SELECT nowhere", "42P01"): 1}
        assert all("db.query.text" not in attributes for attributes, _ in points)


async def test_several_pools_count_apart_also_under_one_name(database: Database) -> None:
    collected = Collected()
    async with (
        instrumented(database, 2, collected=collected) as (one, _),
        instrumented(database, 3, collected=collected) as (_, _),
        instrumented(database, 4, collected=collected, name="other") as (_, _),
    ):
        await one.fetchval("select 1")
        most = {
            attributes[conventions.DB_CLIENT_CONNECTION_POOL_NAME]: point.value
            for attributes, point in collected.points(conventions.DB_CLIENT_CONNECTION_MAX)
        }
        assert most == {database.name: 2, f"{database.name}-2": 3, "other": 4}
        assert collected.value(conventions.DB_CLIENT_CONNECTION_USE_TIME, name=database.name).count == 1
    assert not collected.points(conventions.DB_CLIENT_CONNECTION_MAX)
    collected.close()


async def test_a_pool_is_instrumented_once_at_a_time(database: Database) -> None:
    async with instrumented(database) as (db, collected):
        with pytest.raises(UsageError, match="instrumented already"):
            instrument(db)
    again = instrument(db, tracer_provider=collected.traces, meter_provider=collected.meters)
    again.uninstrument()
    again.uninstrument()


def test_an_instrumented_pool_that_nobody_has_is_gone() -> None:
    collected = Collected()
    db = DatabasePool("postgresql://app@nowhere/shop")
    instrument(db, tracer_provider=collected.traces, meter_provider=collected.meters)
    assert collected.value(conventions.DB_CLIENT_CONNECTION_MAX) == 5
    pool = weakref.ref(db)
    del db
    gc.collect()
    assert pool() is None
    assert not collected.points(conventions.DB_CLIENT_CONNECTION_MAX)
    collected.close()
