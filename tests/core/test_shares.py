"""Connections that are divided among worker processes."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.shares import Division

COUNTS = st.integers(1, 60)


@given(COUNTS, COUNTS)
def test_everybody_who_was_there_has_a_share_if_there_are_enough(connections: int, workers: int) -> None:
    division = Division.among(connections, workers)
    assert division.each >= 1
    assert division.shares >= 1
    assert division.shares * division.each <= connections
    assert division.shares >= min(workers, connections)


@given(COUNTS, COUNTS, st.integers(0, 80), st.integers(0, 80))
def test_what_is_given_and_what_is_left_over_is_never_more_than_there_is(
    connections: int, workers: int, given_now: int, left_over: int
) -> None:
    division = Division.among(connections, workers)
    has_room = division.has_room(given_now, left_over)
    assert has_room == ((given_now + 1) * division.each + left_over <= connections)
    if not left_over:
        assert has_room == (given_now < division.shares)
