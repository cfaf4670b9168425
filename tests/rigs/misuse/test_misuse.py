"""The rig that misuses pools, in short; and that it sees what it looks for."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from dbpool import queries
from dbpool.connection import PooledConnection
from dbpool.lease import Lease
from tests.rigs.misuse import holding, stage
from tests.rigs.misuse.cases import CASES
from tests.rigs.misuse.ground import Ground, prepared
from tests.rigs.misuse.run import Misuse, run
from tests.rigs.quiet import quiet
from tests.rigs.rigserver import rig_server


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with quiet(), rig_server() as server, prepared(server) as ground:
        yield ground


def goals_broken(ground: Ground, rows: set[int]) -> set[str]:
    """By those rows alone, on both loops."""
    misuse = Misuse(ground, [case for case in CASES if case.row in rows], 0.4, 1, print)
    return {violation.goal for violation in misuse.go_on().violations}


@pytest.mark.filterwarnings("ignore")  # of what is forgotten, and is meant to be
def test_every_row_is_met_and_nothing_is_violated() -> None:
    found = run(6.0, 20261129, print)
    assert found.violations == []
    missing = {case.row for case in CASES} - {row for row, times in found.faults.items() if times}
    assert not missing
    assert found.done["looks at the server"] >= 2


def test_a_check_that_is_left_out_is_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert goals_broken(ground, {81}) == set()
    monkeypatch.setattr(queries, "_check_text", lambda *_: None)
    assert goals_broken(ground, {81}) == {"M6"}


def test_a_permit_that_is_lost_is_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    assert goals_broken(ground, {61}) == set()
    for module in holding, stage:
        monkeypatch.setattr(module, "PATIENCE_S", 0.05)
    monkeypatch.setitem(stage.LIMITS, "close_timeout", 0.05)
    monkeypatch.setattr(Lease, "reclaim", lambda _: None)
    assert "M1" in goals_broken(ground, {61})


def test_a_session_that_is_not_reset_is_seen(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    async def clean(self: PooledConnection, timeout: float) -> None:
        self.is_interrupted = False

    assert goals_broken(ground, {61}) == set()
    monkeypatch.setattr(PooledConnection, "clean", clean)
    assert goals_broken(ground, {61}) == {"M10"}
