"""The state machine finds nothing in the pool; what it finds in a broken one it shows step by step."""

from __future__ import annotations

import hypothesis
import pytest
from hypothesis.stateful import run_state_machine_as_test

from dbpool.gate import Gate
from tests.rigs.sim.machine import PoolMachine

SETTINGS = hypothesis.settings(
    max_examples=60, stateful_step_count=25, deadline=None, database=None, derandomize=True, print_blob=False
)


def test_no_steps_break_what_must_always_be_true() -> None:
    run_state_machine_as_test(PoolMachine, settings=SETTINGS)


def test_what_breaks_is_shown_step_by_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Gate, "_grant_all", lambda self: None)
    as_found = hypothesis.settings(SETTINGS, phases=[hypothesis.Phase.generate])  # to find the fewest takes a minute
    with pytest.raises(AssertionError, match="M9: a permit is free") as caught:
        run_state_machine_as_test(PoolMachine, settings=as_found)
    steps = "\n".join(caught.value.__notes__)
    assert "state = PoolMachine()" in steps
    assert "state.acquire(" in steps
    assert "state.teardown()" in steps
