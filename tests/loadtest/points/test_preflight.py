"""Warnings: each for what it is about, and none where nothing is the matter."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.pooler import PoolerLimits, limits_of
from dbpool.loadtest.server.preflight import ClockWatch, clock_warnings, preflight

LIMITS = Limits("18", 180000, "r", "d", False, False, False, 100, 3, 0, None, None, 0, 0, 0)
SETTINGS = {"fsync": "on", "statement_timeout": "0"}
POOLER = limits_of("1.24.1", {"pool_mode": "transaction", "max_prepared_statements": "200"}, [])


def codes(
    limits: Limits = LIMITS,
    settings: dict[str, str | None] | None = None,
    *,
    mode: QueryMode = QueryMode.PREPARED,
    pooler: PoolerLimits | None = None,
    cores: int | None = None,
) -> list[str]:
    return [code for code, _ in preflight(limits, settings or SETTINGS, mode=mode, pooler=pooler, cores=cores)]


def test_a_server_alone_and_apart_is_nothing_to_warn_of() -> None:
    assert codes() == []
    assert codes(settings={"fsync": None, "statement_timeout": None}) == []


@pytest.mark.parametrize(("others", "words"), [(1, "1 session of others is on"), (7, "7 sessions of others are on")])
def test_others_on_the_server_are_told(others: int, words: str) -> None:
    [(code, text)] = preflight(replace(LIMITS, others=others), SETTINGS, mode=QueryMode.SIMPLE)
    assert code == "foreign_sessions"
    assert words in text


def test_a_machine_that_both_share_is_told_with_its_processors() -> None:
    limits = replace(LIMITS, is_local=True)
    [(code, text)] = preflight(limits, SETTINGS, mode=QueryMode.SIMPLE, cores=2)
    assert code == "same_machine"
    assert "the same 2 processors" in text
    assert codes(limits) == ["same_machine"]


def test_a_pooler_that_is_not_looked_at_is_told() -> None:
    pooled = replace(LIMITS, is_pooled=True)
    assert codes(pooled) == ["pooler_unseen"]
    assert codes(pooled, pooler=POOLER) == []


@pytest.mark.parametrize("kept", ["0", None])
def test_prepared_statements_that_a_pooler_does_not_keep_are_told(kept: str | None) -> None:
    pooled = replace(LIMITS, is_pooled=True)
    old = limits_of("1.18.0", {"pool_mode": "transaction", "max_prepared_statements": kept}, [])
    assert codes(pooled, pooler=old) == ["pooler_prepared"]
    assert codes(pooled, pooler=old, mode=QueryMode.EXTENDED) == []
    assert codes(pooled, pooler=replace(old, pool_mode="session")) == []


def test_settings_that_change_what_is_measured_are_told() -> None:
    assert codes(settings={"fsync": "off", "statement_timeout": "0"}) == ["fsync_off"]
    [(code, text)] = preflight(LIMITS, {**SETTINGS, "statement_timeout": "30s"}, mode=QueryMode.SIMPLE)
    assert code == "statement_timeout"
    assert "30s" in text


def test_a_clock_that_was_set_is_told_and_one_that_drifts_is_not() -> None:
    assert ClockWatch().warnings() == []
    assert clock_warnings(0.1) == clock_warnings(-0.1) == []
    assert "forward by 3.0 s" in clock_warnings(3.0)[0][1]
    assert "back by 3600.0 s" in clock_warnings(-3600.0)[0][1]
