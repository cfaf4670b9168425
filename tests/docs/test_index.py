"""docs/index.md: its program prints what the page shows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.docs.guide import ROOT, printed_by, programs_of
from tests.support.databases import Database


async def test_the_first_program_prints_what_the_page_shows(database: Database, tmp_path: Path) -> None:
    (program,) = programs_of((ROOT / "docs" / "index.md").read_text("utf-8"))
    shown = "999000 by 10 connections\n"
    assert shown in (ROOT / "docs" / "index.md").read_text("utf-8")
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == shown
