"""Ranges of a table's pages: every page once, the last range open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.pages import PageRange, cut, pages_per_part


@pytest.mark.parametrize(
    ("pages", "per_part", "ranges"),
    [
        (0, 4, [(0, None)]),
        (1, 4, [(0, None)]),
        (4, 4, [(0, None)]),
        (5, 4, [(0, 4), (4, None)]),
        (8, 4, [(0, 4), (4, None)]),
        (9, 4, [(0, 4), (4, 8), (8, None)]),
        (3, 1, [(0, 1), (1, 2), (2, None)]),
    ],
)
def test_a_table_is_cut_into_ranges_whose_last_is_open(
    pages: int, per_part: int, ranges: list[tuple[int, int | None]]
) -> None:
    assert [(each.first, each.end) for each in cut(pages, per_part)] == ranges


@given(pages=st.integers(0, 500), per_part=st.integers(1, 60), grown=st.integers(0, 200))
def test_every_page_is_in_one_range_also_of_a_table_that_grew(pages: int, per_part: int, grown: int) -> None:
    seen = [0] * (pages + grown)
    for each in cut(pages, per_part):
        for page in range(each.first, len(seen) if each.end is None else each.end):
            seen[page] += 1
    assert seen == [1] * (pages + grown)


@given(pages=st.integers(1, 2_000), per_part=st.integers(1, 300))
def test_no_range_has_more_pages_than_asked_for_and_none_is_empty(pages: int, per_part: int) -> None:
    ranges = list(cut(pages, per_part))
    sizes = [(pages if each.end is None else each.end) - each.first for each in ranges]
    assert all(0 < size <= per_part for size in sizes)
    assert set(sizes[:-1]) <= {per_part}


@pytest.mark.parametrize(
    ("pages", "condition"),
    [
        (PageRange(0, None), ""),
        (PageRange(0, 7), "ctid < '(7,0)'::tid"),
        (PageRange(7, 9), "ctid >= '(7,0)'::tid AND ctid < '(9,0)'::tid"),
        (PageRange(9, None), "ctid >= '(9,0)'::tid"),
    ],
)
def test_a_range_is_a_condition_on_ctid(pages: PageRange, condition: str) -> None:
    assert pages.condition() == condition


@pytest.mark.parametrize(
    ("pages", "readers", "per_part"),
    [(0, 2, 10), (79, 2, 10), (160, 2, 20), (161, 2, 21), (100_000, 2, 50), (160, 1, 40)],
)
def test_parts_are_shared_out_within_their_bounds(pages: int, readers: int, per_part: int) -> None:
    assert pages_per_part(pages, readers, least=10, most=50) == per_part


def test_a_part_has_a_page_whatever_the_bounds() -> None:
    assert pages_per_part(0, 4, least=0, most=0) == 1
