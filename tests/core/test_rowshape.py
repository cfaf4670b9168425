"""Rows of every kind as tuples of the columns' values."""

from __future__ import annotations

from collections import UserDict
from dataclasses import dataclass
from typing import NamedTuple

import msgspec
import pydantic
import pytest

from dbpool.core.rowshape import RowMisfit, RowShape, names_in, names_in_first


@dataclass
class Data:
    id: int
    name: str


@dataclass(slots=True)
class Wide:
    other: int
    id: int
    name: str


class Named(NamedTuple):
    name: str
    id: int


class Struct(msgspec.Struct):
    id: int
    name: str


class Model(pydantic.BaseModel):
    id: int
    name: str


class Attrs:
    """As attrs makes them."""

    class _Field(NamedTuple):
        name: str

    __attrs_attrs__ = (_Field("id"), _Field("name"))
    id, name = 1, "a"


NAMED = [
    {"name": "a", "id": 1},
    UserDict(id=1, name="a"),
    Data(1, "a"),
    Named("a", 1),
    Struct(1, "a"),
    Model(id=1, name="a"),
    Attrs(),
]


@pytest.mark.parametrize("row", NAMED, ids=lambda row: type(row).__name__)
def test_a_row_with_names_gives_its_values_in_the_order_of_the_columns(row: object) -> None:
    assert set(names_in(row) or ()) == {"id", "name"}
    assert RowShape(["id", "name"], is_all=True).read([row, row], 0) == [(1, "a"), (1, "a")]
    assert RowShape(["name"], is_all=False).read([row], 0) == [("a",)]


@pytest.mark.parametrize("row", [(1, "a"), [1, "a"]], ids=["tuple", "list"])
def test_a_row_with_places_only_gives_its_values_as_they_are(row: object) -> None:
    assert names_in(row) is None
    assert RowShape(["id", "name"], is_all=False).read([row, row], 0) == [(1, "a"), (1, "a")]


def test_rows_of_several_kinds_may_be_mixed() -> None:
    assert RowShape(["id", "name"], is_all=True).read([(1, "a"), *NAMED, [1, "a"]], 0) == [(1, "a")] * 9


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ((1,), r"it has 1 values for 2 columns \(id, name\)"),
        ([1, 2, 3], "it has 3 values"),
        ({"id": 1}, "no value for 'name'"),
        ({"id": 1, "nam": 2}, "no value for 'name' but 'nam', which the first row does not have"),
        ({"id": 1, "name": 2, "more": 3}, "'more', which the first row does not have"),
        (Wide(1, 2, "a"), "'other', which the first row does not have"),
        (7, "it is 7, of int"),
        ("ab", "it is 'ab', of str"),
        (None, "it is None"),
        (Data, "of type"),
    ],
)
def test_a_row_that_does_not_fit_is_named_by_its_number(row: object, why: str) -> None:
    with pytest.raises(RowMisfit, match=rf"row 12 \(counted from 0\) does not fit: .*{why}") as caught:
        RowShape(["id", "name"], is_all=True).read([(1, "a"), (2, "b"), row], 10)
    assert caught.value.number == 12


@pytest.mark.parametrize("row", [{"id": 1, "name": "a", "more": 3}, Wide(1, 1, "a")])
def test_columns_that_were_chosen_leave_the_others_out(row: object) -> None:
    assert RowShape(["id", "name"], is_all=False).read([row], 0) == [(1, "a")]


def test_a_null_where_there_must_be_none_is_named() -> None:
    shape = RowShape(["id", "name"], is_all=True, never_null=[1])
    for row in (1, None), [1, None], {"id": 1, "name": None}:
        with pytest.raises(RowMisfit, match=r"row 3 .* key column 'name': NULL") as caught:
            shape.read([(None, "a"), row], 2)
        assert caught.value.number == 3


def test_the_first_row_of_all_is_named_too() -> None:
    with pytest.raises(RowMisfit, match=r"row 0 .* it is 7"):
        names_in_first(7)


def test_what_a_row_s_own_property_raises_comes_out_as_it_is() -> None:
    class Broken:
        __attrs_attrs__ = Attrs.__attrs_attrs__
        id = 1

        @property
        def name(self) -> str:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        RowShape(["id", "name"], is_all=True).read([Broken()], 0)
