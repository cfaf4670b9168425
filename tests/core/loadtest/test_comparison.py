"""Comparisons: Welch's test as scipy has it, a difference shown only where chance is unlikely."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt
from random import Random
from statistics import fmean, stdev

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from dbpool.core.loadtest.comparison import Comparison, Conditions, Verdict, compare, welch

values = st.lists(st.integers(1, 10_000).map(float), min_size=2, max_size=12)


def compared(before: list[float], after: list[float], *, higher_is_better: bool = True) -> Comparison:
    return compare(before, after, higher_is_better=higher_is_better, random=Random(1))


@given(values, values)
def test_welchs_test_is_that_of_scipy(one: list[float], other: list[float]) -> None:
    assume(len({*one}) > 1 < len({*other}))  # scipy warns of constants
    wanted = float(stats.ttest_ind(one, other, equal_var=False).pvalue)
    assert welch(one, other) == pytest.approx(wanted, rel=1e-6, abs=1e-9)


@settings(max_examples=20)
@given(values, values)
def test_better_one_way_round_is_not_better_the_other(one: list[float], other: list[float]) -> None:
    there, back = compared(one, other), compared(other, one)
    assert there.ratio == pytest.approx(1 / back.ratio)
    assert there.p_value == back.p_value
    if there.verdict is Verdict.BETTER:
        assert back.verdict in (Verdict.WORSE, Verdict.NO_DIFFERENCE)


@pytest.mark.parametrize(
    ("after", "higher_is_better", "verdict"),
    [
        ([1200, 1210, 1190], True, Verdict.BETTER),
        ([1200, 1210, 1190], False, Verdict.WORSE),
        ([800, 810, 790], True, Verdict.WORSE),
        ([800, 810, 790], False, Verdict.BETTER),
        ([1005, 1020, 985], True, Verdict.NO_DIFFERENCE),
    ],
)
def test_the_verdict_knows_what_is_good(after: list[float], higher_is_better: bool, verdict: Verdict) -> None:
    assert compared([1000, 1010, 990], after, higher_is_better=higher_is_better).verdict is verdict


def test_one_repeat_is_too_few_to_tell() -> None:
    assert compared([1000], [2000, 2010]) == Comparison(2.005, None, None, Verdict.UNKNOWN)


def test_the_ratio_lies_in_its_interval() -> None:
    found = compared([100, 101, 99, 100], [110, 111, 109, 110])
    assert found.interval is not None
    assert found.interval.low < 1.1 < found.interval.high
    assert found.interval.half < 0.02


def test_the_interval_is_as_wide_as_theory_has_it() -> None:
    random = Random(9)
    before = [random.gauss(1000, 100) for _ in range(40)]
    found = compared(before, before)
    assert found.interval is not None
    half = 1.96 * stdev(before) / fmean(before) * sqrt(2 / 40)  # of a ratio of two such means
    assert found.interval.half == pytest.approx(half, rel=0.1)


def test_constants_differ_or_do_not() -> None:
    assert compared([5, 5], [5, 5]).verdict is Verdict.NO_DIFFERENCE
    assert compared([5, 5], [6, 6]).verdict is Verdict.BETTER


def test_chance_alone_is_seldom_a_difference() -> None:
    random = Random(2)
    verdicts = [
        compare(
            [random.gauss(1000, 30) for _ in range(5)],
            [random.gauss(1000, 30) for _ in range(5)],
            higher_is_better=True,
            random=random,
        ).verdict
        for _ in range(50)
    ]
    assert sum(verdict is not Verdict.NO_DIFFERENCE for verdict in verdicts) <= 6


def test_a_lucky_bootstrap_alone_shows_nothing() -> None:
    found = compared([100, 140], [150, 190])  # of two values each, a quarter of the resamples are extremes
    assert found.p_value is not None
    assert found.p_value > 0.05
    assert found.verdict is Verdict.NO_DIFFERENCE


def test_conditions_that_differ_are_named() -> None:
    one = Conditions("tpcb-like", 10, "15.4", is_sharded=False)
    assert one.differences(one) == []
    assert one.differences(replace(one, scale=20, is_sharded=True)) == [
        "scale: 10 and 20",
        "is sharded: False and True",
    ]
