"""The short form of the rig, and that it does what it says: trouble of every kind, the same for the same seed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest
from hypothesis import Phase

from dbpool.connecting import Connector
from dbpool.gate import Gate
from tests.rigs.sim.regressions import REGRESSIONS
from tests.rigs.sim.replay import traced
from tests.rigs.sim.run import AT_A_TIME, explore, machines, replay, run
from tests.rigs.sim.schedule import LONG_EVERY, Schedule

ROOT = Path(__file__).parents[3]
SCHEDULES = 600
ROWS = {1, 2, 4, 6, 11, 12, 14, 15, 16, 21, 23, 24, 25, 27, 28, 32, 33, 35, 39, 40, 63, 64, 65, 66, 67, 75, 76}


def test_no_schedule_breaks_what_must_always_be_true() -> None:
    found = explore(0, lambda _: None, schedules=SCHEDULES)
    assert not found.violations, found.violations
    assert found.done["schedules"] == SCHEDULES
    assert found.done["cancellations"] > SCHEDULES
    assert found.done["steps"] > 50 * SCHEDULES
    assert {row for row, times in found.faults.items() if times} == ROWS


@pytest.mark.parametrize("name", REGRESSIONS)
def test_what_once_broke_something_does_not_again(name: str) -> None:
    Schedule(REGRESSIONS[name]).play()


def test_a_schedule_is_the_same_each_time_in_every_process() -> None:
    seeds = [1, 2, LONG_EVERY]
    program = f"from tests.rigs.sim.replay import traced; print(*map(traced, {seeds}))"
    command = [sys.executable, "-c", program]
    other = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
    assert other.stdout.split() == [traced(seed) for seed in seeds] == [traced(seed) for seed in seeds]
    assert len(set(other.stdout.split())) == len(seeds)


def test_a_run_goes_on_for_its_time_and_counts_what_it_did() -> None:
    said: list[str] = []
    found = run(2.0, 5, said.append)
    assert found.rig == "sim"
    assert found.figures["schedules_per_s"] > 0
    assert found.done["schedules"] > 0
    assert found.done["state machines"] > 0


def test_what_is_stopped_says_what_it_found_with_seed_and_commit(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    words = [sys.executable, "-m", "tests.rigs", "sim", "--seconds", "60", "--seed", "5", "--json", str(file)]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "schedules" not in process.stderr.readline():
        pass
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "schedules" in out
    found = json.loads(file.read_text("utf-8"))
    assert (found["seed"], found["is_whole"], found["rigs"][0]["rig"]) == (5, False, "sim")
    assert found["rigs"][0]["done"]["schedules"] > 0
    assert found.keys() >= {"commit", "date", "machine"}


def test_a_state_machine_that_breaks_something_is_told_with_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "_grant_all", lambda self: None)
    monkeypatch.setattr("tests.rigs.sim.run.AT_A_TIME", hypothesis.settings(AT_A_TIME, phases=[Phase.generate]))
    (violation,) = machines(60.0, 1).violations
    assert violation.goal == "M9"
    assert "state.acquire(" in violation.text


def test_what_goes_on_without_ever_waiting_is_told_with_its_seed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def spinning(self: Connector) -> None:
        await self._tasks.wait_all()  # which an opener outlives by some turns

    monkeypatch.setattr(Connector, "wait_opened", spinning)
    monkeypatch.setattr("tests.rigs.sim.run.LONGEST_PLAY_S", 2.0)
    seed = REGRESSIONS["a pause for which a connect has ended, and is not yet counted as ended"]
    (violation,) = explore(seed, lambda _: None, schedules=1).violations
    assert (violation.goal, violation.replay) == ("M6", replay(seed))
