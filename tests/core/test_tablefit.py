"""Which columns fit a terminal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.tablefit import GAP, NARROWEST, fit


@pytest.mark.parametrize(
    ("wanted", "whole", "room", "widths", "cut"),
    [
        ([5, 5], [False, False], 80, (5, 5), ()),
        ([5, 100], [False, False], 80, (5, 73), (1,)),
        ([60, 100], [False, False], 80, (39, 39), (0, 1)),
        ([20, 60, 100], [True, False, False], 60, (20, 18, 18), (1, 2)),
        ([50, 50], [True, True], 80, (50,), ()),
        ([200], [True], 80, (200,), ()),
    ],
)
def test_room_is_shared_out(
    wanted: list[int], whole: list[bool], room: int, widths: tuple[int, ...], cut: tuple[int, ...]
) -> None:
    found = fit(wanted, whole, room)
    assert (found.widths, found.cut) == (widths, cut)


@given(st.lists(st.tuples(st.integers(1, 300), st.booleans()), min_size=1, max_size=30), st.integers(20, 200))
def test_what_is_shown_fits_and_what_fits_is_shown(columns: list[tuple[int, bool]], room: int) -> None:
    wanted, whole = [width for width, _ in columns], [is_whole for _, is_whole in columns]
    found = fit(wanted, whole, room)
    shown = len(found.widths)
    assert shown >= 1
    assert all(width <= want for width, want in zip(found.widths, wanted, strict=False))
    assert not any(whole[place] for place in found.cut)
    assert all(found.widths[place] >= NARROWEST for place in found.cut)
    if shown > 1:
        assert sum(found.widths) + GAP * (shown - 1) <= room
    if found.cut and shown > 1:
        assert sum(found.widths) + GAP * (shown - 1) > room - len(found.cut)
