"""Due times: as many as the stages pay for, at their rate, the same for the same seed."""

from __future__ import annotations

from itertools import chain, pairwise
from math import exp, sqrt
from random import Random
from statistics import mean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.arrivals import Arrival, due_times
from dbpool.core.stages import Stage, shared

levels = st.one_of(st.just(0.0), st.floats(0.5, 200))
shapes = st.lists(st.builds(Stage, st.floats(0.1, 5), levels, levels), max_size=4)


def times_of(
    stages: list[Stage], arrival: Arrival, *, seed: int = 1, offset: float = 0.0, block: int = 1024
) -> list[float]:
    return list(chain.from_iterable(due_times(stages, arrival, Random(seed), offset=offset, block=block)))


def area_until(stages: list[Stage], t: float) -> float:
    area = 0.0
    for stage in stages:
        part = min(t, stage.duration_s)
        area += (stage.start + stage.level_at(part)) / 2 * part
        t -= part
    return area


@given(shapes)
def test_constant_arrivals_come_when_the_next_one_is_paid_for(stages: list[Stage]) -> None:
    times = times_of(stages, Arrival.CONSTANT)
    total = sum(stage.area for stage in stages)
    assert len(times) in (int(total), int(total) + 1)
    for number, t in enumerate(times):
        assert area_until(stages, t) == pytest.approx(number, rel=1e-6, abs=1e-5)


@given(shapes, st.sampled_from(Arrival), st.integers(0, 9))
def test_due_times_ascend_within_the_stages(stages: list[Stage], arrival: Arrival, seed: int) -> None:
    times = times_of(stages, arrival, seed=seed)
    assert times == sorted(times)
    assert all(0 <= t <= sum(stage.duration_s for stage in stages) + 1e-9 for t in times)


@given(shapes, st.sampled_from(Arrival), st.integers(1, 7))
def test_blocks_are_full_but_for_the_last_and_change_nothing(stages: list[Stage], arrival: Arrival, block: int) -> None:
    blocks = list(due_times(stages, arrival, Random(1), block=block))
    assert all(len(each) == block for each in blocks[:-1])
    assert all(0 < len(each) <= block for each in blocks)
    assert list(chain.from_iterable(blocks)) == times_of(stages, arrival)


def test_a_constant_rate_is_evenly_spaced_from_the_start() -> None:
    assert times_of([Stage(1, 4, 4)], Arrival.CONSTANT) == [0, 0.25, 0.5, 0.75]


def test_an_hour_of_constant_arrivals_does_not_drift() -> None:
    times = times_of([Stage(3600, 7, 7)], Arrival.CONSTANT)
    assert len(times) == 25_200
    assert times[-1] == pytest.approx(25_199 / 7, abs=1e-9)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_together_do_what_one_would(workers: int) -> None:
    stages = [Stage(2, 30, 30), Stage(1, 60, 0)]
    parts = [times_of(shared(stages, workers), Arrival.CONSTANT, offset=i / workers) for i in range(workers)]
    assert sorted(chain.from_iterable(parts)) == pytest.approx(times_of(stages, Arrival.CONSTANT), abs=1e-9)


def test_the_same_seed_gives_the_same_times() -> None:
    stages = [Stage(2, 30, 60)]
    assert times_of(stages, Arrival.POISSON, seed=5) == times_of(stages, Arrival.POISSON, seed=5)
    assert times_of(stages, Arrival.POISSON, seed=5) != times_of(stages, Arrival.POISSON, seed=6)


def test_constant_arrivals_draw_nothing() -> None:
    random = Random(3)
    list(due_times([Stage(2, 30, 60)], Arrival.CONSTANT, random))
    assert random.random() == Random(3).random()


def test_gaps_of_poisson_arrivals_are_exponential() -> None:
    times = times_of([Stage(500, 100, 100)], Arrival.POISSON, seed=11)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert mean(gaps) == pytest.approx(0.01, rel=0.02)  # 50,000 gaps: the standard error is 0.45 %
    for t in (0.001, 0.01, 0.03):
        share = sum(gap > t for gap in gaps) / len(gaps)
        assert share == pytest.approx(exp(-100 * t), abs=4 * sqrt(0.25 / len(gaps)))


def test_poisson_arrivals_follow_a_ramp() -> None:
    times = times_of([Stage(100, 0, 1000)], Arrival.POISSON, seed=11)
    assert len(times) == pytest.approx(50_000, abs=4 * sqrt(50_000))
    assert sum(t < 50 for t in times) == pytest.approx(12_500, abs=4 * sqrt(12_500))


def test_nothing_comes_while_the_rate_is_0() -> None:
    times = times_of([Stage(1, 5, 5), Stage(1, 0, 0), Stage(1, 5, 5)], Arrival.POISSON, seed=2)
    assert [t for t in times if 1 <= t < 2] == []
    assert [t for t in times if t >= 2]


def test_no_stage_is_no_arrival() -> None:
    assert times_of([], Arrival.POISSON) == []
