"""Under a real uvicorn, by itself and mounted in frameworks: pages, probes, streams that end with the server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest
from fastapi import FastAPI
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from dbpool import DatabasePool
from dbpool.web import Shedding, status_app
from dbpool.web.asgi import App
from tests.support.databases import Database
from tests.support.pools import pool_of
from tests.support.uvicorns import served

TOKEN = "8Jc0x-a-token-of-some-length"
pytestmark = pytest.mark.every_loop


def in_starlette(app: App) -> App:
    return Starlette(routes=[Mount("/ops/status", app)], middleware=[Middleware(GZipMiddleware)])


def in_fastapi(app: App) -> App:
    api = FastAPI()
    api.mount("/ops/status", app)
    return api


def in_litestar(app: App) -> App:
    @asgi("/ops/status", is_mount=True, copy_scope=True)
    async def status(scope: Scope, receive: Receive, send: Send) -> None:
        await app(scope, receive, send)

    return Litestar([status], logging_config=None)


MOUNTED: dict[str, tuple[Callable[[App], App], str]] = {
    "itself": (lambda app: app, ""),
    "starlette": (in_starlette, "/ops/status"),
    "fastapi": (in_fastapi, "/ops/status"),
    "litestar": (in_litestar, "/ops/status"),
}


@pytest.mark.parametrize("name", MOUNTED)
async def test_everything_is_there_wherever_it_is_mounted(name: str, database: Database) -> None:
    mount, at = MOUNTED[name]
    async with pool_of(database, 1) as db, served(mount(status_app(db))) as server:
        async with httpx.AsyncClient(base_url=server.url, follow_redirects=True) as client:
            for way in (f"{at}/", at or "/"):
                page = await client.get(way)
                assert (page.status_code, page.url.path) == (200, f"{at}/")
                assert "All is well" in page.text
            assert (await client.get(f"{at}/status.json")).json()["level"] == "well"
            assert (await client.get(f"{at}/healthz")).json() == {"status": "ok"}
            assert (await client.get(f"{at}/readyz?deep=1")).status_code == 200
            assert (await client.head(f"{at}/readyz")).status_code == 200
            assert (await client.get(f"{at}/nothing")).status_code == 404
            async with client.stream("GET", f"{at}/events") as stream:
                lines = stream.aiter_lines()
                assert [await anext(lines) for _ in range(3)] == ["retry: 500", "", "event: whole"]


async def test_behind_a_proxy_that_takes_the_path_off_it_answers_with_a_token_alone(database: Database) -> None:
    through = {"x-forwarded-for": "192.0.2.7"}
    async with pool_of(database, 1) as db, served(status_app(db, token=TOKEN), root_path="/ops/status") as server:
        async with httpx.AsyncClient(base_url=server.url, headers=through) as client:
            assert (await client.get("/")).status_code == 401
            answer = await client.get("/", headers={"authorization": f"Bearer {TOKEN}"})
            assert "All is well" in answer.text
            answer = await client.post("/", data={"token": TOKEN})
            assert (answer.status_code, answer.headers["location"]) == (303, "./")
            assert (await client.get("/status.json")).status_code == 200  # by the cookie
    async with pool_of(database, 1) as db, served(status_app(db)) as server:
        async with httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/", headers=through)).status_code == 403
            assert (await client.get("/readyz", headers=through)).status_code == 200


@pytest.mark.parametrize("name", MOUNTED)
async def test_streams_end_at_once_when_the_server_does(name: str) -> None:
    mount, at = MOUNTED[name]
    app = status_app(DatabasePool("postgresql://app@127.0.0.1:1/shop"))
    async with served(mount(app)) as server, httpx.AsyncClient(base_url=server.url) as client:
        async with client.stream("GET", f"{at}/events", timeout=20) as stream:
            chunks = stream.aiter_bytes()
            assert b"event: whole" in await anext(chunks)
            async with asyncio.timeout(10):  # by itself it would go on for a minute
                await server.end()
                assert b"event: over" not in b"".join([chunk async for chunk in chunks])


async def test_a_full_line_sheds_callers_of_a_service(database: Database) -> None:
    async with pool_of(database, 1, max_waiting=0) as db:
        api = FastAPI()

        @api.get("/orders")
        async def orders() -> int:
            found: int = await db.fetchval("select 7")
            return found

        async with served(Shedding(api)) as server, httpx.AsyncClient(base_url=server.url) as client:
            assert (await client.get("/orders")).json() == 7
            async with db.acquire():
                answer = await client.get("/orders")
            assert answer.status_code == 503
            assert 1 <= int(answer.headers["retry-after"]) <= 3
            assert database.name not in answer.text
            assert (await client.get("/orders")).json() == 7


async def test_a_pool_that_was_never_opened_sheds_nothing_as_that_is_a_mistake() -> None:
    db = DatabasePool("postgresql://app@127.0.0.1:1/shop")
    api = FastAPI()

    @api.get("/orders")
    async def orders() -> None:
        await db.fetchval("select 7")

    async with served(Shedding(api)) as server, httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/orders")).status_code == 500
