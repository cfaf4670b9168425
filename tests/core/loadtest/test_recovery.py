"""When things are back as they were."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool.core.histogram import Histogram
from dbpool.core.loadtest.recovery import back_from, good_from, is_within, level_from, usual_ms

MS = 1_000_000


@pytest.mark.parametrize(
    ("slow", "missed", "expected"),
    [(0, 0, True), (1, 0, True), (2, 0, False), (0, 1, True), (1, 1, False), (0, 2, False)],
)
def test_one_in_a_hundred_may_be_beyond_the_limit(slow: int, missed: int, expected: bool) -> None:
    responses = Histogram([10 * MS] * (100 - slow - missed) + [30 * MS] * slow)
    assert is_within(responses, 20 * MS, missed=missed) is expected


def test_of_a_few_none_may_be() -> None:
    assert is_within(Histogram([10 * MS] * 9), 20 * MS) is True
    assert is_within(Histogram([10 * MS] * 8 + [30 * MS]), 20 * MS) is False
    assert is_within(Histogram(), 20 * MS, missed=1) is False
    assert is_within(Histogram(), 20 * MS) is None


@settings(max_examples=20)  # each of a thousand values
@given(st.lists(st.integers(1, 10**10), min_size=1000, max_size=1500), st.integers(1, 10**10))
def test_it_is_what_the_p99_says_where_there_is_one(values: list[int], limit: int) -> None:
    responses = Histogram(values)
    p99 = responses.quantile(0.99)
    assert p99 is not None
    if abs(p99 - limit) > p99 / 1000:  # nearer than a bucket is wide, the two may differ
        assert is_within(responses, limit) is (p99 <= limit)


@pytest.mark.parametrize(
    ("are_good", "expected"),
    [
        ([True, True, True], 0),
        ([False, True, True, True], 1),
        ([True, False, True, True, True, False], 2),
        ([True, True, False, True, True], None),
        ([False, None, None, True, None, True], 3),
        ([True, None, None, False], None),
        ([None, None, None], None),
        ([], None),
    ],
)
def test_it_is_back_with_three_good_seconds_in_a_row(are_good: Sequence[bool | None], expected: int | None) -> None:
    assert back_from(are_good) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([90.0, 100.0, 110.0], 0),
        ([0.0, 95.0, 80.0, 90.0, 95.0, 100.0], 3),
        ([0.0, 95.0, 80.0, 97.0], 1),
        ([0.0, 100.0, 10.0], None),
        ([90.0, 90.0], None),
    ],
)
def test_a_level_is_reached_where_it_is_kept_on_average(values: Sequence[float], expected: int | None) -> None:
    assert level_from(values, 90.0, hold=3) == expected


@pytest.mark.parametrize(
    ("are_good", "expected"),
    [
        ([True, True], 0),
        ([], 0),
        ([None], 0),
        ([False, True], 1),
        ([True, False, None, True], 2),
        ([False, True, False], None),
        ([True, False, None], None),
    ],
)
def test_it_is_good_again_behind_the_last_bad_one(are_good: Sequence[bool | None], expected: int | None) -> None:
    assert good_from(are_good) == expected


def test_what_is_usual_is_never_beyond_the_limit() -> None:
    assert usual_ms(None, 20.0) == 20.0
    assert usual_ms(4.0, 20.0) == 8.0
    assert usual_ms(500.0, 20.0) == 20.0
