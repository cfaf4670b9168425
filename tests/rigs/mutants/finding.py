"""Whether a planted bug is found, by what, and how soon."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Final

from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.mutants.planting import ROOT, Mutant, environment

LONGEST_READ: Final = 140  # characters
SCHEDULES: Final = 10_000
RIG_S: Final = 60.0
_BRIEFLY: Final = {True: 10, False: 3.0}  # schedules or seconds: whether it works at all
_HUNT: Final = [sys.executable, "-m", "tests.rigs.mutants.hunt"]
PATIENCE_S: Final = 300.0  # for a hunt; what hangs with a bug in it was found, too


@dataclass(frozen=True, slots=True)
class Hunted:
    """What came of one mutant."""

    mutant: Mutant
    finder: str
    """What found it; empty: nothing did."""
    after: str
    reads: str
    """What the finder says is wrong."""
    took_s: float

    def row(self) -> dict[str, Any]:
        """For a table."""
        found_by = self.finder or "nothing"
        return {
            "bug": self.mutant.name,
            "as in": self.mutant.origin,
            "breaks": self.mutant.goal,
            "found by": f"`{found_by}`" if "/" in found_by else found_by,
            "after": self.after,
            "reads": _short(self.reads),
        }


def hunt(mutant: Mutant) -> Hunted:
    """Let its finders look for *mutant*, one after the other, until one finds it."""
    started, looked = time.monotonic(), "nothing that could find it is here"
    for finder in mutant.finders:
        if "/" not in finder and find_spec(f"tests.rigs.{finder}") is None:
            continue
        began = time.monotonic()
        reads, looked = _by_tests(mutant, finder) if "/" in finder else _by_rig(mutant, finder)
        if reads:
            after = looked or f"{time.monotonic() - began:.0f} s"
            return Hunted(mutant, finder, after, reads, time.monotonic() - started)
    return Hunted(mutant, "", looked, "", time.monotonic() - started)


def _by_rig(mutant: Mutant, rig: str) -> tuple[str, str]:
    budget = SCHEDULES if rig == "sim" else RIG_S
    ended = _run([*_HUNT, rig, str(budget)], mutant)
    if ended is None:
        return f"it hangs for {PATIENCE_S:.0f} s", ""
    if ended.returncode < 0:  # a crash says nothing of the mutant
        return "", f"{rig} was ended by signal {-ended.returncode}"
    if ended.returncode:
        reads = _last_line(ended.stderr)
        sane = _run([*_HUNT, rig, str(_BRIEFLY[rig == "sim"])], None)
        return (
            ("", f"{rig} does not work without it, either: {reads}") if sane is None or sane.returncode else (reads, "")
        )
    found = Findings.from_plain(json.loads(ended.stdout.splitlines()[-1]))
    schedules = found.done["schedules"]
    after = f"{schedules:,} schedules" if rig == "sim" else ""
    return (found.violations[0].text if found.violations else ""), after


def _by_tests(mutant: Mutant, path: str) -> tuple[str, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", path]
    ended = _run(command, mutant)
    if ended is None:
        return f"they hang for {PATIENCE_S:.0f} s", ""
    if ended.returncode != 1:  # 1: a test failed; whatever else it is, nothing was found
        return "", _last_line(ended.stdout)
    if (sane := _run(command, None)) is None or sane.returncode:
        return "", f"{path} fails without it, too"
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", ended.stdout, re.MULTILINE)
    return (failed[1].rpartition("::")[2] if failed else _last_line(ended.stdout)), ""


def _run(command: list[str], mutant: Mutant | None) -> subprocess.CompletedProcess[str] | None:
    """None: it did not end."""
    env = dict(os.environ) if mutant is None else environment(mutant)
    try:
        return subprocess.run(
            command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=PATIENCE_S, check=False
        )
    except subprocess.TimeoutExpired:
        return None


def _short(text: str) -> str:
    """For a table: without what an event loop adds in brackets, and of one line's length."""
    return textwrap.shorten(text.partition(" ({")[0], LONGEST_READ, placeholder=" …")


def _last_line(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1] if lines else ""


def hunt_all(mutants: Iterable[Mutant], say: Say) -> Findings:
    """Hunt for each of *mutants*; one that nothing finds is a violation of M13."""
    found = Findings("mutants")
    started = time.monotonic()
    rows = []
    for mutant in mutants:
        hunted = hunt(mutant)
        rows.append(hunted.row())
        found.done.update(mutants=1, found=bool(hunted.finder))
        if hunted.finder:
            say(f"{mutant.name}: found by {hunted.finder} after {hunted.after}: {hunted.reads}")
        else:
            say(f"{mutant.name}: SURVIVED ({hunted.after})")
            again = f"python -m tests.rigs mutants --only {mutant.name!r}"
            found.violations.append(Violation("M13", f"nothing finds the planted bug {mutant.name!r}", again))
    found.figures["table"] = rows
    found.took_s = time.monotonic() - started
    return found
