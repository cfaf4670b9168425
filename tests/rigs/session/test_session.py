"""The rig that looks for what one caller finds of another, in short."""

from __future__ import annotations

from tests.rigs.session.kinds import KINDS
from tests.rigs.session.run import run


def test_nobody_finds_what_another_left_in_the_session_and_the_audit_would_see_it() -> None:
    findings = run(2.0, 1, lambda _: None)
    assert findings.violations == []
    assert findings.figures["leaks_dbpool"] == 0
    assert findings.done["hand-offs"] > 4 * len(KINDS)
    assert all(findings.done[f"left: {kind.name}"] for kind in KINDS)
    assert findings.figures["leaks_asyncpg_pool"] >= 4  # roles, temporary tables, PREPARE, sequences: not its claim
