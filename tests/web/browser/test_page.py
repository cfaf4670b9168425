"""The status page in a real browser: live, without script, in every light and width, with a token, after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from playwright.async_api import Browser

from dbpool import DatabasePool
from dbpool.web import board, status_app
from tests.support.chromium import Look, looking
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, until
from tests.support.uvicorns import Served, served

TOKEN = "8Jc0x-a-token-of-some-length"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Time passes five times as quickly."""
    monkeypatch.setattr(board, "EVERY_S", 0.2)
    monkeypatch.setattr(board, "FRESH_S", 0.1)


@asynccontextmanager
async def busy(database: Database) -> AsyncIterator[tuple[DatabasePool, Served]]:
    """A pool of one, which a transaction holds while another caller waits, behind its page."""

    async def checkout() -> None:
        async with db.transaction() as tx:
            await tx.fetchval("select 1 /* " + "x" * 200 + " */")
            await may_end.wait()

    may_end = asyncio.Event()
    async with pool_of(database, 1, name="shop") as db, served(status_app(db)) as server:
        tasks = [asyncio.create_task(checkout(), name="checkout"), asyncio.create_task(db.fetchval("select 2"))]
        await becomes(lambda: db.stats().waiting == 1)
        try:
            yield db, server
        finally:
            may_end.set()
            await asyncio.gather(*tasks)


async def wait_text(look: Look, selector: str, text: str) -> None:
    await look.page.wait_for_function(
        "([selector, text]) => document.querySelector(selector)?.textContent.includes(text)", arg=[selector, text]
    )


async def cells(look: Look, region: str) -> list[list[str]]:
    rows = "[...document.querySelectorAll(`[aria-label='${name}'] tbody tr`)]"
    script = f"(name) => {rows}.map((row) => [...row.cells].map((cell) => cell.innerText))"
    found: list[list[str]] = await look.ask(script, region)
    return found


async def test_numbers_change_by_themselves_and_tables_equal_the_json(browser: Browser, database: Database) -> None:
    async with pool_of(database, 2) as db, served(status_app(db)) as server:
        async with looking(browser, server.url) as look:
            await wait_text(look, "#live", "Live")
            await wait_text(look, ".sentence", "All is well: 0 of 2")
            async with db.acquire() as connection:
                await connection.fetchval("select 77")
                await wait_text(look, ".sentence", "All is well: 1 of 2")
                async with httpx.AsyncClient(base_url=server.url) as client:
                    (pool,) = (await client.get("/status.json")).json()["pools"]
                ((_, where, sql, *_),) = await cells(look, "Who holds a connection")
                assert where.replace(" ", " ").split() == pool["holders"][0]["where"].replace(" in ", " ").split()
                assert sql == pool["holders"][0]["sql"] == "select 77"
                await look.page.wait_for_function(
                    "() => document.querySelector('.chart.connections .legend b').textContent === '1'"
                )
            await wait_text(look, ".sentence", "All is well: 0 of 2")
            assert await cells(look, "Who holds a connection") == []
            assert await look.page.locator(".chart canvas").count() == 5
            assert look.complaints == []
            assert {url.removeprefix(server.url) for url in look.requests} <= {"/", "/events", "/favicon.ico"}


async def test_it_fits_in_every_light(browser: Browser, database: Database) -> None:
    async with busy(database) as (_, server):
        for width in (360, 1280):
            for is_dark, back in ((False, "rgb(246, 246, 243)"), (True, "rgb(19, 22, 25)")):
                async with looking(browser, server.url, width=width, is_dark=is_dark) as look:
                    await wait_text(look, "#live", "Live")
                    assert await look.ask("() => document.documentElement.scrollWidth") == width
                    assert await look.ask("() => getComputedStyle(document.body).backgroundColor") == back
                    assert look.complaints == []


