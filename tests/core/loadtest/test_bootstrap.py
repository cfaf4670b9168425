"""Bootstrapped percentiles: honest where seconds differ, as narrow as theory has it where they do not."""

from __future__ import annotations

from math import exp
from random import Random

import pytest

from dbpool.core.histogram import Histogram, merged
from dbpool.core.loadtest.intervals import Interval
from dbpool.loadtest.bootstrap import quantile_intervals


def steady(random: Random, seconds: int, each: int) -> list[Histogram]:
    return [Histogram([int(random.expovariate(1e-6)) for _ in range(each)]) for _ in range(seconds)]


def swinging(random: Random, seconds: int, each: int) -> list[Histogram]:
    """The level changes slowly about 1 ms; rounded to 5 us, as few buckets are quick."""
    level, made = random.gauss(0, 0.2), []
    for _ in range(seconds):
        level = 0.7 * level + random.gauss(0, 0.14)
        made.append(Histogram([round(200 * exp(level + random.gauss(0, 0.1))) * 5000 for _ in range(each)]))
    return made


def relative_half(found: Interval | None) -> float:
    assert found is not None
    return found.half / found.high


def test_seconds_that_are_all_the_same_leave_no_doubt() -> None:
    second = Histogram([1000 + number for number in range(100)])
    assert quantile_intervals([second] * 20, [0.5, 0.9, 0.99], seed=1) == [
        Interval(1049, 1049),
        Interval(1089, 1089),
        Interval(1098, 1098),
    ]


def test_independent_requests_are_known_as_well_as_ranks_say() -> None:
    found = quantile_intervals(steady(Random(1), 60, 200), [0.5, 0.95], seed=1)
    # of an exponential: the standard error of the quantile p is sqrt(p / (n (1 - p))) ms
    for interval, p, middle in zip(found, (0.5, 0.95), (0.693e6, 2.996e6), strict=True):
        assert interval is not None
        assert middle in interval
        assert interval.half == pytest.approx(1.96e6 * (p / (12_000 * (1 - p))) ** 0.5, rel=0.4)


def test_the_value_at_a_rank_between_two_is_the_upper_one() -> None:
    seconds = [Histogram(range(1, 8))] * 20
    assert quantile_intervals(seconds, [0.42, 0.43, 3 / 7], seed=1) == [Interval(3, 3), Interval(4, 4), Interval(3, 3)]


def test_more_confidence_takes_a_wider_interval() -> None:
    seconds = steady(Random(1), 60, 200)
    (less,), (more,) = (quantile_intervals(seconds, [0.5], seed=1, confidence=each) for each in (0.8, 0.98))
    assert less is not None
    assert more is not None
    assert less.half / more.half == pytest.approx(1.2816 / 2.3263, rel=0.12)  # of a normal distribution


def test_seconds_that_differ_widen_the_interval() -> None:
    random = Random(2)
    held = 0
    for run in range(40):
        interval = quantile_intervals(swinging(random, 60, 25), [0.5], seed=run)[0]
        assert interval is not None
        held += 1e6 in interval
    assert held >= 30  # of 40; single seconds, drawn alone, come to 26


def test_the_interval_is_about_the_quantile() -> None:
    seconds = swinging(Random(3), 30, 100)
    found = quantile_intervals(seconds, [0.5, 0.9, 0.99], seed=1)
    for interval, value in zip(found, merged(seconds).quantiles([0.5, 0.9, 0.99]), strict=True):
        assert interval is not None
        assert value is not None
        assert value in interval


def test_the_same_seed_gives_the_same_interval() -> None:
    seconds = swinging(Random(3), 30, 100)
    assert quantile_intervals(seconds, [0.5], seed=1) == quantile_intervals(seconds, [0.5], seed=1)
    assert quantile_intervals(seconds, [0.5], seed=1) != quantile_intervals(seconds, [0.5], seed=2)


def test_a_long_run_is_put_together_first() -> None:
    random = Random(4)
    short = quantile_intervals(steady(random, 100, 60), [0.5], seed=1)[0]
    long = quantile_intervals(steady(random, 1000, 60), [0.5], seed=1)[0]
    assert relative_half(long) == pytest.approx(relative_half(short) / 10**0.5, rel=0.5)


@pytest.mark.parametrize(("seconds", "each", "is_known"), [(10, 100, True), (10, 99, False), (4, 5000, False)])
def test_too_few_values_or_seconds_tell_nothing(seconds: int, each: int, is_known: bool) -> None:
    found = quantile_intervals(steady(Random(1), seconds, each), [0.99], seed=1)[0]
    assert (found is not None) is is_known


def test_empty_seconds_are_part_of_the_run() -> None:
    seconds = [Histogram([5] * 100), Histogram()] * 10
    assert quantile_intervals(seconds, [0.5], seed=1) == [Interval(5, 5)]
    assert quantile_intervals([Histogram()] * 10, [0.5], seed=1) == [None]
    assert quantile_intervals([], [0.5], seed=1) == [None]
