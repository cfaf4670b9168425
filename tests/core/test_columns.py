"""Items and the columns of their parameters."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.columns import args_of, columns_of, items_of


class Pair(NamedTuple):
    a: object
    b: object


VALUES = st.one_of(st.integers(), st.none(), st.text(max_size=2), st.lists(st.integers(), max_size=2))
KEYS = st.lists(
    st.one_of(VALUES, st.tuples(VALUES), st.tuples(VALUES, VALUES), st.builds(Pair, VALUES, VALUES)), min_size=1
)


@given(KEYS)
def test_columns_are_the_items_turned_round(keys: list[object]) -> None:
    items = items_of(keys)
    assert [tuple(item) for item in items] == [tuple(args_of(key)) for key in keys]
    columns = columns_of(keys)
    if len(set(map(len, items))) > 1:
        assert columns is None
    else:
        assert columns is not None
        assert [list(column) for column in columns] == [list(column) for column in zip(*items, strict=True)]


def test_a_list_is_one_value_and_no_values_make_no_columns() -> None:
    assert columns_of([[1, 2], [3]]) == [[[1, 2], [3]]]
    assert columns_of([(), ()]) == []
