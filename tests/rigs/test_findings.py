"""Findings go through JSON unchanged, and those of several runs make one."""

from __future__ import annotations

import json
from collections import Counter

from tests.rigs.findings import Findings, Violation


def test_findings_go_through_json_unchanged() -> None:
    found = Findings(
        "sim", Counter(schedules=3), Counter({1: 5}), [Violation("M1", "lost", "again")], {"p99_ms": 2}, 1.5
    )
    assert Findings.from_plain(json.loads(json.dumps(found.as_plain()))) == found


def test_what_several_runs_found_is_put_together() -> None:
    first = Findings("sim", Counter(schedules=3), Counter({1: 5}), took_s=2)
    second = Findings("sim", Counter(schedules=4), Counter({1: 1, 2: 1}), [Violation("M1", "lost", "again")], took_s=1)
    first.merge([second])
    assert (first.done["schedules"], first.faults, first.took_s) == (7, {1: 6, 2: 1}, 2)
    assert first.violations == second.violations
