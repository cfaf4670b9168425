"""Intervals: scipy's to many digits, and true as often as they claim."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats

from dbpool.core.loadtest.intervals import Interval, of_mean, of_share
from dbpool.core.loadtest.student import t_cdf, t_quantile

freedoms = st.one_of(st.integers(1, 200), st.floats(0.6, 5000))


@given(st.floats(-40, 40), freedoms)
def test_students_t_is_that_of_scipy(t: float, df: float) -> None:
    # stdtr itself is 0.5 for a t of 2e-9, where the truth (df = 1: 1/2 + atan(t)/pi) is 6e-10 more
    beyond = special.betainc(0.5, df / 2, t * t / (t * t + df)) if abs(t) < 1e-3 else None
    expected = special.stdtr(df, t) if beyond is None else 0.5 + (beyond if t > 0 else -beyond) / 2
    assert t_cdf(t, df) == pytest.approx(float(expected), rel=1e-9, abs=1e-12)


@given(st.one_of(st.floats(0.001, 0.999), st.sampled_from([0.5, 0.95, 0.975, 0.995])), freedoms)
def test_quantiles_of_students_t_are_those_of_scipy(p: float, df: float) -> None:
    assert t_quantile(p, df) == pytest.approx(float(special.stdtrit(df, p)), rel=1e-7, abs=1e-9)


def test_quantiles_of_students_t_are_those_of_the_tables() -> None:
    assert [round(t_quantile(0.975, df), 3) for df in (1, 2, 9, 30)] == [12.706, 4.303, 2.262, 2.042]


@given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=30))
def test_the_interval_of_a_mean_is_that_of_scipy(values: list[float]) -> None:
    interval = of_mean(values)
    assert interval is not None
    wide = float(stats.sem(values)) * float(special.stdtrit(len(values) - 1, 0.975))
    assert interval.half == pytest.approx(wide, rel=1e-6, abs=1e-6)
    assert (interval.low + interval.high) / 2 == pytest.approx(sum(values) / len(values), rel=1e-9, abs=1e-6)


def test_one_value_has_no_interval() -> None:
    assert of_mean([5.0]) is None


@given(st.integers(0, 500), st.integers(1, 500), st.sampled_from([0.9, 0.95, 0.99]))
def test_the_interval_of_a_share_is_that_of_scipy(hits: int, n: int, confidence: float) -> None:
    hits = min(hits, n)
    found = of_share(hits, n, confidence)
    wanted = stats.binomtest(hits, n).proportion_ci(confidence, "wilson")
    assert found is not None
    assert [found.low, found.high] == pytest.approx([wanted.low, wanted.high], abs=1e-12)


def test_no_failure_among_a_hundred_still_allows_for_some() -> None:
    found = of_share(0, 100)
    assert found is not None
    assert found.low == 0
    assert 0.03 < found.high < 0.04


def test_none_of_many_can_be_none_and_all_can_be_all() -> None:
    for n in range(1, 300):
        none, every = of_share(0, n), of_share(n, n)
        assert none is not None
        assert every is not None
        assert (none.low, every.high) == (0, 1)


def test_no_trial_has_no_share() -> None:
    assert of_share(0, 0) is None


def test_nineteen_of_twenty_intervals_hold_the_mean() -> None:
    random = Random(4)
    samples = ([random.gauss(7, 2) for _ in range(5)] for _ in range(2000))
    held = sum(interval is not None and 7 in interval for interval in map(of_mean, samples))
    assert held / 2000 == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_intervals_that_touch_overlap() -> None:
    assert Interval(1, 2).overlaps(Interval(2, 3))
    assert Interval(2, 3).overlaps(Interval(1, 2))
    assert Interval(1, 9).overlaps(Interval(2, 3))
    assert not Interval(1, 2).overlaps(Interval(2.1, 3))
    assert not Interval(2.1, 3).overlaps(Interval(1, 2))
