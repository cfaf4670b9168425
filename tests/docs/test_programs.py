"""Every program of the guides here prints what they show below it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

PAGES = {  # and how many programs each has at the least
    "index.md": 1,
    "sqlalchemy.md": 4,
    "telemetry.md": 3,
    "guides/from-asyncpg.md": 4,
    "guides/what-happens-when.md": 9,
}
PROGRAMS = {page: programs_of((ROOT / "docs" / page).read_text("utf-8")) for page in PAGES}


@pytest.mark.parametrize(
    "program",
    [pytest.param(program, id=f"{page}: {program}") for page in PAGES for program in PROGRAMS[page]],
)
async def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, database: Database) -> None:
    assert program.shown is not None
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown


@pytest.mark.parametrize("page", PAGES)
def test_every_program_was_found(page: str) -> None:
    assert PAGES[page] <= len(PROGRAMS[page]) == (ROOT / "docs" / page).read_text("utf-8").count("```python\n")
