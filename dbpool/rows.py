"""Records into the caller's own types."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from inspect import Parameter, signature
from operator import itemgetter
from typing import NotRequired, Protocol, TypeVar, cast, get_origin, get_type_hints
from uuid import UUID

from dbpool.errors import RowMappingError

T = TypeVar("T")


class Row(Protocol):
    """What is asked of a record; asyncpg's has it. Iterating gives values, as for a tuple."""

    def keys(self) -> Iterator[str]: ...
    def __getitem__(self, column: str, /) -> object: ...
    def __iter__(self) -> Iterator[object]: ...


Maker = Callable[[Row], object]

_SINGLE_VALUES = (str, bytes, int, float, Decimal, date, time, timedelta, UUID, Enum)


def mapper(into: Callable[..., T], columns: tuple[str, ...]) -> Callable[[Row], T]:
    """A function that makes one row of *columns* into a T.

    Args:
        into: A dataclass, NamedTuple, msgspec Struct, attrs class or TypedDict, whose fields are matched with the
            columns by name and are not validated; a pydantic model, which validates and honours its aliases; ``dict``;
            ``tuple``; or any other class or function, which is called with the columns as keywords.
        columns: Names in the order of the result.

    Raises:
        RowMappingError: a column has no field, a required field has no column, a name comes twice, or *into* is a
            type of single values such as ``int``.
    """
    target = get_origin(into) or into  # Page[int] is made as Page, dict[str, int] as dict
    if isinstance(target, type):
        return cast("Callable[[Row], T]", _mapper_of_type(target, columns))
    # Not kept: a lambda is another one each time
    return cast("Callable[[Row], T]", _called_by_name(target, columns))


@lru_cache(maxsize=1024)
def _mapper_of_type(into: type, columns: tuple[str, ...]) -> Maker:
    if into is tuple:
        return tuple
    if issubclass(into, _SINGLE_VALUES) or (into.__module__ == "builtins" and into is not dict):
        raise RowMappingError(
            f"into={into.__name__} takes no row: give a type with fields, or take the value itself (fetchval, row[0])."
        )
    if into is dict:
        _refuse_duplicates(into, columns)
        return _as_dict
    if hasattr(into, "__required_keys__"):  # a TypedDict, of typing or typing_extensions
        _compare(into, columns, _required_keys(into), _all_keys(into))
        return _as_dict
    if hasattr(into, "model_validate"):
        return _pydantic_mapper(into, columns)
    has_fields = any(hasattr(into, mark) for mark in ("__dataclass_fields__", "__struct_fields__", "__attrs_attrs__"))
    if has_fields or (issubclass(into, tuple) and hasattr(into, "_fields")):
        return _called_by_position(into, columns)
    return _called_by_name(into, columns)


def _as_dict(row: Row) -> dict[str, object]:
    return dict(row)


def _all_keys(typed_dict: type) -> frozenset[str]:
    keys = cast("_TypedDict", typed_dict)
    return keys.__required_keys__ | keys.__optional_keys__


def _required_keys(typed_dict: type) -> frozenset[str]:
    required = cast("_TypedDict", typed_dict).__required_keys__
    try:
        # Under `from __future__ import annotations` Python itself takes NotRequired[...] for required
        hints = get_type_hints(typed_dict, include_extras=True)
    except NameError:
        return required
    return required - {key for key, hint in hints.items() if get_origin(hint) is NotRequired}


def _called_by_position(into: Callable[..., object], columns: tuple[str, ...]) -> Maker:
    """The quick way, 4 times as fast as by keyword; for types whose parameters are their fields in order."""
    by_name = _called_by_name(into, columns)
    positional = [name for name, parameter in signature(into).parameters.items() if parameter.kind in _BY_POSITION]
    order = [columns.index(name) for name in positional[: len(columns)] if name in columns]
    if len(order) < len(columns):
        return by_name  # a field with a default was left out, or may only be given by name
    if order == sorted(order):
        return lambda row: into(*row)
    values = itemgetter(*order)  # two or more: one column is always in order
    return lambda row: into(*values(row))


