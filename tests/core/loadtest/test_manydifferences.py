"""Differences among many, and of single runs: chance is seldom taken for one."""

from __future__ import annotations

from random import Random
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from dbpool.core.loadtest.comparison import Verdict
from dbpool.core.loadtest.discoveries import discovered
from dbpool.core.loadtest.intervals import around
from dbpool.core.loadtest.singleruns import Known, compare_known

p_values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(p_values)
def test_what_is_discovered_is_what_scipy_says(found: list[float]) -> None:
    adjusted = stats.false_discovery_control(found, method="bh")
    for p, wanted, is_shown in zip(found, adjusted, discovered(found), strict=True):
        if abs(wanted - 0.05) > 1e-9:
            assert is_shown == (wanted <= 0.05), p


def test_of_nothing_nothing_is_discovered() -> None:
    assert discovered([]) == []


def test_where_nothing_differs_anything_is_seldom_discovered() -> None:
    random = Random(4)
    runs = [any(discovered([random.random() for _ in range(50)])) for _ in range(400)]
    assert sum(runs) <= 0.08 * 400


def test_one_small_one_among_many_is_chance_and_many_are_not() -> None:
    assert not any(discovered([0.04, *[0.5] * 49]))
    assert sum(discovered([*[0.02] * 25, *[0.5] * 25])) == 25


def single(mean: float, random: Random, *, noise: float) -> Known:
    """One run: off by the noise between runs, and a little within it."""
    value = mean * random.gauss(1, noise) + random.gauss(0, 0.01 * mean)
    return Known(value, around(value, 0.0196 * value))


@pytest.mark.parametrize(("after", "least", "most"), [(1000, 0.0, 0.08), (800, 0.95, 1.0), (1250, 0.95, 1.0)])
def test_single_runs_differ_only_by_more_than_the_noise_between_runs(after: float, least: float, most: float) -> None:
    random, noise = Random(7), 0.03
    found = [
        compare_known(
            [single(1000, random, noise=noise)],
            [single(after, random, noise=noise)],
            noise=noise,
            higher_is_better=True,
        )
        for _ in range(300)
    ]
    wanted = Verdict.BETTER if after > 1000 else Verdict.WORSE
    shown = sum(each.verdict is not Verdict.NO_DIFFERENCE for each in found) / 300
    assert least <= shown <= most
    if after != 1000:
        assert sum(each.verdict is wanted for each in found) / 300 == shown
        assert sum(each.interval is not None and after / 1000 in each.interval for each in found) > 0.9 * 300


def test_without_a_width_within_the_run_the_noise_alone_decides() -> None:
    one, other = Known(100.0, around(100.0, 0.0)), Known(110.0, around(110.0, 0.0))
    found = compare_known([one], [other], noise=0.03, higher_is_better=False)
    assert found.verdict is Verdict.WORSE
    assert found.p_value == pytest.approx(2 * NormalDist().cdf(-10 / (3.0**2 + 3.3**2) ** 0.5))


def test_repeats_make_it_narrower() -> None:
    one, other = Known(100.0, around(100.0, 1.0)), Known(107.0, around(107.0, 1.0))
    once = compare_known([one], [other], noise=0.03, higher_is_better=True)
    often = compare_known([one] * 4, [other] * 4, noise=0.03, higher_is_better=True)
    assert (once.verdict, often.verdict) == (Verdict.NO_DIFFERENCE, Verdict.BETTER)
