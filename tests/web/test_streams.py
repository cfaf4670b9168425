"""Those who look on: one snapshot for all, and nothing left of them when they go, or the pool or the server does."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from dbpool import DatabasePool
from dbpool.web import board, status_app, streams
from dbpool.web.asgi import App, Message
from dbpool.web.board import Snapshot
from tests.support.asgiclient import Exchange, ask, asking, scope_of
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, until

CLOSED = "postgresql://app@127.0.0.1:1/shop"


def messages(body: bytes) -> list[tuple[str, Any]]:
    found = []
    for text in body.decode().split("\n\n"):
        if text.startswith("event: "):
            name, data = text.removeprefix("event: ").split("\ndata: ")
            found.append((name, json.loads(data)))
    return found


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes ten times as quickly."""
    monkeypatch.setattr(board, "EVERY_S", 0.1)
    monkeypatch.setattr(board, "FRESH_S", 0.05)


@pytest.fixture
def app() -> App:
    return status_app(DatabasePool(CLOSED))


async def test_the_first_message_draws_all_then_only_what_changed_comes(database: Database) -> None:
    async with pool_of(database, 2) as db:
        app = status_app(db)
        async with asking(app, "/events") as exchange:
            await exchange.wait_body(b"event: step")
            async with db.acquire():
                await exchange.wait_body(b"event: step", times=2)
        response = exchange.response
        assert response["content-type"] == "text/event-stream; charset=utf-8"
        assert (response["cache-control"], response["x-accel-buffering"]) == ("no-store", "no")
        found = messages(response.body)
        assert [name for name, _ in found] == ["whole", "whole", "step", "step"]
        assert "verdict-0" in found[0][1]["sections"]
        assert "lanes-0" not in found[-1][1]["sections"]
        assert "1 of 2 connections in use" in found[-1][1]["sections"]["verdict-0"]
        assert found[-1][1]["timelines"][0]["held"] == [1]
        at = [round(message["timelines"][0]["at"][-1], 3) for _, message in found[1:]]
        assert at == sorted(set(at))


async def test_nothing_is_left_of_one_who_hangs_up(app: App) -> None:
    before = asyncio.all_tasks()
    async with asking(app, "/events") as exchange:
        await exchange.wait_body(b"event: whole")
    assert asyncio.all_tasks() == before
    assert not exchange.response.is_complete  # there is nobody to send the end to


async def test_nothing_is_left_of_one_that_is_cancelled(app: App) -> None:
    before = asyncio.all_tasks()
    exchange = Exchange()
    task = asyncio.ensure_future(app(scope_of("GET", "/events"), exchange.receive, exchange.send))
    await exchange.wait_body(b"event: whole")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert asyncio.all_tasks() == before


async def test_a_client_that_is_gone_while_it_is_told_is_no_error(app: App) -> None:
    exchange = Exchange()

    async def send(message: Message) -> None:
        raise OSError("gone")

    await app(scope_of("GET", "/events"), exchange.receive, send)


async def test_one_that_reads_no_more_is_ended_all_the_same(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "LONGEST_S", 0.05)
    exchange = Exchange()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.Event().wait()

    async with asyncio.timeout(10):
        await app(scope_of("GET", "/events"), exchange.receive, send)


async def test_a_stream_ends_by_itself_so_that_a_server_that_tells_nothing_can_end(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "LONGEST_S", 0.05)
    response = await ask(app, "GET", "/events")
    assert [name for name, _ in messages(response.body)] == ["whole"]


async def test_who_looks_at_a_pool_is_told_that_it_was_closed(database: Database) -> None:
    async with pool_of(database, 1) as db:
        app = status_app(db)
        exchange = Exchange()
        task = asyncio.ensure_future(app(scope_of("GET", "/events"), exchange.receive, exchange.send))
        await exchange.wait_body(b"event: whole")
    async with asyncio.timeout(10):
        await task
    found = messages(exchange.response.body)
    assert found[-1] == ("over", {})
    assert "The pool is closed." in found[-2][1]["sections"]["verdict-0"]


async def test_a_server_that_ends_the_app_ends_the_streams(app: App) -> None:
    exchange = Exchange()
    task = asyncio.ensure_future(app(scope_of("GET", "/events"), exchange.receive, exchange.send))
    await exchange.wait_body(b"event: whole")
    received = iter(["lifespan.startup", "lifespan.shutdown"])

    async def receive() -> Message:
        return {"type": next(received)}

    async def send(message: Message) -> None: ...

    await app({"type": "lifespan"}, receive, send)
    async with asyncio.timeout(10):
        await task
    assert exchange.response.is_complete


async def test_many_who_look_on_share_one_snapshot(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    begin = Snapshot.__init__

    def counted(self: Snapshot, *arguments: Any) -> None:  # noqa: ANN401 - as the class has it
        made.append(self)
        begin(self, *arguments)

    monkeypatch.setattr(Snapshot, "__init__", counted)
    async with pool_of(database, 1) as db:
        app = status_app(db)
        exchanges = [Exchange() for _ in range(30)]
        tasks = [asyncio.ensure_future(app(scope_of("GET", "/events"), each.receive, each.send)) for each in exchanges]
        for exchange in exchanges:
            await exchange.wait_body(b"event: step")
        assert len(made) < len(exchanges)  # one at first, one a tick after
        for exchange in exchanges:
            exchange.hang_up()
        await asyncio.gather(*tasks)


async def test_one_too_many_is_told_to_ask_instead(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "MOST", 1)
    async with asking(app, "/events") as exchange:
        await exchange.wait_body(b"event: whole")
        response = await ask(app, "GET", "/events")
        assert (response.status, response["retry-after"]) == (503, "5")
        assert (await ask(app, "GET", "/update.json")).status == 200


async def test_a_pool_is_sampled_from_when_it_opens_though_nobody_looks(database: Database) -> None:
    db = DatabasePool(database.dsn, 1)
    app = status_app(db)
    async with db:

        async def is_sampled() -> bool:
            return bool((await ask(app, "GET", "/update.json")).json()["timelines"][0]["at"])

        await until(is_sampled)


async def test_a_sample_that_cannot_be_taken_ends_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with pool_of(database, 1) as db:
        app = status_app(db)
        with monkeypatch.context() as broken:
            broken.setattr("dbpool.web.watch.History.take", lambda *_: 1 / 0)
            await becomes(lambda: "could not be sampled" in caplog.text)
        async with asking(app, "/events") as exchange:
            await exchange.wait_body(b"event: step")
    caplog.clear()
