"""Series of throughputs: batches until they are independent, the warm-up found, the three averages of Little's law."""

from __future__ import annotations

from math import exp
from random import Random
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.loadtest import littleslaw
from dbpool.core.loadtest.batchmeans import FEWEST, Mean, autocorrelation, batch_mean, batchings
from dbpool.core.loadtest.intervals import of_mean
from dbpool.core.loadtest.warmup import Warmup, warmup_of

series = st.lists(st.floats(0, 1e6), min_size=1, max_size=150)


def correlated(random: Random, n: int, resemblance: float, middle: float = 1000.0) -> list[float]:
    """A first-order autoregressive series about *middle*, as if it had run for long."""
    off = random.gauss(0, 50) / (1 - resemblance**2) ** 0.5
    values = []
    for _ in range(n):
        values.append(middle + off)
        off = resemblance * off + random.gauss(0, 50)
    return values


def holds_the_mean(mean: Mean) -> bool:
    return mean.interval is not None and 1000 in mean.interval


@given(series)
def test_the_mean_is_that_of_all_values(values: list[float]) -> None:
    mean = batch_mean(values)
    assert mean.value == pytest.approx(fmean(values))
    assert (mean.interval is None) == (len(values) < FEWEST)


@given(series)
def test_batches_are_never_fewer_than_ten_and_grow_by_one(values: list[float]) -> None:
    sizes = [len(values) // len(batches) for batches in batchings(values)]
    assert all(len(batches) >= FEWEST for batches in batchings(values))
    assert len(sizes) == len(values) // FEWEST


def test_what_does_not_fill_a_batch_is_left_out_at_the_start() -> None:
    values = [99.0, *[1.0, 3.0] * 10]
    assert list(batchings(values)) == [values, [2.0] * 10]


def test_independent_values_are_batches_of_their_own() -> None:
    random = Random(3)
    means = [batch_mean([random.gauss(1000, 50) for _ in range(200)]) for _ in range(100)]
    assert sum(mean.n_batches == 200 for mean in means) > 75
    assert sum(map(holds_the_mean, means)) >= 90


def test_correlated_values_are_batched_until_the_interval_is_honest() -> None:
    random = Random(3)
    runs = [correlated(random, 600, 0.8) for _ in range(200)]
    means = list(map(batch_mean, runs))
    naive = [interval for run in runs if (interval := of_mean(run)) is not None]
    assert sum(1000 in interval for interval in naive) < 120  # of 200 that claim 95 %
    assert sum(map(holds_the_mean, means)) > 175
    assert all(mean.n_batches < 300 for mean in means)
    assert sum(mean.is_settled for mean in means) > 190


def test_a_beat_between_two_levels_is_batched_away() -> None:
    random = Random(3)
    mean = batch_mean([value + random.gauss(0, 1) for value in [900.0, 1100.0] * 100])
    assert mean.is_settled
    assert mean.n_batches == 100


def test_a_trend_never_settles() -> None:
    mean = batch_mean([float(second) for second in range(100)])
    assert not mean.is_settled
    assert mean.n_batches == FEWEST


def test_a_constant_is_known_exactly() -> None:
    mean = batch_mean([5.0] * 20)
    assert mean.interval is not None
    assert (mean.interval.low, mean.interval.high, mean.is_settled) == (5, 5, True)


def test_autocorrelation_is_between_neighbours() -> None:
    assert autocorrelation([1, -1] * 50) == pytest.approx(-0.99)
    assert autocorrelation([1, 1, -1, -1] * 50) == pytest.approx(0, abs=0.01)
    assert autocorrelation([7, 7, 7]) == 0


def test_a_warm_up_is_found_and_left_out() -> None:
    random = Random(8)
    values = [1000 * (1 - exp(-second / 10)) + random.gauss(0, 20) for second in range(200)]
    found = warmup_of(values)
    assert found is not None
    assert found.is_steady
    assert 25 <= found.discard <= 60  # after 25 s 8 % are missing still, after 60 s 0.2 %
    assert fmean(values[found.discard :]) == pytest.approx(1000, rel=0.01)


def test_a_steady_run_is_kept_almost_whole() -> None:
    random = Random(8)
    found = [warmup_of([random.gauss(1000, 20) for _ in range(300)]) for _ in range(50)]
    assert sum(each is not None and each.discard <= 75 for each in found) > 40


def test_a_run_that_changes_late_is_unsteady() -> None:
    random = Random(8)
    values = [(600 if second < 70 else 1000) + random.gauss(0, 10) for second in range(100)]
    assert warmup_of(values) == Warmup(70, is_steady=False)


def test_a_change_at_the_half_is_steady_still() -> None:
    values = [float(second >= 50) for second in range(100)]
    assert warmup_of(values) == Warmup(50, is_steady=True)


def test_a_constant_series_needs_no_warm_up() -> None:
    assert warmup_of([3.0] * 60) == Warmup(0, is_steady=True)


def test_fewer_than_fifty_values_do_not_tell() -> None:
    assert warmup_of([1.0] * 49) is None
    assert warmup_of([1.0] * 50) is not None


def test_averages_that_fit_together_pass_littles_law() -> None:
    assert littleslaw.off_by(10, 1000, 0.01) == 0
    assert littleslaw.holds(10, 1000, 0.01029)
    assert littleslaw.holds(10, 1000, 0.00971)
    assert not littleslaw.holds(10, 1000, 0.01031)
    assert not littleslaw.holds(10, 1000, 0.00969)


def test_what_is_not_service_is_waiting() -> None:
    assert littleslaw.waiting_s(10, 500, 0.008) == pytest.approx(0.012)
    assert littleslaw.waiting_s(10, 500, 0.021) == 0
