"""How many items fit into a turn of the loop."""

from __future__ import annotations

import pytest

from dbpool.core.turns import TURN_S, next_step


@pytest.mark.parametrize("item_s", [1e-9, 1e-6, 1e-5, 1e-4, 1e-3, 1.0])
def test_steps_settle_where_they_take_about_a_turn(item_s: float) -> None:
    step = 1
    taken = []
    for _ in range(20):
        taken.append(step)
        step = next_step(step, step * item_s)
    assert all(each >= 1 for each in taken)
    assert all(each * item_s <= TURN_S or each == 1 for each in taken)
    assert step == min(256, step)
    assert step * item_s >= TURN_S / 4 or step == 256 or item_s > TURN_S


def test_items_that_become_slow_are_taken_one_by_one_at_once() -> None:
    assert next_step(256, 256 * TURN_S) == 1
