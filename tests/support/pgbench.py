"""Real pgbench programs, which say what a script means."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from dbpool.installed import installed
from dbpool.loadtest.pgbench.program import OLDEST, version_of

TIMEOUT_S = 40


@dataclass(frozen=True, slots=True)
class Run:
    """What a pgbench printed; ``debugged`` are the values that debug() showed, in order."""

    returncode: int
    stdout: str
    stderr: str

    @property
    def debugged(self) -> list[str]:
        return re.findall(r"^debug\(script=\d+,command=\d+\): (.*)$", self.stderr, re.MULTILINE)

    @property
    def error(self) -> str:
        """What was wrong, "" for nothing."""
        found = re.search(r"^pgbench: error: (.*)$", self.stderr, re.MULTILINE)
        return found[1] if found else ""


@dataclass(frozen=True, slots=True)
class Pgbench:
    """One program."""

    path: str
    version: int

    def run(self, dsn: str, scripts: Sequence[str], *options: str, weights: Sequence[int] = ()) -> Run:
        """Run *scripts*, given as texts: each client once, unless *options* say otherwise."""
        with tempfile.TemporaryDirectory() as place:
            files: list[str] = []
            for number, script in enumerate(scripts):
                file = Path(place) / f"{number}.sql"
                file.write_text(script)
                files += ["-f", f"{file}@{weights[number]}" if weights else str(file)]
            times = [] if "-t" in options else ["-t", "1"]
            command = [self.path, "-n", *times, *options, *files, dsn]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT_S)
        return Run(done.returncode, done.stdout, done.stderr.replace(f"{place}/", ""))

    def refusal(self, script: str) -> Run:
        """What it says to *script*; one without mistakes fails because no server is there."""
        with tempfile.TemporaryDirectory() as nowhere:
            return self.run(f"host={nowhere} dbname=none", [script])


@cache
def programs() -> tuple[Pgbench, ...]:
    """All on this machine, new enough, one a version."""
    places = [*installed(), *sorted(Path("/usr/lib/postgresql").glob("*/bin")), *map(Path, os.get_exec_path())]
    found: dict[int, Pgbench] = {}
    for place in places:
        if (path := shutil.which("pgbench", path=str(place))) and (version := version_of(path)) >= OLDEST:
            found.setdefault(version, Pgbench(path, version))
    return tuple(found.values())
