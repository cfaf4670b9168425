"""The system's Chromium, to look at pages with."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Page, async_playwright

NAMES: Final = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS: Final = ("--no-sandbox", "--disable-background-networking", "--disable-component-update", "--no-first-run")


def find_chromium() -> str | None:
    """Where it is; None: there is none."""
    return next((path for name in NAMES if (path := shutil.which(name)) is not None), None)


def skip_without_chromium(items: Sequence[pytest.Item], folder: Path) -> None:
    """Mark the tests in *folder* to be skipped where there is none."""
    if find_chromium() is None:
        reason = "no Chromium on the PATH (on Debian and Ubuntu: apt install chromium)"
        for item in items:
            if item.path.is_relative_to(folder):
                item.add_marker(pytest.mark.skip(reason=reason))


@asynccontextmanager
async def browsing() -> AsyncIterator[Browser]:
    """A browser with a fresh profile."""
    path = find_chromium()
    assert path is not None
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Look:
    """A page that is looked at, with all that it complained of and asked for."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    async def ask(self, script: str, argument: Any = None) -> Any:  # noqa: ANN401 - as JavaScript has it
        return await self.page.evaluate(script, argument)

    async def texts(self, selector: str) -> Sequence[str]:
        return await self.page.locator(selector).all_inner_texts()


@asynccontextmanager
async def looking(
    browser: Browser,
    url: str | Path,
    *,
    width: int = 1280,
    is_dark: bool = False,
    has_script: bool = True,
    is_offline: bool = False,
) -> AsyncIterator[Look]:
    """Open *url*, a file's if it is a path."""
    context = await browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if is_dark else "light",
        java_script_enabled=has_script,
        offline=is_offline,
    )
    look = Look(await context.new_page())
    look.page.set_default_timeout(20_000)
    look.page.on("console", lambda said: look.complaints.append(said.text) if said.type != "log" else None)
    look.page.on("pageerror", lambda error: look.complaints.append(str(error)))
    look.page.on("request", lambda request: look.requests.append(request.url))
    await look.page.goto(url.as_uri() if isinstance(url, Path) else url)
    try:
        yield look
    finally:
        await context.close()
