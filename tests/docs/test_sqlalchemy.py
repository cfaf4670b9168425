"""docs/sqlalchemy.md: its programs run, and print what it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

PROGRAMS = programs_of((ROOT / "docs" / "sqlalchemy.md").read_text("utf-8"))


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_a_program_prints_what_the_guide_says(program: Program, tmp_path: Path, database: Database) -> None:
    assert program.shown is not None
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown
