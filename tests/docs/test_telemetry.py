"""docs/telemetry.md: every metric in it is there."""

from __future__ import annotations

import re

from prometheus_client import CollectorRegistry

from dbpool import DatabasePool
from dbpool.telemetry import conventions
from dbpool.telemetry.prometheus import PoolCollector
from tests.docs.guide import ROOT

TEXT = (ROOT / "docs" / "telemetry.md").read_text("utf-8")


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
