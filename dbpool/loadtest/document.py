"""A run as one JSON document."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

from dbpool.core.loadtest.thresholds import Judgement
from dbpool.loadtest.load import Workload
from dbpool.loadtest.point import Point
from dbpool.loadtest.pointjson import point_json, timeline_json
from dbpool.loadtest.server.limits import Limits
from dbpool.loadtest.server.limitsjson import limits_json

SCHEMA: Final = "dbpool.loadtest/1"


@dataclass(kw_only=True)
class Run:
    """What a run did so far."""

    run_id: str
    argv: Sequence[str]
    stage: str
    workload: Workload
    limits: Limits
    is_embedded: bool
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ceiling_tps: float | None = None
    points: list[Point] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)

    def as_json(self, *, status: str, exit_code: int) -> dict[str, Any]:
        """The document; *status* is complete, interrupted or failed."""
        return {
            "schema": SCHEMA,
            "run": {
                "id": self.run_id,
                "started": self.started.isoformat(),
                "ended": datetime.now(UTC).isoformat(),
                "argv": without_addresses(self.argv),
                "seed": self.workload.seed,
                "preset": None,
                "status": status,
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
            },
            "limits": limits_json(self.limits, None),
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
            "calibration": {"noop_tps": self.ceiling_tps},
            "points": [
                point_json(point, number=number, stage=self.stage, seed=self.workload.seed)
                for number, point in enumerate(self.points)
            ],
            "timeline": [
                {"point": number, **line} for number, point in enumerate(self.points) for line in timeline_json(point)
            ],
            "thresholds": [
                {"expr": each.threshold.text, "value": each.value, "ok": each.is_met} for each in self.judgements
            ],
            "warnings": [{"code": code, "text": text} for code, text in self.warnings],
            "exit_code": exit_code,
        }


def without_addresses(argv: Sequence[str]) -> list[str]:
    """The command line, with URL for each address: it may hold a password."""
    return [re.sub(r"postgres(?:ql)?://\S*", "URL", word) for word in argv]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
