"""Whether a planted bug is found, by what, and how soon."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from tests.rigs.findings import Findings, Say, Violation
from tests.rigs.mutants.planting import ROOT, Mutant, environment

LONGEST_READ: Final = 140  # characters
SCHEDULES: Final = 2_000
# Of a rig's run: most find what is planted in a fraction of it.
SECONDS: Final = {"availability": 40.0, "bound": 30.0, "ledger": 40.0, "session": 12.0, "sweep": 50.0, "wire": 60.0}
PATIENCE_S: Final = 240.0  # for one hunt
# What is stored is not what was told: which of them a rig calls it depends on what it sees of it.
OF_WRITES: Final = frozenset({"M3", "M4", "M5"})


@dataclass(frozen=True, slots=True)
class Look:
    """What one finder says, of the pool as it is or with a bug in it."""

    reads: str = ""
    """What is wrong; empty: nothing."""
    after: str = ""
    """How much of its work that took, or why it could not look."""
    has_looked: bool = True


@dataclass(frozen=True, slots=True)
class Hunted:
    """What came of one mutant."""

    mutant: Mutant
    finder: str
    """What found it; empty: nothing did."""
    after: str
    reads: str
    """What the finder says is wrong."""

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


class Hunt:
    """Looks for one mutant after the other.

    A finder is believed only if it finds nothing of the same kind in the pool as it is, by the same seed and as long a
    look, and only what the bug breaks: on a busy machine a rig may tell of awaits that were late with or without it.
    """

    def __init__(self, say: Say) -> None:
        self._say = say
        self._without: dict[tuple[str, frozenset[str]], Look] = {}

    def of(self, mutant: Mutant) -> Hunted:
        """Let its finders look for *mutant*, one after the other, until one finds it."""
        why = []
        for finder in mutant.finders:
            without = self._look_without(finder, _goals(finder, mutant))
            if without.reads or not without.has_looked:
                why.append(f"{finder} fails without it: {without.reads or without.after}")
                continue
            began = time.monotonic()
            look = _look(finder, _goals(finder, mutant), mutant)
            if look.reads:
                return Hunted(mutant, finder, look.after or f"{time.monotonic() - began:.0f} s", look.reads)
            why.append(f"{finder}: {look.after or 'nothing'}")
        return Hunted(mutant, "", "; ".join(why), "")

    def _look_without(self, finder: str, goals: frozenset[str]) -> Look:
        if (finder, goals) not in self._without:
            look = self._without[finder, goals] = _look(finder, goals, None)
            self._say(f"without a bug: {finder} finds {look.reads or 'nothing'}")
        return self._without[finder, goals]


def _goals(finder: str, mutant: Mutant) -> frozenset[str]:
    """Whose violations count; none: all do, for a test or a virtual clock says nothing of a busy machine."""
    if "/" in finder or finder == "sim":
        return frozenset()
    return OF_WRITES if mutant.goal in {"M3", "M5"} else frozenset({mutant.goal})


def _look(finder: str, goals: frozenset[str], mutant: Mutant | None) -> Look:
    """A second time if it could not look, or finds something in the pool as it is: the machine may have been busy."""
    look = _look_once(finder, goals, mutant)
    again = not look.has_looked or (mutant is None and look.reads)
    return _look_once(finder, goals, mutant) if again else look


def _look_once(finder: str, goals: frozenset[str], mutant: Mutant | None) -> Look:
    return _by_tests(finder, mutant) if "/" in finder else _by_rig(finder, goals, mutant)


def _by_rig(rig: str, goals: frozenset[str], mutant: Mutant | None) -> Look:
    budget = SCHEDULES if rig == "sim" else SECONDS[rig]
    ended = _run([sys.executable, "-m", "tests.rigs.mutants.hunt", rig, str(budget)], mutant)
    if ended is None:
        return Look("", f"not over in {PATIENCE_S:.0f} s", has_looked=False)
    if ended.returncode:  # a crash says nothing of the mutant
        return Look("", _last_line(ended.stderr) or f"exit code {ended.returncode}", has_looked=False)
    found = Findings.from_plain(json.loads(ended.stdout.splitlines()[-1]))
    after = f"{found.done['schedules']:,} schedules" if rig == "sim" else ""
    texts = [violation.text for violation in found.violations if not goals or violation.goal in goals]
    return Look(texts[0] if texts else "", after)


def _by_tests(path: str, mutant: Mutant | None) -> Look:
    ended = _run([sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", path], mutant)
    if ended is None:
        return Look("", f"not over in {PATIENCE_S:.0f} s", has_looked=False)
    if ended.returncode not in (0, 1):  # 1: a test failed; whatever else it is, nothing was found
        return Look("", _last_line(ended.stdout), has_looked=False)
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", ended.stdout, re.MULTILINE)
    reads = failed[1].rpartition("::")[2] if failed else _last_line(ended.stdout)
    return Look(reads if ended.returncode else "")


def _run(command: list[str], mutant: Mutant | None) -> subprocess.CompletedProcess[str] | None:
    try:
        return subprocess.run(
            command, cwd=ROOT, env=environment(mutant), capture_output=True, text=True, timeout=PATIENCE_S, check=False
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
    hunt = Hunt(say)
    rows = []
    for mutant in mutants:
        hunted = hunt.of(mutant)
        rows.append(hunted.row())
        found.done.update(mutants=1, found=int(bool(hunted.finder)))
        if hunted.finder:
            say(f"{mutant.name}: found by {hunted.finder} after {hunted.after}: {hunted.reads}")
        else:
            say(f"{mutant.name}: SURVIVED ({hunted.after})")
            again = f"python -m tests.rigs mutants --only {mutant.name!r}"
            found.violations.append(Violation("M13", f"nothing finds the planted bug {mutant.name!r}", again))
    found.figures["table"] = rows
    found.took_s = time.monotonic() - started
    return found
