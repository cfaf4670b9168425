"""The short form of the rig: nothing is touched by a cancel that was not meant for it; and the rig sees what is."""

from __future__ import annotations

import os

import pytest

from dbpool.core.route import Route
from tests.rigs.pooler.run import run
from tests.support.pgbouncer import PROGRAMS

SHORT_S = 6.0


def test_no_cancel_meets_an_innocent_statement() -> None:
    if not all(map(os.environ.get, PROGRAMS)):
        pytest.skip(f"not both of {', '.join(PROGRAMS)} are in the environment")
    found = run(SHORT_S, 1, lambda _: None)
    assert not found.violations, found.violations
    assert found.done["rounds"] >= 3
    assert found.done["innocent statements"] > 100
    assert found.done["statements cancelled"] + found.done["statements timed out"] > 50
    assert found.faults[54] > 50


def test_late_requests_are_seen_where_the_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in PROGRAMS:
        monkeypatch.delenv(program, raising=False)
    monkeypatch.setattr(Route, "is_direct", True)  # as if there were no pooler
    found = run(1.5, 2, lambda _: None)
    assert {violation.goal for violation in found.violations} == {"M10"}
