from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import InitVar, dataclass, field
from datetime import date
from enum import Enum
from functools import partial
from typing import Generic, NamedTuple, NotRequired, TypedDict, TypeVar

import msgspec
import pydantic
import pytest
from pydantic.dataclasses import dataclass as pydantic_dataclass

from dbpool.errors import RowMappingError
from dbpool.rows import mapper

T = TypeVar("T")


class FakeRecord:
    """As asyncpg.Record: values when iterated, by name or index, no Mapping."""

    def __init__(self, **values: object) -> None:
        self._values = values

    def keys(self) -> Iterator[str]:
        return iter(self._values)

    def __getitem__(self, key: int | str) -> object:
        return self._values[key] if isinstance(key, str) else list(self._values.values())[key]

    def __iter__(self) -> Iterator[object]:
        return iter(self._values.values())


def make(into: Callable[..., T], **values: object) -> T:
    return mapper(into, tuple(values))(FakeRecord(**values))


@dataclass
class Plain:
    id: int
    name: str = "nobody"
    tags: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    id: int
    name: str


@dataclass
class Derived:
    id: int
    factor: InitVar[int]
    product: int = field(init=False)

    def __post_init__(self, factor: int) -> None:
        self.product = self.id * factor


class Named(NamedTuple):
    id: int
    name: str = "nobody"


class Struct(msgspec.Struct):
    id: int
    name: str = "nobody"


class StructByName(msgspec.Struct, kw_only=True, rename="camel"):
    the_id: int


class Model(pydantic.BaseModel):
    id: int
    name: str = pydantic.Field(default="nobody", alias="full_name")


@pydantic_dataclass
class PydanticDataclass:
    id: int
    name: str = "nobody"


class Typed(TypedDict):
    id: int
    name: NotRequired[str]


@dataclass
class Page(Generic[T]):
    id: T
    name: str = "nobody"


class Ordinary:
    def __init__(self, id: int, *, name: str = "nobody") -> None:  # noqa: A002 - a column's name
        self.pair = (id, name)


class Colour(Enum):
    RED = 1


def describe(id: int, name: str = "nobody") -> str:  # noqa: A002 - a column's name
    return f"{id} {name}"


def take_anything(**columns: object) -> dict[str, object]:
    return columns


@pytest.mark.parametrize(
    ("into", "expected"),
    [
        (Plain, Plain(7, "Ada")),
        (Frozen, Frozen(id=7, name="Ada")),
        (Named, Named(7, "Ada")),
        (Struct, Struct(7, "Ada")),
        (PydanticDataclass, PydanticDataclass(7, "Ada")),
        (Page[int], Page(7, "Ada")),
        (Typed, {"id": 7, "name": "Ada"}),
        (dict, {"id": 7, "name": "Ada"}),
        (dict[str, object], {"id": 7, "name": "Ada"}),
        (describe, "7 Ada"),
        (partial(describe, name="Bob"), "7 Ada"),
        (lambda id, name: (name, id), ("Ada", 7)),  # noqa: A006 - a column's name
        (take_anything, {"id": 7, "name": "Ada"}),
    ],
)
def test_columns_are_matched_with_fields_by_name_in_any_order(into: Callable[..., object], expected: object) -> None:
    assert make(into, id=7, name="Ada") == expected
    assert make(into, name="Ada", id=7) == expected


@pytest.mark.parametrize("into", [Plain, Named, Struct, PydanticDataclass, Page, Typed, describe, Ordinary, Model])
def test_a_field_with_a_default_needs_no_column(into: Callable[..., object]) -> None:
    made = make(into, id=7)
    fields = made if isinstance(made, dict) else {"id": getattr(made, "id", 7), "name": getattr(made, "name", "nobody")}
    assert fields in ({"id": 7, "name": "nobody"}, {"id": 7})


def test_a_default_may_be_left_out_before_another_field() -> None:
    assert make(Plain, tags=["x"], id=7) == Plain(7, "nobody", ["x"])


def test_a_tuple_takes_the_values_in_order_whatever_their_names() -> None:
    assert mapper(tuple, ("a", "a"))(FakeRecord(a=1, b=2)) == (1, 2)


def test_init_only_fields_are_filled_and_computed_ones_are_not() -> None:
    assert make(Derived, factor=3, id=7).product == 21
    with pytest.raises(RowMappingError, match="no field for product"):
        make(Derived, id=7, factor=3, product=21)


def test_a_struct_is_filled_by_the_names_of_its_attributes() -> None:
    assert make(StructByName, the_id=7) == StructByName(the_id=7)


def test_an_ordinary_class_is_called_by_name() -> None:
    assert make(Ordinary, name="Ada", id=7).pair == (7, "Ada")


def test_a_pydantic_model_validates_and_honours_aliases() -> None:
    assert make(Model, id="7", full_name="Ada") == Model(id=7, full_name="Ada")
    with pytest.raises(pydantic.ValidationError):
        make(Model, id="seven", full_name="Ada")
    with pytest.raises(RowMappingError, match="no field for name"):
        make(Model, id=7, name="Ada")
    with pytest.raises(RowMappingError, match="no column for id"):
        make(Model, full_name="Ada")


def test_a_pydantic_model_may_be_configured_to_take_other_names() -> None:
    class ByName(Model, validate_by_name=True):
        pass

    class Open(Model, extra="allow"):
        pass

    class Choosy(pydantic.BaseModel):
        id: int = pydantic.Field(validation_alias=pydantic.AliasChoices("key", pydantic.AliasPath("keys", 0)))

    class Rewriting(pydantic.BaseModel):
        id: int

        @pydantic.model_validator(mode="before")
        @classmethod
        def rename(cls, values: dict[str, object]) -> dict[str, object]:
            return {"id": values["other"]}

    assert make(ByName, id=7, name="Ada").name == "Ada"
    assert make(Open, id=7, more=1).model_extra == {"more": 1}
    assert make(Choosy, keys=[7]).id == make(Choosy, key=7).id == make(Rewriting, other=7).id == 7


@pytest.mark.parametrize("into", [Frozen, Struct, Named, Plain, Typed, Model, PydanticDataclass, describe, Ordinary])
def test_a_row_that_does_not_fit_is_refused_with_what_is_missing_and_what_is_too_much(
    into: Callable[..., object],
) -> None:
    with pytest.raises(RowMappingError) as error:
        mapper(into, ("idd", "nme"))
    message = str(error.value)
    assert into.__qualname__ in message
    assert "no column for id" in message
    assert "no field for idd, nme" in message
    assert "as field" in message
    assert isinstance(error.value, TypeError)


@pytest.mark.parametrize("into", [Plain, Named, Struct, Model, Typed, dict, describe, take_anything])
def test_two_columns_of_one_name_are_refused_where_names_count(into: Callable[..., object]) -> None:
    with pytest.raises(RowMappingError, match="more than one column id"):
        mapper(into, ("id", "id"))


@pytest.mark.parametrize("into", [int, str, bytes, bool, float, date, Colour, list, list[int], object, type(None)])
def test_a_type_of_single_values_is_refused(into: Callable[..., object]) -> None:
    with pytest.raises(RowMappingError, match="fetchval"):
        mapper(into, ("id",))


def test_a_row_without_columns_makes_a_value_without_fields() -> None:
    @dataclass
    class Nothing:
        pass

    assert make(Nothing) == Nothing()


def test_a_type_is_studied_once() -> None:
    assert mapper(Plain, ("id", "name")) is mapper(Plain, ("id", "name"))
    assert mapper(Plain, ("id", "name")) is not mapper(Plain, ("name", "id"))
