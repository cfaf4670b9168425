"""The rig for some seconds."""

from __future__ import annotations

import time

from tests.rigs.availability.run import p99, run
from tests.rigs.availability.writing import Stalls, Told, note_end


def test_nothing_acknowledged_is_lost_and_nothing_hangs_over_some_faults() -> None:
    said: list[str] = []
    findings = run(3.0, 3, said.append)
    assert findings.violations == []
    assert findings.done["faults"] >= 1
    assert len(said) == findings.done["faults"]
    assert findings.done["writes acknowledged"] > 50
    assert findings.done["reads behind a write"] > 5
    assert sum(findings.faults.values()) >= 1


def test_an_await_that_ends_too_late_is_told_unless_the_loop_itself_stood_still() -> None:
    told = Told(stalls=Stalls())
    note_end(told, "the write of 7", time.monotonic() - 3.0, 2.0)
    assert told.complaints == [("M6", "the write of 7 ended after 3.00 s, its deadline was 2 s")]


def test_a_p99_is_the_nearest_rank() -> None:
    assert p99([float(n) for n in range(1, 101)]) == 99.0
    assert p99([5.0]) == 5.0
