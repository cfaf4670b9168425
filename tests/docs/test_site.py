"""The site: it can be built, every public name is in its reference, and it asks for nothing from elsewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import dbpool
from tests.docs.guide import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    ended = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")
    return folder


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    documented = set(
        re.findall(r'id="(dbpool\.[\w.]+)"', "".join(page.read_text() for page in site.glob("api/*.html")))
    )
    last_parts = {name.rpartition(".")[2] for name in documented}
    assert set(dbpool.__all__) - last_parts == set()


def test_every_page_is_in_the_navigation(site: Path) -> None:
    start = (site / "index.html").read_text()
    pages = {str(page.relative_to(site)) for page in site.rglob("*.html")} - {"404.html"}
    assert {page for page in pages if f'href="{page}"' not in start} - {"index.html"} == set()


def test_sections_of_docstrings_are_told_apart(site: Path) -> None:
    pool = (site / "api" / "pool.html").read_text()
    assert "Cancelling:</strong>" in pool
    assert not re.search(r"<p>(Args|Raises|Returns|Cancelling|Example):", pool)


def test_nothing_is_fetched_from_elsewhere(site: Path) -> None:
    tags = re.compile(
        r'<(?:script|img|iframe)[^>]* src="(https?://[^"]*)|<link[^>]* rel="stylesheet"[^>]* href="(https?:[^"]*)'
    )
    assert {page.name: tags.findall(page.read_text()) for page in site.rglob("*.html")} == {
        page.name: [] for page in site.rglob("*.html")
    }
