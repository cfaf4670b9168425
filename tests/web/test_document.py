"""What the JSON and the page tell of a pool at work, on a real server."""

from __future__ import annotations

import asyncio
import gc
import os
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from dbpool import AcquireTimeout, DatabasePool, ServerUnavailable
from dbpool.web import status_app
from dbpool.web.asgi import App
from tests.support.asgiclient import ask
from tests.support.databases import Database
from tests.support.htmlpages import Seen, read
from tests.support.pools import becomes, dsn_with, pool_of

SECRET = "canary-parameter"
KEYS = {
    "name", "state", "verdict", "gate", "totals", "last_connect_error", "slow_query_s", "slow_acquire_s", "holders",
    "holders_more", "waiters", "waiters_more", "lanes", "sites", "slow_statements", "slow_acquires", "events",
    "timeline",
}  # fmt: skip


async def told(app: App) -> Any:  # noqa: ANN401 - any JSON
    return (await ask(app, "GET", "/status.json")).json()


async def seen(app: App) -> Seen:
    return read((await ask(app, "GET", "/")).text)


@asynccontextmanager
async def busy(db: DatabasePool) -> AsyncIterator[None]:
    """One holds the only connection in a transaction, two wait, one of them by a lane."""

    async def checkout() -> None:
        async with db.transaction() as tx:
            await tx.fetchval("select $1::text <script>".replace("<script>", "/* <script> & 'é' */"), SECRET)
            is_held.set()
            await may_end.wait()

    is_held, may_end = asyncio.Event(), asyncio.Event()
    reports = db.lane("reports", at_most=1)
    tasks = [asyncio.create_task(checkout(), name="checkout <1>")]
    await is_held.wait()
    tasks.append(asyncio.create_task(db.fetchval("select 2"), name="second"))
    tasks.append(asyncio.create_task(reports.fetchval("select 3 as " + "x" * 60 + ", " + "4 " * 30), name="third"))
    await becomes(lambda: db.stats().waiting == 2)
    try:
        yield
    finally:
        may_end.set()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_holders_and_waiters_are_told_with_their_places(database: Database) -> None:
    async with pool_of(database, 1, name="shop") as db:
        app = status_app(db, title="Orders & co")
        async with busy(db):
            document = await told(app)
            assert set(document) == {"version", "at", "title", "level", "pools"}
            assert (document["version"], document["title"]) == (1, "Orders & co")
            (pool,) = document["pools"]
            assert set(pool) == KEYS
            assert (pool["name"], pool["state"]) == ("shop", "open")
            assert pool["gate"] == {
                "capacity": 1, "limit": 1, "held": 1, "idle": 0, "waiting": 2, "opening": 0, "connections": 1,
                "zombies": 0, "oldest_wait_s": pool["gate"]["oldest_wait_s"],
            }  # fmt: skip
            (holder,) = pool["holders"]
            assert holder["task"] == "checkout <1>"
            assert holder["in_transaction"]
            assert holder["where"].startswith("web/test_document.py:")
            assert holder["stack"][-1].startswith("web/test_document.py:")
            assert holder["sql"].startswith("select $1::text")
            assert [waiter["task"] for waiter in pool["waiters"]] == ["second", "third"]
            assert [waiter["lane"] for waiter in pool["waiters"]] == ["", "reports"]
            (lane,) = pool["lanes"]
            assert (lane["name"], lane["at_most"], lane["waiting"]) == ("reports", 1, 1)
            assert pool["totals"]["granted_total"] == db.stats().granted_total


async def test_the_pages_tables_equal_the_json(database: Database) -> None:
    async with pool_of(database, 1) as db:
        app = status_app(db)
        async with busy(db):
            (pool,) = (await told(app))["pools"]
            page = await seen(app)  # within the same half second
            head, *rows = page.table("Who holds a connection")
            assert head == ["Held for", "Asked for at", "Statement", "Stands at", "Task"]
            assert [row[-1] for row in rows] == ["checkout <1>"]
            assert "/* <script> & 'é' */in a transaction" in rows[0][2]
            assert [row[-1] for row in page.table("Who waits for one")[1:]] == ["second", "third"]
            lanes = page.table("Lanes")
            assert dict(zip(*lanes, strict=True))["In line"] == str(pool["lanes"][0]["waiting"])
            assert "script" not in [kind for kind, attributes in page.elements if attributes.get("class")]


