"""docs/guides/from-asyncpg.md: the names and defaults in its tables are those that there are."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields

import asyncpg

from dbpool import DatabasePool, PoolSettings
from tests.docs.guide import ROOT

TEXT = (ROOT / "docs" / "guides" / "from-asyncpg.md").read_text("utf-8")
SETTINGS = {field.name: field.default for field in fields(PoolSettings)}


def test_the_table_of_settings_says_what_there_is_and_its_defaults() -> None:
    table = TEXT.partition("| `create_pool` | `DatabasePool` |")[2].partition("\n\n")[0]
    theirs = {**inspect.signature(asyncpg.create_pool).parameters, **inspect.signature(asyncpg.connect).parameters}
    rows = re.findall(r"^\| (.*) \| (.*) \|$", table, re.MULTILINE)[1:]
    for left, right in rows:
        for name in re.findall(r"`(\w+)=", left):
            assert name in theirs
        for name, value in re.findall(r"`(\w+)=([\d.]*)", right):
            assert name in SETTINGS
            if value and name not in ("max_connections", "min_connections"):
                assert SETTINGS[name] == float(value)
    assert (SETTINGS["max_connections"], SETTINGS["min_connections"]) == (5, 0)


def test_the_table_of_calls_names_what_there_is() -> None:
    table = TEXT.partition("| asyncpg | dbpool |")[2].partition("\n\n")[0]
    named = re.findall(r"\bdb\.(\w+)", table)
    assert len(named) >= 5
    assert [name for name in named if not hasattr(DatabasePool, name)] == []
