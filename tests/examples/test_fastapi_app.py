"""What FastAPI makes of connections: a stream keeps its own to its end, work behind the answer has a lane."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import asyncpg
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from examples.services.fastapi_app import app
from tests.support.databases import Database
from tests.support.pools import settled
from tests.support.serving import ROOT, asked

ORDERS = 1_500  # more than the server sends at once


@pytest.fixture
async def full_shop(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shop with many orders, whose address is in the environment."""
    witness = await asyncpg.connect(database.dsn)
    try:
        await witness.execute((ROOT / "examples/services/shop.sql").read_text())
        await witness.execute(
            "insert into orders (product_id, quantity) select 1, 1 from generate_series(1, $1::int)", ORDERS
        )
    finally:
        await witness.close()
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    monkeypatch.setenv("DBPOOL_MAX_CONNECTIONS", "2")


async def leave_a_stream_in_the_middle(state: Mapping[str, Any], spec: str) -> None:
    begun = asyncio.Event()

    async def receive() -> Message:
        await begun.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        if message.get("body"):
            assert state["exports"].held == 1
            begun.set()
            if spec == "2.4":
                raise OSError("the client is gone")
            await asyncio.Event().wait()  # nobody reads on

    scope = {"type": "http", "method": "GET", "path": "/orders.ndjson", "headers": [], "query_string": b""}
    with suppress(ClientDisconnect):
        await app({**scope, "state": dict(state), "asgi": {"spec_version": spec}}, receive, send)
    assert begun.is_set()


@pytest.mark.parametrize("spec", ["2.3", "2.4"])
@pytest.mark.usefixtures("full_shop")
async def test_a_client_that_leaves_a_stream_costs_no_connection(spec: str) -> None:
    """A server says so by a message, or since version 2.4 of ASGI's specification by an error."""
    async with app.router.lifespan_context(app) as state:
        assert state is not None
        for _ in range(3):  # more than the lane may hold
            await leave_a_stream_in_the_middle(state, spec)
            await settled(state["db"])


@pytest.mark.usefixtures("full_shop")
async def test_a_stream_has_all_rows() -> None:
    async with asked(app) as ask:
        lines = (await ask.get("/orders.ndjson")).text.splitlines()
        assert [json.loads(line)["id"] for line in lines] == list(range(1, ORDERS + 1))


@pytest.mark.usefixtures("full_shop")
async def test_an_order_is_confirmed_behind_the_answer() -> None:
    async with asked(app) as ask:
        placed = await asyncio.gather(*(ask.post("/orders", json={"product_id": 1, "quantity": 1}) for _ in range(20)))
        assert {answer.status_code for answer in placed} == {201}
        assert {answer.json()["confirmed_at"] for answer in placed} == {None}
        stored = [json.loads(line) for line in (await ask.get("/orders.ndjson")).text.splitlines()[ORDERS:]]
        assert len(stored) == 20
        assert None not in {one["confirmed_at"] for one in stored}


@pytest.mark.usefixtures("full_shop")
async def test_what_is_no_order_takes_no_connection() -> None:
    async with asked(app) as ask:
        answer = await ask.post("/orders", json={"product_id": 1, "quantity": 0})
        assert answer.status_code == 422
