"""What a run of rigs is written down as: a file of JSON, with what it depends on."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tests.rigs.findings import Findings
from tests.rigs.known import ROOT


def beginning(command: str, seed: int) -> dict[str, Any]:
    """What is known before anything runs."""
    return {
        "command": command,
        "seed": seed,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "commit": _commit(),
        "machine": {
            "processors": f"{os.cpu_count()} ({platform.machine()}), shared by rigs and servers",
            "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
            "load before": f"{os.getloadavg()[0]:.1f} processes, of others' making",
            "Python": platform.python_version(),
            "asyncpg": version("asyncpg"),
        },
    }


def written(
    head: Mapping[str, Any], found: Iterable[Findings], took_s: float, file: Path, *, is_whole: bool
) -> dict[str, Any]:
    """Put all in *file*, at once: who looks sees the old one or the new one."""
    rigs = [each.as_plain() for each in sorted(found, key=lambda each: each.rig)]
    plain = {**head, "took_s": round(took_s, 1), "is_whole": is_whole, "rigs": rigs}
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_name(f"{file.name}.new")
    new.write_text(json.dumps(plain, indent=1, sort_keys=True) + "\n", "utf-8")
    new.replace(file)
    return plain


def day_of(file: Path) -> str:
    """When it was written."""
    return datetime.fromtimestamp(file.stat().st_mtime, UTC).strftime("%Y-%m-%d")


def _commit() -> str:
    """Of the clone that this runs from, with a ``+`` where something was changed since; empty: it is none."""
    try:
        words = ["git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--abbrev=7", "--dirty=+"]
        return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""
