"""docs/sqlalchemy.md: its programs run, and print what it says."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import dbpool
from dbpool.sqlalchemy.engine import REFUSED
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

TEXT = (ROOT / "docs" / "sqlalchemy.md").read_text("utf-8")
PROGRAMS = programs_of(TEXT)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_a_program_prints_what_the_guide_says(program: Program, tmp_path: Path, database: Database) -> None:
    assert program.shown is not None
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown


def test_the_errors_and_options_of_the_orms_section_are_there() -> None:
    section = TEXT.partition("## The ORM on the same bound")[2]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in row.split("|")[1].replace("`", "").replace(",", " ").split()]
    assert len(named) > 1
    assert [name for name in named if not hasattr(dbpool, name)] == []
    assert {name for name in REFUSED if f"`{name}`" in section} >= {"pool_size", "max_overflow", "pool_pre_ping"}
