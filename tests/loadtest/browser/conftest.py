"""One browser for all tests here; none, and they are skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser

from dbpool.loadtest.report.html import page
from tests.support.chromium import browsing, skip_without_chromium
from tests.support.loadtestdocument import sample_document


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    skip_without_chromium(items, Path(__file__).parent)


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with browsing() as browser:
        yield browser


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "report.html"
    file.write_text(page(sample_document()), encoding="utf-8")
    return file
