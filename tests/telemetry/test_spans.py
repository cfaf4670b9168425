"""Spans of a real pool on a real server, as OpenTelemetry's SDK gets them."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest
from opentelemetry.trace import SpanKind, StatusCode

from dbpool import DatabasePool, QueryTimeout
from tests.support.databases import Database
from tests.support.pools import held, settled
from tests.telemetry.collected import Collected, attributes_of, instrumented, parent_of

SETUP = (
    "create table users (id int primary key, name text); insert into users select n, 'n' from generate_series(1, 5) n"
)


async def a_map(db: DatabasePool) -> None:
    assert [value async for _, value, _ in db.map_val("select name from users where id = $1", [1, 2, 3])]


async def a_stream(db: DatabasePool) -> None:
    assert [row async for row in db.stream("select * from users")]


async def a_stream_left_early(db: DatabasePool) -> None:
    rows = db.stream("select * from users")
    await anext(rows)
    await rows.aclose()


async def a_copy(db: DatabasePool) -> None:
    async with db.acquire() as connection:
        await connection.copy_records_to_table("users", records=[(100, "x")])


async def a_copy_out(db: DatabasePool) -> None:
    async with db.acquire() as connection:
        await connection.copy_from_query("select * from users where id = $1", 1, output=io.BytesIO())


async def on_an_acquired(db: DatabasePool) -> None:
    async with db.acquire() as connection:
        await connection.fetchval("select name from users where id = $1", 1)


async def nothing(_: bytes) -> None:
    """Takes what is exported."""


CALLS: dict[str, tuple[Callable[[DatabasePool], Coroutine[Any, Any, Any]], dict[str, Any]]] = {
    "SELECT users": (
        lambda db: db.fetch("select * from users where id = $1", 1),
        {"query.text": "select * from users where id = $1", "operation.name": "SELECT", "collection.name": "users"},
    ),
    "UPDATE users": (
        lambda db: db.execute("update users set name = 'secret' where id = 7"),
        {"query.text": "update users set name = ? where id = ?", "operation.name": "UPDATE"},
    ),
    "SELECT": (lambda db: db.fetchval("select 1"), {"query.text": "select ?", "operation.name": "SELECT"}),
    "BATCH INSERT users": (
        lambda db: db.executemany("insert into users values ($1, $2)", [(11, "a"), (12, "b")]),
        {"operation.batch.size": 2, "operation.name": "BATCH INSERT", "collection.name": "users"},
    ),
    "INSERT users": (
        lambda db: db.executemany("insert into users values ($1, $2)", [(13, "a")]),
        {"operation.name": "INSERT", "operation.batch.size": None},
    ),
    "BATCH SELECT users": (a_map, {"operation.batch.size": 3, "operation.name": "BATCH SELECT"}),
    "SELECT users (stream)": (a_stream, {"operation.name": "SELECT"}),
    "SELECT users (left)": (a_stream_left_early, {"operation.name": "SELECT"}),
    "SELECT users (acquired)": (on_an_acquired, {"query.text": "select name from users where id = $1"}),
    "COPY users": (a_copy, {"operation.name": "COPY", "collection.name": "users"}),
    "COPY SELECT users": (a_copy_out, {"operation.name": "COPY"}),
    "COPY users (load)": (
        lambda db: db.load("users", [(31, "a"), (32, "b")]),
        {"operation.name": "COPY", "operation.batch.size": 2},
    ),
    "COPY users (export)": (lambda db: db.export("users", nothing), {"collection.name": "users"}),
    "BATCH INSERT users (insert)": (
        lambda db: db.insert("users", [(41, "a"), (42, "b"), (43, "c")]),
        {"operation.batch.size": 3},
    ),
    "BATCH UPDATE users": (
        lambda db: db.update_from("users", [(1, "a"), (2, "b")], key="id", columns=["id", "name"]),
        {"operation.batch.size": 2, "collection.name": "users"},
    ),
}


async def test_each_call_is_one_span_by_the_conventions(database: Database) -> None:
    where = urlsplit(database.dsn)
    async with instrumented(database) as (db, collected):
        await db.execute(SETUP)
        collected.clear()
        for name, (call, more) in CALLS.items():
            await call(db)
            span = collected.take()
            assert span.name == name.partition(" (")[0], name
            assert (span.kind, span.status.status_code) == (SpanKind.CLIENT, StatusCode.UNSET), name
            found = attributes_of(span)
            assert found["db.system.name"] == "postgresql"
            assert found["db.namespace"] == database.name
            assert found["db.query.summary"] == span.name
            assert found.get("server.port") in (where.port, None)
            assert {key: found.get(f"db.{key}") for key in more} == more, name
            assert "secret" not in str(found)
            assert not [key for key in found if "parameter" in key]


async def test_a_transaction_is_around_its_statements_and_what_else_is_done_in_it(database: Database) -> None:
    async with instrumented(database) as (db, collected):
        with collected.tracer.start_as_current_span("request"):
            async with db.transaction() as tx:
                await tx.fetchval("select 1")
                with collected.tracer.start_as_current_span("step"):
                    await tx.execute("select 2")
                async with tx.transaction():
                    await tx.executemany("select $1::int", [(1,), (2,)])
                assert [row async for row in tx.stream("select 3")]
            await db.fetchval("select 4")
        spans = collected.spans()
        parents = [(span.name, getattr(parent_of(span, spans), "name", None)) for span in spans]
        block = f"TRANSACTION {database.name}"
        assert parents == [
            ("SELECT", block),
            ("SELECT", "step"),
            ("step", block),
            ("BATCH SELECT", block),
            (block, block),
            ("SELECT", block),
            (block, "request"),
            ("SELECT", "request"),
            ("request", None),
        ]
        assert all(span.status.status_code is StatusCode.UNSET for span in spans)


async def test_a_call_belongs_to_its_own_callers_context_whoever_hands_the_connection_on(database: Database) -> None:
    async def request(number: int) -> None:
        with collected.tracer.start_as_current_span(f"request {number}"):
            await db.fetchval("select $1::int", number)

    async with instrumented(database, 1, record_parameters=True) as (db, collected):
        await asyncio.gather(*map(request, range(20)))
        spans = collected.spans()
        calls = [span for span in spans if span.name == "SELECT"]
        assert len(calls) == 20
        for call in calls:
            parent = parent_of(call, spans)
            assert parent is not None
            assert parent.name == f"request {attributes_of(call)['db.query.parameter.0']}"
        assert all(attributes_of(call).get("dbpool.wait_time", 1.0) > 0 for call in calls)


class Unprintable:
    """Nothing that a statement takes, nor a word of text."""

    def __repr__(self) -> str:
        raise ValueError("never shown")


async def test_a_parameter_that_cannot_be_shown_costs_no_span(database: Database) -> None:
    async with instrumented(database, 1, record_parameters=True) as (db, collected):
        with pytest.raises((asyncpg.DataError, ValueError)):
            await db.fetchval("select $1::int", Unprintable())
        await db.fetchval("select length($1::text)", "x" * 3_000_000)
        shown = [attributes_of(span)["db.query.parameter.0"] for span in collected.spans()]
        assert shown == ["<Unprintable>", "x" * 1024]


async def test_each_caller_of_a_batch_has_a_span_that_says_with_how_many(database: Database) -> None:
    sql = "select $1::int + 1"
    async with instrumented(database, 1, coalesce=True) as (db, collected):
        await asyncio.gather(*(db.fetchval(sql, n) for n in range(20)))  # finds its form
        await asyncio.sleep(0.2)
        collected.clear()
        await asyncio.gather(*(db.fetchval(sql, n) for n in range(50)))
        spans = collected.spans()
        assert len(spans) == 50
        assert sum(attributes_of(span).get("dbpool.coalesced.size", 1) > 1 for span in spans) > 20


async def test_an_error_is_told_by_its_sqlstate_and_without_any_value(database: Database) -> None:
    async with instrumented(database) as (db, collected):
        await db.execute(SETUP)
        collected.clear()
        with pytest.raises(asyncpg.UniqueViolationError):
            await db.execute("insert into users values ($1, $2)", 1, "secret")
        span = collected.take()
        found = attributes_of(span)
        assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "UniqueViolationError")
        assert (found["error.type"], found["db.response.status_code"]) == ("23505", "23505")
        assert not span.events
        with pytest.raises(QueryTimeout):
            await db.execute("select pg_sleep(10)", timeout=0.05)
        assert attributes_of(collected.take())["error.type"] == "dbpool.errors.QueryTimeout"
        task = asyncio.create_task(db.execute("select pg_sleep(10)"))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.wait([task])
        assert attributes_of(collected.take())["error.type"] == "asyncio.exceptions.CancelledError"
        with pytest.raises(ZeroDivisionError):
            async with db.transaction() as tx:
                await tx.execute("select 1")
                raise ZeroDivisionError
        assert [attributes_of(span).get("error.type") for span in collected.spans()] == [None, "ZeroDivisionError"]


async def test_a_transaction_that_nobody_ends_has_a_span_that_ends(database: Database) -> None:
    async def forget() -> None:
        await db.transaction().__aenter__()

    async with instrumented(database) as (db, collected):
        await asyncio.create_task(forget())
        while not collected.spans():
            await asyncio.sleep(0.01)
        assert attributes_of(collected.take())["error.type"] == "GeneratorExit"
        await settled(db)


async def test_a_connection_that_is_lost_in_a_transaction_ends_its_span(database: Database) -> None:
    async with instrumented(database) as (db, collected):
        with pytest.raises(Exception, match="lost"):
            async with db.transaction() as tx:
                await tx.execute("select pg_terminate_backend(pg_backend_pid())")
        statement, block = collected.spans()
        assert attributes_of(statement)["error.type"] == "dbpool.errors.ConnectionLost"
        assert attributes_of(block)["error.type"] == "dbpool.errors.ConnectionLost"
        assert attributes_of(statement).get("db.response.status_code") in (None, "57P01")


async def test_text_is_left_out_if_wished_and_parameters_come_if_asked(database: Database) -> None:
    async with instrumented(database, record_text=False) as (db, collected):
        await db.fetchval("select $1::int", 7)
        assert "db.query.text" not in attributes_of(collected.take())
    async with instrumented(database, record_parameters=True) as (db, collected):
        await db.fetchval("select $1::int + $2::int", 7, 8)
        found = attributes_of(collected.take())
        assert (found["db.query.parameter.0"], found["db.query.parameter.1"]) == ("7", "8")


async def test_a_pool_that_is_instrumented_no_more_ends_what_has_begun(database: Database) -> None:
    collected = Collected()
    async with instrumented(database, 1, collected=collected) as (db, _):
        async with held(db):
            call = asyncio.create_task(db.lane("batch").fetchval("select 1"))
            while not db.stats().waiting:
                await asyncio.sleep(0)
            db.observing.observers = ()
        await call
        await db.fetchval("select 2")
        assert attributes_of(collected.take())["dbpool.lane"] == "batch"
    collected.close()
