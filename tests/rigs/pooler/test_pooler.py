"""The short form of the rig: nothing is touched by a cancel that was not meant for it; and the rig sees what is."""

from __future__ import annotations

import os

import pytest

from dbpool.core.route import Route
from tests.rigs.pooler.run import storm
from tests.support.pgbouncer import PROGRAMS

ROUNDS = 3  # one through each PgBouncer, the second in trouble, and one of late requests


def test_no_cancel_meets_an_innocent_statement() -> None:
    if not all(map(os.environ.get, PROGRAMS)):
        pytest.skip(f"not both of {', '.join(PROGRAMS)} are in the environment")
    found = storm(1, lambda _: None, 1.5, "again", lambda so_far: so_far.done["rounds"] < ROUNDS)
    assert not found.violations, found.violations
    assert found.done["rounds"] == ROUNDS
    assert found.done["innocent statements"] > 50
    assert found.done["statements cancelled"] + found.done["statements timed out"] > 50
    assert found.faults[53] > 0
    assert found.faults[54] > 50


def test_late_requests_are_seen_where_the_connection_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    for program in PROGRAMS:
        monkeypatch.delenv(program, raising=False)
    monkeypatch.setattr(Route, "is_direct", True)  # as if there were no pooler
    found = storm(2, lambda _: None, 1.0, "again", lambda so_far: not so_far.violations and so_far.done["rounds"] < 10)
    assert {violation.goal for violation in found.violations} == {"M10"}
