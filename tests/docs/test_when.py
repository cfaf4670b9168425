"""docs/guides/what-happens-when.md: every program prints what is shown, every error of the table is one."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

import dbpool
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

TEXT = (ROOT / "docs" / "guides" / "what-happens-when.md").read_text("utf-8")
PROGRAMS = programs_of(TEXT)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, database: Database) -> None:
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown


def test_every_error_in_the_table_is_one_of_the_pools() -> None:
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) >= 10
    assert all(issubclass(getattr(dbpool, name), dbpool.DbPoolError) for name in names)
