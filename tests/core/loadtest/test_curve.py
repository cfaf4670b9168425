"""The curve: repeats put together, the knee and its range, what bounds it from above."""

from __future__ import annotations

from math import sqrt

import pytest

from dbpool.core.loadtest.curve import Curve, Estimate, Knee, Observation
from dbpool.core.loadtest.intervals import Interval, around, of_mean


def curve_of(points: dict[int, float], *, half: float = 0.0, noise: float = 0.0) -> Curve:
    curve = Curve(noise=noise)
    for size, tps in points.items():
        curve.add(Observation(size, tps, around(tps, half)))
    return curve


def half_of(*observed: float, half: float, noise: float = 0.0) -> float:
    curve = Curve(noise=noise)
    for tps in observed:
        curve.add(Observation(1, tps, around(tps, half)))
    return curve.estimate(1).interval.half


def test_one_run_is_known_as_well_as_its_own_interval_says() -> None:
    assert curve_of({1: 100.0}, half=7).estimate(1) == Estimate(100, Interval(93, 107), 1)


def test_two_runs_halve_the_square_of_the_interval() -> None:
    assert half_of(100, 120, half=7) == pytest.approx(7 / sqrt(2))


def test_three_runs_are_known_by_how_they_differ() -> None:
    wanted = of_mean([100, 120, 104])
    assert wanted is not None
    assert half_of(100, 120, 104, half=7) == pytest.approx(wanted.half)


def test_no_interval_is_narrower_than_the_noise_between_runs_allows() -> None:
    assert half_of(100, half=1, noise=0.05) == pytest.approx(9.8)
    assert half_of(100, 100, 100, 100, half=1, noise=0.05) == pytest.approx(4.9)


def test_a_run_without_an_interval_is_as_good_as_the_noise() -> None:
    curve = Curve(noise=0.05)
    curve.add(Observation(1, 100.0))
    assert curve.estimate(1).interval.half == pytest.approx(9.8)


def test_the_first_run_and_any_one_alone_can_be_asked_for() -> None:
    curve = curve_of({1: 100.0}, half=7)
    curve.add(Observation(1, 200.0, around(200, 3)))
    assert curve.first(1) == Estimate(100, Interval(93, 107), 1)
    assert curve.alone(Observation(1, 50.0, around(50, 2))) == Estimate(50, Interval(48, 52), 1)
    assert len(curve) == 2


def test_the_knee_is_the_smallest_size_with_95_per_cent_of_the_peak() -> None:
    curve = curve_of({1: 10.0, 8: 80.0, 9: 94.9, 10: 95.0, 16: 100.0, 32: 97.0})
    assert curve.knee() == Knee(10, 10, 10, 95, 100)


def test_sizes_that_may_or_may_not_be_enough_are_the_range() -> None:
    curve = curve_of({4: 80.0, 6: 93.0, 8: 96.0, 12: 99.0, 16: 100.0}, half=3)
    knee = curve.knee()
    assert knee.peak_tps == pytest.approx((99 + 100) / 2)
    assert (knee.size, knee.low, knee.high) == (8, 5, 12)


def test_nothing_is_surely_enough_where_the_intervals_are_wide() -> None:
    assert curve_of({4: 80.0, 8: 100.0}, half=9).knee().high is None


def test_the_best_of_many_equals_is_not_the_peak() -> None:
    assert curve_of({4: 50.0, 8: 100.0, 16: 104.0, 32: 99.0}, half=6).knee().peak_tps == pytest.approx(101)


@pytest.mark.parametrize(
    ("beyond", "half", "is_bounded"),
    [
        ({}, 0, False),
        ({15: 100.0}, 0, False),
        ({16: 100.0}, 0, True),  # twice the knee, and no more
        ({12: 90.0}, 0, True),  # surely worse
        ({12: 90.0}, 6, False),  # perhaps worse
    ],
)
def test_a_knee_is_bounded_by_twice_its_size_or_by_what_is_worse(
    beyond: dict[int, float], half: float, is_bounded: bool
) -> None:
    curve = curve_of({4: 50.0, 8: 100.0, **beyond}, half=half)
    assert curve.knee().size == 8
    assert curve.is_bounded(curve.knee()) is is_bounded


def test_neighbours_are_the_nearest_measured_sizes() -> None:
    curve = curve_of({4: 1.0, 8: 1.0, 16: 1.0})
    assert (curve.below(8), curve.above(8), curve.below(4), curve.above(16)) == (4, 16, None, None)
    assert curve.sizes() == [4, 8, 16]
    assert 8 in curve
    assert 9 not in curve


def test_the_first_size_over_a_latency_limit_is_over_it_in_most_of_its_runs() -> None:
    curve = Curve()
    for size, p99 in ((1, 5.0), (2, None), (4, 9.0), (4, 90.0), (8, 30.0), (8, 31.0), (8, 8.0)):
        curve.add(Observation(size, 1.0, service_p99_ms=p99))
    assert curve.service_p99_ms(2) is None
    assert [curve.first_over(limit) for limit in (4, 8, 10, 29, 30)] == [1, 4, 8, 8, None]
