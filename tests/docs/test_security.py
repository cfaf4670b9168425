"""docs/guides/security.md: its programs print what it shows, and its SQL runs."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database
from tests.support.pools import role_in, witness_of

TEXT = (ROOT / "docs" / "guides" / "security.md").read_text("utf-8")
TABLE, ROLE = re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL)


@pytest.mark.parametrize("program", programs_of(TEXT), ids=str)
async def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, database: Database) -> None:
    async with role_in(database) as dsn:
        async with witness_of(database) as witness:
            await witness.run(f"{TABLE}; grant all on notes to public")
        assert await asyncio.to_thread(printed_by, program, tmp_path, dsn) == program.shown


async def test_the_roles_settings_are_settings(database: Database) -> None:
    async with witness_of(database) as witness:
        await witness.run(f"begin; {ROLE.replace(' app ', ' app_of_the_guide ')} rollback")