async def test_a_task_named_after_a_file_whose_name_is_not_utf8_is_told(database: Database) -> None:
    name = os.fsdecode(b"load caf\xe9.csv")
    async with pool_of(database, 1) as db:
        app = status_app(db, title=name)
        async with db.acquire():
            waiter = asyncio.create_task(db.fetchval("select 1"), name=name)
            await becomes(lambda: db.stats().waiting == 1)
            document = await told(app)
            assert (document["title"], document["pools"][0]["waiters"][0]["task"]) == (name, name)
            for path in ("/", "/update.json"):
                answer = await ask(app, "GET", path)
                assert answer.status == 200
                assert "load caf\\udce9.csv" in answer.text
        await waiter


async def test_neither_parameters_nor_the_password_are_in_any_answer(database: Database) -> None:
    async with pool_of(database, 1, acquire_timeout=0.01) as db:
        password = db.dsn.reveal().partition("@")[0].rpartition(":")[2]
        app = status_app(db)
        async with busy(db):
            with pytest.raises(AcquireTimeout):
                await db.fetchval("select $1::text", SECRET)
            for path in ("/", "/status.json", "/update.json", "/readyz?deep=1"):
                text = (await ask(app, "GET", path)).text
                assert SECRET not in text
                assert password not in text
                assert database.dsn not in text


async def test_a_refused_password_is_told_without_it(database: Database) -> None:
    db = DatabasePool(dsn_with(database.dsn, password="canary-password", user="nobody"), 1)
    app = status_app(db)
    with pytest.raises(ServerUnavailable, match="nobody"):
        await db.open()
    document = await told(app)
    assert document["pools"][0]["events"]
    assert "canary" not in str(document)
    await db.close()


async def test_slow_statements_and_slow_acquires_are_kept(database: Database) -> None:
    async with pool_of(database, 1, slow_query=0.01, slow_acquire=0.01) as db:
        app = status_app(db)
        await asyncio.gather(*(db.fetchval("select pg_sleep($1)", 0.02) for _ in range(2)))
        (pool,) = (await told(app))["pools"]
        assert [slow["sql"] for slow in pool["slow_statements"]] == ["select pg_sleep($1)"] * 2
        assert pool["slow_statements"][0]["at"] >= pool["slow_statements"][1]["at"]
        assert len(pool["slow_acquires"]) == 1
        page = await seen(app)
        assert [row[-1] for row in page.table("Slow statements")[1:]] == ["select pg_sleep($1)"] * 2


async def test_nothing_grows_without_bound(database: Database) -> None:
    async with pool_of(database, 1, slow_query=1e-9) as db:
        app = status_app(db)
        for number in range(120):
            await db.fetchval(f"select {number}, '{'x' * 5000}'")
            await db.pause()
            db.resume()
        (pool,) = (await told(app))["pools"]
        assert len(pool["slow_statements"]) == len(pool["events"]) == 50
        assert max(len(slow["sql"]) for slow in pool["slow_statements"]) == 2000


async def test_a_closed_pool_is_not_kept_but_its_last_words_are(database: Database) -> None:
    async with pool_of(database, 1) as db:
        app = status_app(db)
        await db.fetchval("select 1")
    kept = weakref.ref(db)
    del db
    gc.collect()
    assert kept() is None
    (pool,) = (await told(app))["pools"]
    assert pool["state"] == "closed"
    assert pool["verdict"]["sentence"] == "The pool is closed."
    assert pool["events"][0]["kind"] == "Closed"
    assert (await ask(app, "GET", "/")).status == 200


async def test_several_pools_stand_on_one_page(database: Database) -> None:
    async with pool_of(database, 1, name="one") as one, pool_of(database, 2, name="two") as two:
        app = status_app(one, two)
        document = await told(app)
        assert document["title"] == "one, two"
        assert [pool["gate"]["capacity"] for pool in document["pools"]] == [1, 2]
        page = await seen(app)
        assert [title for kind, title in page.headings if kind == "h2"] == ["one", "two"]
        ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
        assert len(set(ids)) == len(ids)
