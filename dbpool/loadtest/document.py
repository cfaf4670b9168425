"""A run as one JSON document, which grows while it goes on.

Whatever shows or judges a run takes the document alone, so that a saved one shows what the live one did.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from dbpool.core.loadtest.thresholds import Judgement
from dbpool.loadtest.load import Workload
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.limitsjson import limits_json
from dbpool.loadtest.server.opening import Found
from dbpool.loadtest.server.pooler import PoolerLimits
from dbpool.wording import without_addresses

SCHEMA: Final = "dbpool.loadtest/1"

# What stages and analysis add, None where they did not run.
SECTIONS: Final = ("usl", "knee", "recommendation", "budget", "overload", "storm", "soak", "fleet", "comparison")
BULK: Final = ("points", "timeline", "samples", "events")
"""What grows with the length of a run: lines of their own in a time line."""


@dataclass(kw_only=True)
class Run:
    """What a run did so far; *settings* are those of the analysis, None where nothing was to be analysed."""

    run_id: str
    command: str
    argv: Sequence[str]
    workload: Workload
    limits: Limits
    is_embedded: bool
    preset: str | None = None
    settings: Mapping[str, Any] | None = None
    server_settings: Mapping[str, str | None] | None = None
    cores: int | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    status: str = "running"
    exit_code: int = 0
    found: Found | None = None
    pooler: PoolerLimits | None = None
    calibration: dict[str, float | None] = field(default_factory=dict)
    points: list[dict[str, Any]] = field(default_factory=list)
    timeline: list[dict[str, Any]] = field(default_factory=list)
    samples: list[dict[str, Any]] = field(default_factory=list)
    statements: list[dict[str, Any]] | None = None
    events: list[dict[str, Any]] = field(default_factory=list)
    sections: dict[str, Any] = field(default_factory=dict)
    judgements: list[tuple[Judgement, int | None]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def warn(self, code: str, text: str) -> None:
        """Add a warning, once."""
        if (code, text) not in self.warnings:
            self.warnings.append((code, text))

    def end(self, status: str, exit_code: int) -> dict[str, Any]:
        """The document of a run that is over; *status* is complete, interrupted or failed."""
        self.status, self.exit_code = status, exit_code
        return self.as_json()

    def as_json(self) -> dict[str, Any]:
        """The document so far."""
        is_over = self.status != "running"
        return {
            "schema": SCHEMA,
            "run": {
                "id": self.run_id,
                "command": self.command,
                "preset": self.preset,
                "status": self.status,
                "started": self.started.isoformat(),
                "ended": datetime.now(UTC).isoformat() if is_over else None,
                "argv": shown_line(self.argv),
                "seed": self.workload.seed,
            },
            "tool": {
                "dbpool": _version("dbpool"),
                "python": platform.python_version(),
                "asyncpg": _version("asyncpg"),
                "platform": platform.platform(),
            },
            "target": {
                "kind": "pgbouncer" if self.limits.is_pooled else "postgres",
                "version": self.limits.version,
                "local": self.limits.is_local,
                "embedded": self.is_embedded,
                "cores": self.cores,
                "settings": self.server_settings,
            },
            "limits": limits_json(self.limits, self.found, self.pooler),
            "workload": {
                "scripts": [
                    {
                        "name": part.name,
                        "weight": part.weight,
                        "sha256": None if part.script is None else sha256(part.script.encode()).hexdigest(),
                    }
                    for part in self.workload.parts
                ],
                "mode": self.workload.mode.value,
                "scale": self.workload.scale,
            },
            "settings": self.settings,
            "calibration": {name: self.calibration.get(name) for name in ("noop_tps", "r1_ms", "x1_tps", "noise_cv")},
            "points": list(self.points),
            "timeline": list(self.timeline),
            "samples": list(self.samples),
            "statements": self.statements,
            "events": list(self.events),
            **{name: self.sections.get(name) for name in SECTIONS},
            "thresholds": [
                {"expr": each.threshold.text, "value": each.value, "ok": each.is_met, "point": point}
                for each, point in self.judgements
            ],
            "warnings": [{"code": code, "text": text} for code, text in self.warnings],
            "exit_code": self.exit_code,
        }


def summary_of(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document without what a time line has told by then."""
    return {name: value for name, value in document.items() if name not in BULK}


def shown_line(argv: Sequence[str]) -> list[str]:
    """The command line, with URL for each address, and without a shell's command: they may hold passwords."""
    words, before = [], ""
    for word in argv:
        is_command = before == "--server-cmd"
        shown = "CMD" if is_command else re.sub(r"^--server-cmd=.*", "--server-cmd=CMD", word, flags=re.DOTALL)
        words.append(without_addresses(shown))
        before = word
    return words


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
