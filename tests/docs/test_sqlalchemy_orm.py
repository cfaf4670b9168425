"""docs/sqlalchemy.md, the ORM's half: every program in it prints what the guide says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import dbpool
from dbpool.sqlalchemy.engine import REFUSED
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

TEXT = (ROOT / "docs" / "sqlalchemy.md").read_text("utf-8")
SECTION = "The ORM on the same bound"
PROGRAMS = [program for program in programs_of(TEXT) if program.section == SECTION]


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, database: Database) -> None:
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown


def test_the_errors_and_options_that_the_guide_names_are_there() -> None:
    section = TEXT.partition(f"## {SECTION}")[2]
    assert len(PROGRAMS) == 2
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in row.split("|")[1].replace("`", "").replace(",", " ").split()]
    assert [name for name in named if not hasattr(dbpool, name)] == []
    assert {name for name in REFUSED if f"`{name}`" in section} >= {"pool_size", "max_overflow", "pool_pre_ping"}
