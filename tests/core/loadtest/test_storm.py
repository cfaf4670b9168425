"""How many connections a storm has, and how its times are drawn."""

from __future__ import annotations

import pytest

from dbpool.core.loadtest.cdf import cdf
from dbpool.core.loadtest.stormplan import StormPlan, storm_plan


def plan(free: int = 100, room: int = 90, asked: int | None = None, *, alone: bool = True) -> StormPlan:
    return storm_plan(free=free, room=room, is_alone=alone, is_pooled=False, asked=asked)


@pytest.mark.parametrize(("room", "expected"), [(90, 87), (500, 100), (5, 2)])
def test_as_many_connect_at_once_as_there_is_room_for(room: int, expected: int) -> None:
    assert plan(room=room).barrier == expected
    assert plan(room=room, alone=False).barrier == expected


def test_without_room_nobody_does() -> None:
    assert plan(room=4).barrier == 0
    assert "no room" in plan(room=0).notes[0]


def test_who_asks_for_more_gets_it_where_nobody_else_is() -> None:
    assert plan(asked=300) == StormPlan(300, 97 + 20)
    assert plan(asked=50).barrier == 50
    fewer = plan(asked=300, alone=False)
    assert fewer.barrier == 87
    assert "87 connect at once instead of 300: others need the rest" in fewer.notes
    assert plan(asked=900).barrier == 500


@pytest.mark.parametrize(("free", "expected"), [(100, 97 + 20), (8, 5 + 5), (2, 5), (403, 400 + 80)])
def test_beyond_the_limit_a_fifth_finds_no_room(free: int, expected: int) -> None:
    assert plan(free=free).beyond == expected


def test_nobody_goes_beyond_the_limit_where_it_harms_or_cannot_be_told() -> None:
    assert (plan(alone=False).beyond, "others use" in plan(alone=False).notes[-1]) == (0, True)
    assert (plan(free=1000).beyond, "500" in plan(free=1000).notes[-1]) == (0, True)
    pooled = storm_plan(free=100, room=90, is_alone=True, is_pooled=True)
    assert (pooled.beyond, "pooler" in pooled.notes[-1]) == (0, True)


@pytest.mark.parametrize(("most", "expected"), [(None, 117), (120, 117), (119, 0), (12, 0)])
def test_nobody_goes_beyond_what_may_be_taken_at_the_most(most: int | None, expected: int) -> None:
    planned = storm_plan(free=100, room=90, is_alone=True, is_pooled=False, most=most)
    assert planned.beyond == expected
    assert any("at the most" in note for note in planned.notes) == (not expected)


def test_the_most_at_a_time_is_of_one_part_with_what_is_there_all_along() -> None:
    assert StormPlan(80, 117).most == 120
    assert StormPlan(80, 0).most == 83


def test_a_few_values_are_each_a_point_and_many_are_thinned() -> None:
    assert cdf([3.0, 1.0, 2.0, 2.0]) == [(1.0, 0.25), (2.0, 0.5), (2.0, 0.75), (3.0, 1.0)]
    assert cdf([]) == []
    many = cdf([float(value) for value in range(1, 1001)], most=4)
    assert many == [(250.0, 0.25), (500.0, 0.5), (750.0, 0.75), (1000.0, 1.0)]
