"""The live page in a real browser, from the first second of a run to its final report."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

from playwright.async_api import Browser

from dbpool.loadtest.events import Events
from dbpool.loadtest.live.livepage import LivePage
from tests.support.chromium import looking
from tests.support.loadtestdocument import sample_document
from tests.support.replay import Replay

SECONDS = "() => Plots.made.get('timeline')?.figure.xs.length ?? 0"


async def test_the_page_follows_the_run_and_ends_as_its_report(browser: Browser) -> None:
    replay = Replay(sample_document())
    page = LivePage(Events(), replay.so_far)
    replay.listen(page.take)
    opened = AsyncExitStack()
    await opened.enter_async_context(page)
    async with opened, looking(browser, page.url) as look:
        await look.page.wait_for_function("() => document.querySelector('.status').textContent === 'running'")
        assert await look.page.locator("[data-figure=throughput]").count() == 0
        replay.begin()
        replay.load()
        await look.page.wait_for_function("() => document.getElementById('now').textContent.includes('calibrate')")
        replay.seconds(3)
        await look.page.wait_for_function(f"() => ({SECONDS})() === 3")
        replay.point()
        replay.measure(4)
        await look.page.wait_for_selector("[data-figure=throughput].drawn")
        await look.page.wait_for_function(f"() => ({SECONDS})() === 60")
        await look.page.locator("[data-figure=throughput] summary").click()
        replay.load()
        replay.seconds(2)  # added to the line, without drawing all anew
        await look.page.wait_for_function(f"() => ({SECONDS})() === 62")
        replay.point()
        await look.page.wait_for_function(f"() => ({SECONDS})() === 72")
        assert await look.ask("() => document.querySelector('[data-figure=throughput] details').open")
        replay.measure(1)
        for _ in range(5):
            await asyncio.sleep(0)  # the page is being drawn now, as of then
        replay.load()
        replay.seconds(2)
        await look.page.wait_for_function(f"() => ({SECONDS})() === 86")
        replay.point()
        replay.measure(len(replay.document["points"]) - 8)
        replay.end()
        closing = asyncio.create_task(opened.aclose())
        await look.page.wait_for_function("() => document.getElementById('now').textContent.includes('is over')")
        assert await look.ask("() => Live.source.readyState") == 2
        await closing
        assert await look.page.locator(".status").inner_text() == "complete"
        assert await look.page.locator(".verdict strong").inner_text() == "14"
        assert await look.page.locator("figure.drawn").count() == await look.page.locator("figure.plot").count() >= 18
        await look.page.locator("[data-figure=throughput] .lively").focus()
        await look.page.keyboard.press("ArrowRight")
        assert await look.page.locator("[data-figure=throughput] [aria-live]").inner_text()
        assert look.complaints == []


async def test_whoever_opens_the_page_late_sees_all_so_far(browser: Browser) -> None:
    replay = Replay(sample_document())
    page = LivePage(Events(), replay.so_far)
    replay.listen(page.take)
    async with page:
        replay.measure(12)
        replay.load()
        replay.seconds(5)
        async with looking(browser, page.url, width=390) as look:
            await look.page.wait_for_function(f"() => ({SECONDS})() === 12 * 12 + 5")
            assert await look.ask("() => document.documentElement.scrollWidth") == 390
            assert look.complaints == []
