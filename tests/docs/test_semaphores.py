"""docs/semaphores.md: every program in it prints what the guide says."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

TEXT = (ROOT / "docs" / "semaphores.md").read_text("utf-8")
PROGRAMS = programs_of(TEXT)
DRAWBACKS = [
    "1. Blocking and deadlock",
    "2. Starvation",
    "3. Fairness",
    "4. Scalability",
    "5. Debugging",
    "6. async and await",
    "7. Timeouts",
    "8. Cancellation",
]
PITFALLS = [
    "Pitfall 1: a permit that nobody gives back",
    "Pitfall 2: two limits at once",
    "Pitfall 3: errors on the way out",
    "Pitfall 4: one release too many",
]
REMEDIES = ["The remedy: a lock instead", "And one more: a semaphore is no rate limit"]
SECTIONS = [*DRAWBACKS, *PITFALLS, *REMEDIES]


@pytest.mark.parametrize("program", [one for one in PROGRAMS if not one.needs_server], ids=str)
def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path) -> None:
    assert printed_by(program, tmp_path) == program.shown


@pytest.mark.parametrize("program", [one for one in PROGRAMS if one.needs_server], ids=str)
async def test_a_program_with_a_server_prints_what_the_guide_shows(
    program: Program, tmp_path: Path, database: Database
) -> None:
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown


def test_every_program_is_shown_with_its_output() -> None:
    assert [str(program) for program in PROGRAMS if program.shown is None] == []
    assert len(PROGRAMS) == TEXT.count("```python")


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_has_a_program_that_fails_and_its_answer_on_dbpool(section: str) -> None:
    programs = [program for program in PROGRAMS if program.section == section]
    plain = [program.source for program in programs if not program.uses_dbpool]
    assert any(re.search(r"asyncio\.(Semaphore|Lock)\(", source) for source in plain)
    assert len(plain) < len(programs)


def test_the_table_at_the_start_leads_to_every_section() -> None:
    linked = re.findall(r"^\|.*\]\(#([\w-]+)\) \|$", TEXT, re.MULTILINE)
    assert linked == [re.sub(r"[^\w -]", "", section).lower().replace(" ", "-") for section in SECTIONS]
