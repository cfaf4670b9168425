"""Readiness: whether a pool can serve, told without taking a connection; found out again after an outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from dbpool import DatabasePool, ServerUnavailable
from dbpool.web import status_app
from dbpool.web.asgi import App
from tests.support.asgiclient import Response, ask
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, until
from tests.support.proxy import proxy_before


async def ready(app: App, query: str = "") -> Response:
    return await ask(app, "GET", f"/readyz{query}", client=("192.0.2.7", 1))


@pytest.fixture
async def db(database: Database) -> AsyncIterator[DatabasePool]:
    async with pool_of(database, 1) as db:
        yield db


async def test_an_open_pool_is_ready(db: DatabasePool) -> None:
    response = await ready(status_app(db))
    assert (response.status, response.json()) == (200, {"status": "ok"})


async def test_a_pool_is_not_ready_before_it_is_open_and_once_it_is_closed(database: Database) -> None:
    db = DatabasePool(database.dsn)
    app = status_app(db)
    assert (await ready(app)).json() == {"status": "unavailable", "reasons": ["the pool is not open yet"]}
    async with db:
        assert (await ready(app)).status == 200
    response = await ready(app)
    assert (response.status, response["retry-after"]) == (503, "1")
    assert response.json()["reasons"] == ["the pool is closed"]


async def test_a_pool_that_is_being_closed_is_not_ready_while_its_leases_end(database: Database) -> None:
    db = await DatabasePool(database.dsn, 1)
    app = status_app(db)
    async with db.acquire():
        closing = asyncio.create_task(db.close())
        await asyncio.sleep(0)
        response = await ready(app)
        assert response.json()["reasons"] == ["the pool is being closed"]
    await closing


async def test_of_several_pools_the_one_that_is_not_ready_is_told(db: DatabasePool, database: Database) -> None:
    other = DatabasePool(database.dsn, name="other")
    assert (await ready(status_app(db, other))).json()["reasons"] == ["pool 2 of 2: the pool is not open yet"]


async def test_a_busy_pool_is_ready_and_loses_no_permit(db: DatabasePool) -> None:
    app = status_app(db)
    async with db.acquire():
        granted = db.stats().granted_total
        assert (await ready(app)).status == 200
        assert db.stats().granted_total == granted


async def test_a_paused_pool_is_ready_as_its_callers_are_served_later(db: DatabasePool) -> None:
    app = status_app(db)
    await db.pause()
    assert (await ready(app)).status == 200
    assert (await ready(app, "?deep=1")).status == 200
    db.resume()


async def test_a_deep_probe_asks_the_server_once_for_many_who_want_to_know(db: DatabasePool) -> None:
    app, before = status_app(db), db.stats().granted_total
    answers = await asyncio.gather(*(ready(app, "?deep=1") for _ in range(20)))
    assert {answer.status for answer in answers} == {200}
    assert db.stats().granted_total == before + 1


async def test_a_deep_probe_that_gets_no_connection_in_time_fails(db: DatabasePool) -> None:
    app = status_app(db)
    async with db.acquire():
        response = await ready(app, "?deep=1")
    assert response.status == 503
    assert response.json()["reasons"] == ["a test statement was not answered in time"]


async def test_an_outage_is_told_and_its_end_is_found_though_nobody_else_asks(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        async with pool_of(proxy.dsn(database.dsn), 1, outage_patience=0.05) as db:
            app = status_app(db)
            await proxy.refuse()
            proxy.end_all(reset=True)
            await becomes(lambda: not db.stats().connections)
            with pytest.raises(ServerUnavailable):
                await db.fetchval("select 1", timeout=5)
            response = await ready(app)
            assert response.status == 503
            assert response.json()["reasons"] == ["the database server cannot be reached"]
            document = (await ask(app, "GET", "/status.json")).json()
            assert document["level"] == "bad"
            assert document["pools"][0]["state"] == "unreachable"
            assert document["pools"][0]["verdict"]["sentence"] == "The server cannot be reached."
            await proxy.listen()

            async def is_ready() -> bool:
                return (await ready(app)).status == 200

            await until(is_ready)
