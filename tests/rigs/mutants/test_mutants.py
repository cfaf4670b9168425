"""Every planted bug still fits the source; the hook plants the one that is asked for; SIM finds some in seconds."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest

from tests.rigs.mutants import finding
from tests.rigs.mutants.finding import Hunt, Look, hunt_all
from tests.rigs.mutants.known import MUTANTS
from tests.rigs.mutants.planting import ROOT, Mutant, Stale, environment

GOALS = {f"M{number}" for number in range(1, 11)}
FOUND_SOON = ["skipped finally", "interrupted connection handed on", "cancelling costs the line's length"]


@pytest.mark.parametrize("mutant", MUTANTS.values(), ids=list(MUTANTS))
def test_a_mutant_is_not_stale(mutant: Mutant) -> None:
    source = (ROOT / mutant.file).read_text("utf-8")
    compile(mutant.planted(source), mutant.file, "exec")
    assert mutant.old != mutant.new
    for finder in mutant.finders:
        assert "/" not in finder or (ROOT / finder).is_file(), f"{finder} is not there"


def test_the_mutants_break_every_goal_that_a_rig_looks_after() -> None:
    assert len(MUTANTS) >= 15
    assert {mutant.goal for mutant in MUTANTS.values()} == GOALS


def test_a_stale_mutant_says_where() -> None:
    mutant = replace(MUTANTS["skipped finally"], old="no such line")
    with pytest.raises(Stale, match=r"'skipped finally' is stale: what it changes is 0 times in dbpool/lease\.py"):
        mutant.planted((ROOT / mutant.file).read_text("utf-8"))


def test_a_process_has_the_mutant_that_it_is_given_and_no_other_has() -> None:
    mutant = MUTANTS["backoff without a bound"]
    show = [sys.executable, "-c", "from dbpool.core.retry import Backoff; print(Backoff(1.0, 5.0).delay_s(3, 1.0))"]
    shown = [
        subprocess.run(show, cwd=ROOT, env=env, capture_output=True, text=True, check=True).stdout.strip()
        for env in (environment(mutant), environment(None), environment(mutant))
    ]
    assert shown == ["8.0", "5.0", "8.0"]


@pytest.mark.parametrize("name", FOUND_SOON)
def test_the_schedules_find_a_planted_bug(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "SCHEDULES", 60)
    hunted = Hunt(lambda _: None).of(MUTANTS[name])
    assert hunted.finder == "sim"
    assert hunted.reads


def test_a_finder_that_fails_without_the_bug_finds_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(finding, "_look", lambda *_: Look("something is always wrong"))
    hunted = Hunt(lambda _: None).of(MUTANTS["skipped finally"])
    assert hunted.finder == ""
    assert hunted.after == "sim fails without it: something is always wrong"


def test_one_that_survives_is_a_violation() -> None:
    harmless = replace(
        MUTANTS["skipped finally"], old="import logging\n", new="import logging  # as before\n", finders=()
    )
    said: list[str] = []
    found = hunt_all([harmless], said.append)
    assert [violation.goal for violation in found.violations] == ["M13"]
    assert found.done["found"] == 0
    assert "SURVIVED" in said[0]