async def test_what_is_unfolded_stays_so_while_the_page_goes_on(browser: Browser, database: Database) -> None:
    async with busy(database) as (_, server), looking(browser, server.url) as look:
        await wait_text(look, "#live", "Live")
        await look.page.locator("td.sql details summary").first.click()
        held = "() => document.querySelector('.holders td').textContent"
        before = await look.ask(held)
        await look.page.wait_for_function(f"(before) => ({held})() !== before", arg=before)
        assert await look.ask("() => document.querySelector('td.sql details').open")


async def test_every_part_is_reached_by_the_keyboard(browser: Browser, database: Database) -> None:
    async with busy(database) as (_, server), looking(browser, server.url) as look:
        await wait_text(look, "#live", "Live")
        focused = "document.activeElement"
        name = f"() => {focused}.getAttribute('aria-label') ?? {focused}.textContent.slice(0, 25)"
        reached = []
        for _ in range(12):
            await look.page.keyboard.press("Tab")
            reached.append(await look.ask(name))
        assert reached[0] == "Skip to the pools"
        assert {"Who holds a connection", "Who waits for one", "The last minutes as numbe", "JSON"} <= set(reached)


async def test_without_javascript_it_is_a_snapshot_with_tables(browser: Browser, database: Database) -> None:
    async with busy(database) as (db, server), looking(browser, server.url, has_script=False) as look:
        assert "As of this moment" in (await look.texts("#live"))[0]
        assert (await look.texts(".holders td.task")) == ["checkout"]
        assert not await look.page.locator(".charts").is_visible()
        numbers = look.page.get_by_text("The last minutes as numbers")

        async def are_shown() -> bool:
            """A second after the pool was opened there is something to show, and only loading it anew shows it."""
            await look.page.reload()
            return bool(await numbers.count())

        await until(are_shown, 20)
        await numbers.click()
        assert len(await look.texts(".minutes tbody tr")) >= 1
        assert db.stats().waiting == 1


async def test_the_token_is_asked_for_and_kept(browser: Browser, database: Database) -> None:
    async with pool_of(database, 1) as db, served(status_app(db, token=TOKEN)) as server:
        async with looking(browser, server.url) as look:
            await look.page.get_by_label("Token").fill("wrong")
            await look.page.keyboard.press("Enter")
            await look.page.get_by_text("That is not the token.").wait_for()
            await look.page.get_by_label("Token").fill(TOKEN)
            await look.page.get_by_role("button").click()
            await wait_text(look, "#live", "Live")
            assert await look.ask("() => document.cookie") == ""  # no script can read it
            await look.page.reload()
            await wait_text(look, "#live", "Live")
        async with looking(browser, f"{server.url}/?token={TOKEN}") as look:
            await wait_text(look, "#live", "Live")
            assert look.page.url == f"{server.url}/"
            assert look.complaints == []


async def test_it_goes_on_when_the_server_comes_back(browser: Browser, database: Database) -> None:
    async with pool_of(database, 1, name="first") as db:
        async with served(status_app(db)) as server:
            context = looking(browser, server.url)
            look = await context.__aenter__()
            await wait_text(look, "#live", "Live")
        try:
            await wait_text(look, "#live", "The server does not answer")
            async with served(status_app(db), port=server.port):
                await wait_text(look, "#live", "Live")
                async with db.acquire():
                    await wait_text(look, ".sentence", "All is well: 1 of 1")
        finally:
            await context.__aexit__(None, None, None)


async def test_where_events_do_not_come_through_it_asks_again_and_again(browser: Browser, database: Database) -> None:
    async with pool_of(database, 1) as db:
        status = status_app(db)

        async def app(scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 - as ASGI has it
            if scope.get("path") == "/events":
                await send({"type": "http.response.start", "status": 502, "headers": []})
                await send({"type": "http.response.body"})
            else:
                await status(scope, receive, send)

        async with served(app) as server, looking(browser, server.url) as look:
            await wait_text(look, "#live", "Live, every 2 seconds")
            async with db.acquire():
                await wait_text(look, ".sentence", "All is well: 1 of 1")
