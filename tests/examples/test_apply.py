"""The examples' tables are made by a script that can be run again."""

from __future__ import annotations

import asyncpg
import pytest

from examples.services import apply
from tests.support.databases import Database
from tests.support.serving import ROOT


@pytest.mark.parametrize("name", ["shop", "outbox", "queue"])
async def test_a_script_makes_its_tables_and_can_be_run_again(
    name: str, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database.dsn)
    script = (ROOT / "examples" / "services" / f"{name}.sql").read_text("utf-8")
    for _ in range(2):
        await apply.main(script)
    witness = await asyncpg.connect(database.dsn)
    try:
        assert await witness.fetchval("select count(*) from pg_tables where schemaname = 'public'") >= 1
    finally:
        await witness.close()
