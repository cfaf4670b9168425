"""Stages: straight lines, their areas, and the times by which a part of the area lies behind."""

from __future__ import annotations

from math import inf, nan

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dbpool.core.stages import Stage, level_at, line_of, reached_at, seconds_of, shared, stages_of
from dbpool.errors import SettingsError

levels = st.one_of(st.just(0.0), st.floats(0.01, 1e5))
stages = st.builds(Stage, st.floats(0.01, 1000), levels, levels)


@given(stages, st.floats(0, 1, exclude_max=True))
def test_the_time_of_an_area_is_when_it_lies_behind(stage: Stage, part: float) -> None:
    assume(stage.area)
    area = part * stage.area
    t = stage.time_at(area)
    assert 0 <= t <= stage.duration_s
    behind = (stage.start + stage.level_at(t)) / 2 * t
    assert behind == pytest.approx(area, rel=1e-6, abs=1e-6 * stage.area)


def test_an_area_that_rounding_puts_past_the_end_is_at_the_end() -> None:
    assert Stage(1, 3, 0).time_at(1.5 + 1e-12) == pytest.approx(1, abs=1e-5)
    assert Stage(1, 0, 3).time_at(1.5 + 1e-12) == 1


def test_an_area_too_small_for_a_number_lies_behind_at_once() -> None:
    assert Stage(3.0, 0.0, 0.5).time_at(5e-324) == 0


def test_a_stage_goes_straight_from_its_start_to_its_end() -> None:
    stage = Stage(10, 100, 200)
    assert [stage.level_at(t) for t in (0, 5, 10)] == [100, 150, 200]
    assert stage.area == 1500


def test_the_level_follows_one_stage_after_the_other_and_ends_at_0() -> None:
    steps = [Stage(10, 0, 10), Stage(5, 50, 50)]
    assert [level_at(steps, t) for t in (0, 5, 10, 14.9, 15, 99)] == [0, 5, 50, 50, 0, 0]


STAGES = st.lists(
    st.builds(Stage, st.floats(0.1, 5), st.integers(0, 9).map(float), st.integers(0, 9).map(float)),
    min_size=1,
    max_size=4,
)


@given(STAGES, st.integers(0, 9), st.floats(0, 20))
def test_a_level_is_reached_when_it_first_is_and_not_before(stages: list[Stage], rank: int, t: float) -> None:
    level = rank + 0.5
    at = reached_at(stages, level, t)
    end = sum(stage.duration_s for stage in stages)
    times = [t + (end - t) * n / 200 for n in range(200)] if t < end else []
    before = [time for time in times if at is None or time < at - 1e-6]
    assert all(level_at(stages, time) < level + 1e-6 for time in before)
    if at is not None:
        assert at >= t
        assert level_at(stages, at + 1e-9) > level - 1e-3 or at + 1e-9 >= end


def test_a_level_is_reached_as_stages_rise_and_fall() -> None:
    stages = stages_of("10s:10,10s:0,0s:4,5s:4")
    assert [reached_at(stages, 2.5, t) for t in (0, 2.5, 5, 17, 18, 21, 25)] == [2.5, 2.5, 5, 17, 20, 21, None]
    assert reached_at(stages, 10.5, 0) is None
    assert reached_at([], 1, 0) is None


def test_workers_share_the_level() -> None:
    assert shared([Stage(10, 90, 30)], 3) == [Stage(10, 30, 10)]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30), ("1m", 60), ("1m30s", 90), ("500ms", 0.5), ("1.5h", 5400), ("10", 10), ("0.25", 0.25), ("0s", 0)],
)
def test_a_duration_is_read(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("text", ["", "s", "30 s", "1m30", "30sec", "-1", "-1s", "nan", "inf", "1m-30s", "x30s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="a duration is like"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("30s:10,1m:50", [Stage(30, 0, 10), Stage(60, 10, 50)]),
        ("0s:50,1m:50", [Stage(60, 50, 50)]),
        ("10s:5, 10s:5, 10s:0", [Stage(10, 0, 5), Stage(10, 5, 5), Stage(10, 5, 0)]),
    ],
)
def test_stages_are_read(text: str, wanted: list[Stage]) -> None:
    assert stages_of(text) == wanted


@pytest.mark.parametrize("text", ["", "30s", "30s:", ":10", "30s:ten", "30s:10,", "0s:10", "30s:-1", "30s:nan"])
def test_what_is_no_stage_is_refused(text: str) -> None:
    with pytest.raises(SettingsError):
        stages_of(text)


@pytest.mark.parametrize(("text", "wanted"), [("100", Stage(9, 100, 100)), ("100:200", Stage(9, 100, 200))])
def test_a_rate_is_read(text: str, wanted: Stage) -> None:
    assert line_of(text, 9) == wanted


@pytest.mark.parametrize("text", ["", "a", "1:", ":1", "1:2:3"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="a rate or a number of clients"):
        line_of(text, 9)


@pytest.mark.parametrize(
    "values", [(0, 1, 1), (-1, 1, 1), (inf, 1, 1), (1, -1, 1), (1, 1, 2e9), (1, nan, 1), (1, True, 1)]
)
def test_a_stage_that_cannot_be_is_refused(values: tuple[float, float, float]) -> None:
    with pytest.raises(SettingsError):
        Stage(*values)
