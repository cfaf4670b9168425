"""docs/sqlalchemy.md: the errors and options that it names are there."""

from __future__ import annotations

import dbpool
from dbpool.sqlalchemy.engine import REFUSED
from tests.docs.guide import ROOT

TEXT = (ROOT / "docs" / "sqlalchemy.md").read_text("utf-8")


def test_the_errors_and_options_of_the_orms_section_are_there() -> None:
    section = TEXT.partition("## The ORM on the same bound")[2]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in row.split("|")[1].replace("`", "").replace(",", " ").split()]
    assert len(named) > 1
    assert [name for name in named if not hasattr(dbpool, name)] == []
    assert {name for name in REFUSED if f"`{name}`" in section} >= {"pool_size", "max_overflow", "pool_pre_ping"}
