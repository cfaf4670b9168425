"""``dbpool loadtest`` as its users run it: the command, its worker processes, the document that it prints."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, TypeAlias

from bench.process import MeasurementFailed

Document: TypeAlias = dict[str, Any]

_MAIN = "from dbpool.cli import main; main(prog_name='dbpool')"


def loadtest(dsn: str | None, *words: str) -> str:
    """What the command prints; without *dsn*, on an embedded server of its own.

    Raises: MeasurementFailed.
    """
    # by its environment: a DSN may hold a password
    done = subprocess.run(
        [sys.executable, "-c", _MAIN, "loadtest", *words],
        env={**os.environ, "DATABASE_URL": dsn or ""},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise MeasurementFailed(f"dbpool loadtest {words[0]} ended with exit code {done.returncode}, see above")
    return done.stdout


def document(dsn: str | None, *words: str) -> Document:
    """The run's document.

    Raises: MeasurementFailed.
    """
    found: Document = json.loads(loadtest(dsn, *words, "--json", "--progress", "0"))
    return found


def joined(first: Document, others: list[Document]) -> Document:
    """*first* with the points of all, as one long run would have had them."""
    whole: Document = json.loads(json.dumps(first))
    for each in others:
        points, moved_s = len(whole["points"]), whole["points"][-1]["started_s"]
        for point in each["points"]:
            whole["points"].append({**point, "id": point["id"] + points, "started_s": point["started_s"] + moved_s})
        for line in each["timeline"]:
            whole["timeline"].append({**line, "point": line["point"] + points})
        for sample in each["samples"]:
            at = None if sample["point"] is None else sample["point"] + points
            whole["samples"].append({**sample, "t": sample["t"] + moved_s, "point": at})
    return whole
