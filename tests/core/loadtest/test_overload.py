"""Which rates an overload has, what is said of it, and how even shares are."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.loadtest.behaviour import Recovery, Step, behaviour
from dbpool.core.loadtest.fairness import jains_index
from dbpool.core.loadtest.overloadplan import overload_plan
from dbpool.errors import SettingsError


def test_rates_are_shares_of_the_peak_in_ascending_order() -> None:
    plan = overload_plan(1000.0, 10, 0.1, (1.5, 0.5))
    assert plan.steps == ((0.5, 500.0), (1.5, 1500.0))
    assert plan.normal_rate == 700.0


@pytest.mark.parametrize(
    ("size", "limit_s", "expected_s"),
    [
        (10, 0.100, 0.080),  # 10 ms each while all are busy
        (10, 0.030, 0.015),  # half of the limit at least
        (1, 0.002, 0.001),
    ],
)
def test_work_is_given_up_while_it_could_still_be_in_time(size: int, limit_s: float, expected_s: float) -> None:
    assert overload_plan(1000.0, size, limit_s).skip_after_s == pytest.approx(expected_s)


def test_there_is_room_for_all_that_waits() -> None:
    assert overload_plan(1000.0, 10, 0.1).max_in_flight == 1000
    assert overload_plan(20_000.0, 10, 0.2, (1.5,)).max_in_flight == 2 * (10 + 6000)
    assert overload_plan(200_000.0, 10, 10.0).max_in_flight == 100_000


@pytest.mark.parametrize(("peak", "size", "limit"), [(0.0, 1, 1.0), (1.0, 0, 1.0), (1.0, 1, 0.0)])
def test_nothing_cannot_be_overloaded(peak: float, size: int, limit: float) -> None:
    with pytest.raises(SettingsError):
        overload_plan(peak, size, limit)
    with pytest.raises(SettingsError):
        overload_plan(1.0, 1, 1.0, ())


STEPS = (
    Step(0.5, due=5_000, good=5_000, goodput_tps=500.0),
    Step(1.0, due=10_000, good=9_800, goodput_tps=980.0),
    Step(1.5, due=15_000, good=9_506, goodput_tps=950.6),
)


def test_the_sentence_is_of_the_highest_rate_and_of_the_way_back() -> None:
    assert behaviour(STEPS, Recovery(0.7, 1.0, 10.0), 50.0) == (
        "at 150% of its peak it gets 951 transactions a second done within 50 ms, 97% of the most it did; 37% of "
        "arrivals are late, skipped or lost; at 70% it is back to normal after 1 s"
    )
    assert behaviour(STEPS, Recovery(0.7, 0.0, 10.0), 50.0).endswith("; at 70% it is back to normal within a second")
    assert behaviour(STEPS, Recovery(0.7, None, 10.0), 50.0).endswith("at 70% it was not back to normal in 10 s")
    assert " within 1,250 ms, " in behaviour(STEPS, None, 1249.9712)
    assert " within 2.5 ms, " in behaviour(STEPS, None, 2.49712)
    assert behaviour(STEPS[:1], None, 50.0) == (
        "at 50% of its peak it gets 500 transactions a second done within 50 ms, the most it did; 0% of arrivals are "
        "late, skipped or lost"
    )


def test_it_says_where_the_generator_was_what_was_measured() -> None:
    bound = (*STEPS, Step(2.0, due=20_000, good=9_000, goodput_tps=900.0, is_bound=True))
    assert behaviour(bound, None, 50.0).endswith(
        " (the generator was the bottleneck at 200%: the server may do better)"
    )


def test_where_nothing_was_in_time_or_measured_it_says_so() -> None:
    late = Step(0.5, due=10, good=0, goodput_tps=0.0)
    assert behaviour([late], None, 5.0) == "no transaction was done within 5 ms, at 50% of the peak or at any more"
    assert behaviour([], None, 5.0) == ""


@pytest.mark.parametrize(
    ("shares", "expected"),
    [([5.0], 1.0), ([3.0, 3.0, 3.0], 1.0), ([1.0, 0.0, 0.0, 0.0], 0.25), ([1.0, 2.0, 3.0], 36 / 42), ([0.0], None)],
)
def test_jains_index(shares: list[float], expected: float | None) -> None:
    assert jains_index(shares) == (None if expected is None else pytest.approx(expected))
    assert jains_index([]) is None


@given(st.lists(st.floats(0.001, 1e6), min_size=1, max_size=50))
def test_jains_index_lies_between_one_for_all_and_all_alike(shares: list[float]) -> None:
    index = jains_index(shares)
    assert index is not None
    assert 1 / len(shares) - 1e-9 <= index <= 1 + 1e-9
