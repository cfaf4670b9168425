"""Who runs where and for how long."""

from __future__ import annotations

import pytest

from tests.rigs.known import replay
from tests.rigs.sharing import ROUND_S, STRIDE, Turn, lanes_of_chaos, lanes_of_soak

ALL = ("availability", "ledger", "pooler", "security", "session", "sim", "sweep", "wire")


@pytest.mark.parametrize("processors", [1, 2, 3, 8, 20])
def test_all_get_their_share_and_no_lane_is_longer_than_the_time(processors: int) -> None:
    lanes = lanes_of_chaos(ALL, 600.0, processors)
    turns = [turn for lane in lanes for turn in lane]
    assert sorted(turn.name for turn in turns) == sorted(ALL)
    assert all(sum(turn.seconds for turn in lane) <= 600.01 for lane in lanes)
    assert len(lanes) == min(processors, len(ALL))
    seconds = {turn.name: turn.seconds for turn in turns}
    assert seconds["sim"] >= seconds["wire"] > 0


def test_few_have_all_the_time() -> None:
    assert lanes_of_chaos(["sim"], 600.0, 4) == [[Turn("sim", 600.0)]]


def test_in_a_soak_the_others_yield_to_the_ledger() -> None:
    first, *others = lanes_of_soak(ALL, 3600.0, 2)
    assert first == [Turn("ledger", 3600.0)]
    assert [turn.is_beside for lane in others for turn in lane] == [True] * (len(ALL) - 1)
    assert lanes_of_soak(["sim"], 60.0, 2) == [[Turn("sim", 60.0)]]


def test_what_is_to_be_run_again_has_the_time_that_it_had() -> None:
    assert replay("wire", 600.0, 7) == "python -m tests.rigs wire --seconds 600 --seed 7"
    assert replay("wire", 0.4, 7) == "python -m tests.rigs wire --seconds 0.4 --seed 7"


def test_a_round_is_never_short_and_its_seed_is_far_from_anothers() -> None:
    rounds = list(Turn("sim", 2.5 * ROUND_S).rounds(7))
    assert rounds == [(ROUND_S, 7), (1.5 * ROUND_S, 7 + STRIDE)]
    assert list(Turn("sim", 1.9 * ROUND_S).rounds(7)) == [(1.9 * ROUND_S, 7)]
    for name in ("availability", "ledger"):  # a percentile needs more than a round has
        assert list(Turn(name, 100 * ROUND_S).rounds(7)) == [(100 * ROUND_S, 7)]
