"""Trends: the line that scipy finds, and shown only where there is one."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from dbpool.core.loadtest.intervals import Interval
from dbpool.core.loadtest.student import t_quantile
from dbpool.core.loadtest.trend import Trend, trend_of

series = st.lists(
    st.integers(-10_000, 10_000).map(float), min_size=10, max_size=19
)  # short: each value is a batch of its own


@given(series, st.sampled_from([1.0, 0.5, 10.0]))
def test_slope_and_interval_are_those_of_scipy(values: list[float], spacing_s: float) -> None:
    found = trend_of(values, spacing_s)
    assume(len({*values}) > 1)  # scipy has no interval for a constant
    wanted = stats.linregress([spacing_s * at / 3600 for at in range(len(values))], values)
    half = float(wanted.stderr) * t_quantile(0.975, len(values) - 2)
    assert found is not None
    assert found.per_hour == pytest.approx(float(wanted.slope), rel=1e-6, abs=1e-3)
    assert found.interval.half == pytest.approx(half, rel=1e-5, abs=1e-1)


def test_a_leak_of_a_megabyte_a_minute_is_found_in_ten_minutes() -> None:
    random = Random(5)
    found = trend_of([200 + second / 60 + random.gauss(0, 3) for second in range(600)], 1.0)
    assert found is not None
    assert found.is_shown
    assert found.per_hour == pytest.approx(60, rel=0.2)
    assert 60 in found.interval


def test_noise_alone_is_seldom_a_trend() -> None:
    random = Random(5)
    found = [trend_of([random.gauss(200, 3) for _ in range(200)], 1.0) for _ in range(100)]
    assert sum(each is not None and each.is_shown for each in found) <= 10


def test_slow_swings_are_seldom_a_trend() -> None:
    random = Random(5)
    shown = 0
    for _ in range(40):
        level, values = 0.0, []
        for _ in range(400):
            level = 0.9 * level + random.gauss(0, 1)
            values.append(level)
        found = trend_of(values, 1.0)
        shown += found is not None and found.is_shown
    assert shown <= 6


def test_a_batched_slope_is_in_the_same_unit() -> None:
    values = [second / 2 + (20 if second // 5 % 2 else -20) for second in range(200)]
    found = trend_of(values, 1.0)
    assert found is not None
    assert found.per_hour == pytest.approx(1800, rel=0.1)


def test_a_line_that_does_not_explain_the_series_shows_nothing() -> None:
    assert Trend(5, Interval(1, 9), is_settled=True).is_shown
    assert not Trend(5, Interval(1, 9), is_settled=False).is_shown


def test_fewer_than_ten_values_have_no_trend() -> None:
    assert trend_of([1.0] * 9, 1.0) is None
