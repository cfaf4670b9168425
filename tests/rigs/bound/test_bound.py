"""The rig that storms a pool within a role's limit, in short."""

from __future__ import annotations

from tests.rigs.bound.run import run


def test_no_storm_makes_the_server_see_more_sessions_than_the_pool_may_have() -> None:
    findings = run(4.0, 1, lambda _: None)
    assert findings.violations == []
    assert findings.done["backends that outlived quarantine_timeout"] == 0
    assert findings.done["calls"] > 30
    assert min(findings.faults[row] for row in (6, 24)) > 0
