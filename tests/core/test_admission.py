"""Who is refused because the line is too long for the time they have."""

from __future__ import annotations

from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.admission import ENOUGH, MEMORY, OUTLIER, Admission

holds = st.floats(1e-6, 1e3)
positions = st.integers(1, 100_000)
permits = st.integers(1, 500)


def after(hold_times: Iterable[float]) -> Admission:
    admission = Admission()
    for hold_s in hold_times:
        admission.left(hold_s)
    return admission


@pytest.mark.parametrize(
    ("position", "permits", "wait_s"),
    [(1, 1, 0.02), (1, 20, 0.001), (20, 20, 0.02), (60, 20, 0.06), (100_000, 10, 200.0)],
)
def test_the_wait_is_the_line_ahead_times_the_hold_time_over_the_permits(
    position: int, permits: int, wait_s: float
) -> None:
    assert after([0.02] * 1000).wait_s(position, permits) == pytest.approx(wait_s)


@given(hold_s=holds, position=positions, permits=permits, remaining_s=st.floats(0, 1e9))
def test_once_the_hold_time_is_known_who_has_time_is_admitted_and_who_has_not_is_refused(
    hold_s: float, position: int, permits: int, remaining_s: float
) -> None:
    admission = after([hold_s] * 1000)
    wait_s = position * hold_s / permits
    if remaining_s >= wait_s * (1 + 1e-9):
        assert admission.retry_after_s(position, permits, remaining_s) is None
    elif remaining_s < wait_s * (1 - 1e-9):
        retry_after_s = admission.retry_after_s(position, permits, remaining_s)
        assert retry_after_s == pytest.approx(wait_s - remaining_s, rel=1e-6, abs=1e-6 * wait_s)


@given(hold_s=holds, position=positions, permits=permits, remaining_s=st.floats(0, 1e6))
def test_who_is_refused_would_be_admitted_where_the_line_is_after_that_time(
    hold_s: float, position: int, permits: int, remaining_s: float
) -> None:
    admission = after([hold_s] * 1000)
    retry_after_s = admission.retry_after_s(position, permits, remaining_s)
    if retry_after_s is not None:
        assert retry_after_s > 0
        assert admission.wait_s(position, permits) - retry_after_s <= remaining_s + 1e-9 * admission.wait_s(
            position, permits
        )


@given(hold_s=holds, samples=st.integers(0, ENOUGH - 1))
def test_everybody_is_admitted_until_enough_have_left(hold_s: float, samples: int) -> None:
    assert after([hold_s] * samples).retry_after_s(100_000, 1, 0.0) is None


def test_the_next_may_be_refused() -> None:
    assert after([0.5] * ENOUGH).retry_after_s(100_000, 1, 0.0) is not None


@pytest.mark.parametrize("hold_s", [1e-5, 1e-3, 0.05, 1.0])
def test_the_first_refusals_rest_on_an_estimate_that_is_not_too_high(hold_s: float) -> None:
    assert after([hold_s] * ENOUGH).hold_s == pytest.approx(hold_s, rel=0.5)
    assert after([hold_s] * ENOUGH).hold_s <= hold_s * (1 + 1e-9)


@pytest.mark.parametrize("outliers", [1, 2, 3])
@pytest.mark.parametrize("outlier_s", [1.0, 60.0, 3600.0])
def test_a_few_calls_that_hung_change_little(outliers: int, outlier_s: float) -> None:
    hung = after([0.002] * 100 + [outlier_s] * outliers)
    assert hung.hold_s < 0.002 * 1.8**outliers


def test_a_first_call_that_hung_is_soon_forgotten() -> None:
    assert after([60.0] + [0.002] * (ENOUGH - 1)).hold_s < 0.003


@pytest.mark.parametrize(("before_s", "after_s", "samples"), [(0.001, 1.0, 4 * MEMORY), (1.0, 0.001, 10 * MEMORY)])
def test_a_lasting_change_is_learnt(before_s: float, after_s: float, samples: int) -> None:
    assert after([before_s] * 1000 + [after_s] * samples).hold_s == pytest.approx(after_s, rel=0.1)


@pytest.mark.parametrize("one_in", [2, 4, OUTLIER - 2])
@pytest.mark.parametrize("times", [5, 50, 1000])
def test_long_calls_that_are_no_rarer_than_an_outlier_count_in_full(one_in: int, times: int) -> None:
    dice = Random(1)
    admission, estimates = Admission(), []
    for number in range(60_000):
        admission.left(0.001 * times if dice.randrange(one_in) == 0 else 0.001)
        if number > 10_000:
            estimates.append(admission.hold_s)
    true_mean_s = 0.001 * (1 + (times - 1) / one_in)
    assert sum(estimates) / len(estimates) == pytest.approx(true_mean_s, rel=0.3)


def test_random_hold_times_are_estimated_by_their_mean() -> None:
    dice = Random(2)
    admission, estimates = Admission(), []
    for _ in range(20_000):
        admission.left(dice.expovariate(100))
        estimates.append(admission.hold_s)
    assert sum(estimates) / len(estimates) == pytest.approx(0.01, rel=0.03)
    assert 0.005 < min(estimates[MEMORY:]) < max(estimates) < 0.02


def test_holds_of_no_time_at_all_can_be_outgrown() -> None:
    assert after([0.0] * 1000 + [0.1] * 200).hold_s == pytest.approx(0.1, rel=0.05)
