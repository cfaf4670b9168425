"""``python -m tests.rigs``, with rigs that take no time."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.rigs.known import ROOT

HEAD = '''"""A rig that {says}."""
import time
from collections import Counter
from tests.rigs.findings import Findings, Violation
def run(seconds, seed, say):
    say("at work")
'''
RIGS = {
    "good": '    return Findings("good", Counter(tries=1), Counter({3: 2}), figures={"seed": seed, "for_s": seconds})',
    "bad": '    return Findings("bad", violations=[Violation("M3", "a row is lost", "python again")])',
    "broken": '    raise ValueError("of no use")',
    "deaf": "    time.sleep(60)",
    "endless": """    try:
        time.sleep(60)
    except KeyboardInterrupt:
        return Findings("endless", Counter(tries=7))""",
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name, body in RIGS.items():
        (tmp_path / "fewrigs" / name).mkdir(parents=True)
        (tmp_path / "fewrigs" / name / "run.py").write_text(HEAD.format(says=name) + body + "\n")
    (tmp_path / "fewrigs" / "norig").mkdir()
    return tmp_path


def begun(place: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.rigs", "--among", "fewrigs", *words],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(place)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ran(place: Path, *words: str) -> tuple[int, str, str]:
    process = begun(place, *words)
    out, err = process.communicate(timeout=50)
    return process.returncode, out, err


def test_the_rigs_that_there_are_are_listed(place: Path) -> None:
    code, out, _ = ran(place, "--help")
    assert code == 0
    assert all(f"A rig that {name}." in out for name in RIGS)
    assert "norig" not in out


def test_chaos_says_what_was_done_and_found_and_how_to_have_it_again(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "new" / "found.json"
    words = ("--minutes", "0.2", "--seed", "5", "--rigs", "good,bad,broken", "--json", str(file))
    code, out, err = ran(place, "chaos", *words)
    assert code == 1, err
    assert "seed 5" in err
    assert "1  tries" in out
    assert "3: 2" in out
    assert "M3 VIOLATED: a row is lost\n  again: python again\n" in out
    assert "M13 VIOLATED: the rig broken ended with exit code 1: ValueError: of no use" in out
    found: dict[str, Any] = json.loads(file.read_text())
    assert [rig["rig"] for rig in found["rigs"]] == ["bad", "broken", "good"]
    assert (found["is_whole"], found["seed"], found["rigs"][2]["figures"]["seed"]) == (True, 5, 5)


def test_one_rig_has_all_the_time_it_was_given(place: Path, tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    code, out, _ = ran(place, "good", "--seconds", "300", "--seed", "9", "--json", str(file))
    assert code == 0, out
    assert json.loads(file.read_text())["rigs"][0]["figures"] == {"seed": 9, "for_s": 300.0}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_is_stopped_says_what_it_found_so_far(place: Path, tmp_path: Path, number: int) -> None:
    file = tmp_path / "found.json"
    words = ("--rigs", "deaf,endless", "--processors", "2", "--json", str(file))
    process = begun(place, "soak", "--hours", "1", *words)
    assert process.stderr is not None
    while "deaf: at work; endless: at work" not in process.stderr.readline():
        pass
    process.send_signal(number)
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "7  tries" in out
    assert "deaf: was stopped before it had anything to say" in out
    assert json.loads(file.read_text())["is_whole"] is False


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("nosuch",), "No such command 'nosuch'"),
        (("chaos", "--rigs", "nosuch"), "there is no rig nosuch; there are bad, broken"),
        (("chaos", "--minutes", "0"), "0.0 is not in the range x>0"),
        (("good", "--seconds", "nan"), "nan has no end"),
        (("soak", "--hours", "inf"), "inf has no end"),
        (("good", "--json", "/dev/null/found.json"), "/dev/null/found.json cannot be written: "),
    ],
)
def test_what_cannot_be_is_one_sentence(place: Path, words: tuple[str, ...], said: str) -> None:
    code, _, err = ran(place, *words)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