_BY_POSITION = frozenset({Parameter.POSITIONAL_OR_KEYWORD})
_BY_NAME = frozenset({Parameter.POSITIONAL_OR_KEYWORD, Parameter.KEYWORD_ONLY})


def _called_by_name(into: Callable[..., object], columns: tuple[str, ...]) -> Maker:
    try:
        parameters = signature(into).parameters.values()
    except (TypeError, ValueError):  # some of those written in C tell no signature
        _refuse_duplicates(into, columns)
    else:
        required = {p.name for p in parameters if p.default is Parameter.empty and p.kind not in _VARIABLE}
        accepted = {p.name for p in parameters if p.kind in _BY_NAME}
        takes_any = any(p.kind is Parameter.VAR_KEYWORD for p in parameters)
        _compare(into, columns, required, accepted.union(columns) if takes_any else accepted)
    return lambda row: into(**row)


_VARIABLE = frozenset({Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD})


class _TypedDict(Protocol):
    __required_keys__: frozenset[str]
    __optional_keys__: frozenset[str]


class _PydanticField(Protocol):
    validation_alias: object

    def is_required(self) -> bool: ...


class _PydanticModel(Protocol):
    model_config: Mapping[str, object]
    model_fields: Mapping[str, _PydanticField]

    def model_validate(self, values: dict[str, object], /) -> object: ...


def _pydantic_mapper(into: type, columns: tuple[str, ...]) -> Maker:
    model = cast("_PydanticModel", into)
    validate, config = model.model_validate, model.model_config
    if _reads_input_its_own_way(into):
        _refuse_duplicates(into, columns)
        return lambda row: validate(dict(row))
    required: set[str] = set()
    accepted: set[str] = set(columns if "extra" in config and config["extra"] != "forbid" else ())
    by_name = bool(config.get("populate_by_name") or config.get("validate_by_name"))
    for name, field in model.model_fields.items():
        names = set(_alias_names(field.validation_alias)) if config.get("validate_by_alias", True) else set()
        if by_name or not names:
            names.add(name)
        accepted |= names
        if field.is_required() and names.isdisjoint(columns):
            required.add(min(names))
    _compare(into, columns, required, accepted)
    return lambda row: validate(dict(row))


def _reads_input_its_own_way(model: type) -> bool:
    """Whether the fields do not say what the model takes: a RootModel, or a validator that sees the input first."""
    decorators = getattr(model, "__pydantic_decorators__", None)
    validators = getattr(decorators, "model_validators", {}).values()
    return bool(getattr(model, "__pydantic_root_model__", False)) or any(v.info.mode != "after" for v in validators)


def _alias_names(alias: object) -> Iterator[str]:
    """The keys that a pydantic alias reads: "a", AliasPath("a", 0), AliasChoices("a", AliasPath("b", 0))."""
    if isinstance(alias, str):
        yield alias
    for choice in getattr(alias, "choices", ()):
        yield from _alias_names(choice)
    yield from getattr(alias, "path", [])[:1]


def _refuse_duplicates(into: object, columns: tuple[str, ...]) -> None:
    _compare(into, columns, (), columns)


def _compare(into: object, columns: tuple[str, ...], required: Iterable[str], accepted: Iterable[str]) -> None:
    """Raise unless every column is accepted, every required field has a column, and no name comes twice."""
    wrong = {
        "no column for": sorted(set(required).difference(columns)),
        "no field for": sorted(set(columns).difference(accepted)),
        "more than one column": sorted({name for name in columns if columns.count(name) > 1}),
    }
    if any(wrong.values()):
        name = getattr(into, "__qualname__", repr(into))
        problems = "; ".join(f"{what} {', '.join(names)}" for what, names in wrong.items() if names)
        raise RowMappingError(
            f"a row with the columns ({', '.join(columns)}) does not fit {name}: {problems}. "
            "Name each column after its field (select x as field), and leave out those that have none."
        )
