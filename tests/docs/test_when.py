"""docs/guides/what-happens-when.md: every error of its table is one of the pool's."""

from __future__ import annotations

import re

import dbpool
from tests.docs.guide import ROOT

TEXT = (ROOT / "docs" / "guides" / "what-happens-when.md").read_text("utf-8")


def test_every_error_in_the_table_is_one_of_the_pools() -> None:
    rows = re.findall(r"^\| (`.*?) \|", TEXT, re.MULTILINE)
    names = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
    assert len(names) >= 10
    assert all(issubclass(getattr(dbpool, name), dbpool.DbPoolError) for name in names)
