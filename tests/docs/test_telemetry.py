"""docs/telemetry.md: every program in it prints what the guide says, and every metric in it is there."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from dbpool import DatabasePool
from dbpool.telemetry import conventions
from dbpool.telemetry.prometheus import PoolCollector
from tests.docs.guide import ROOT, Program, printed_by, programs_of
from tests.support.databases import Database

TEXT = (ROOT / "docs" / "telemetry.md").read_text("utf-8")
PROGRAMS = programs_of(TEXT)


@pytest.mark.parametrize("program", PROGRAMS, ids=str)
async def test_a_program_prints_what_the_guide_shows(program: Program, tmp_path: Path, database: Database) -> None:
    assert program.shown is not None
    assert await asyncio.to_thread(printed_by, program, tmp_path, database.dsn) == program.shown


def test_the_table_has_every_metric() -> None:
    families = PoolCollector(DatabasePool("postgresql://app@nowhere/shop")).describe()
    names = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    table = "".join(line for line in TEXT.splitlines() if line.startswith("|"))
    shown = {f"dbpool{name.removeprefix('dbpool')}" for name in re.findall(r"`((?:dbpool)?_[a-z_]+)`", table)}
    assert shown == names
    CollectorRegistry().register(PoolCollector())


def test_every_convention_is_named() -> None:
    for name in (value for key, value in vars(conventions).items() if key.startswith("DB_CLIENT_CONNECTION_")):
        assert name.removeprefix("db.client.connection") in TEXT or name.endswith(".state"), name
