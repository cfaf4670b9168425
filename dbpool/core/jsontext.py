"""JSON values as the text of which a type makes its values; numbers keep the digits that they were written with."""

from __future__ import annotations

import json
from enum import Enum
from json.encoder import encode_basestring
from typing import Any, TypeAlias, cast

MOST_DIMENSIONS = 6  # of an array, in PostgreSQL

Json: TypeAlias = "Number | str | bool | list[Json] | dict[str, Json] | None"


class Kind(Enum):
    """What text a type reads, as ``json_populate_record`` has it."""

    PLAIN = "a string as it is, anything else as JSON"
    JSON = "JSON"
    ARRAY = "an array, of elements that are plain"
    JSON_ARRAY = "an array, of elements that are JSON"


class Number(str):
    """As it is written."""

    __slots__ = ()


_CONSTANTS = {None: "null", True: "true", False: "false"}
_DECODER = json.JSONDecoder(parse_float=Number, parse_int=Number, parse_constant=Number)


def parsed(text: str) -> Json:
    """The value of a JSON text.

    Raises:
        ValueError: it is none.
        RecursionError: it is nested so deeply that Python cannot read it; so does ``text_for``.
    """
    return cast(Json, _DECODER.decode(text))


def text_for(value: Json, kind: Kind) -> str | None:
    """The text of *value* for a type that reads *kind*; None for null, which is NULL to any of them."""
    if value is None:
        return None
    if kind in (Kind.ARRAY, Kind.JSON_ARRAY) and isinstance(value, list):
        return _array(value, Kind.JSON if kind is Kind.JSON_ARRAY else Kind.PLAIN, MOST_DIMENSIONS)
    return str(value) if isinstance(value, str) and kind is not Kind.JSON else _json(value)


def _json(value: Json) -> str:
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, list):
        return f"[{', '.join(map(_json, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(map(_member, value.items()))}}}"
    return encode_basestring(value) if isinstance(value, str) else _CONSTANTS[value]


def _member(pair: tuple[str, Json]) -> str:
    return f"{encode_basestring(pair[0])}: {_json(pair[1])}"


def _array(values: list[Json], kind: Kind, dimensions: int) -> str:
    return f"{{{','.join(_element(value, kind, dimensions - 1) for value in values)}}}"


def _element(value: Any, kind: Kind, dimensions: int) -> str:  # noqa: ANN401 - as above, which mypy cannot narrow
    if isinstance(value, list) and kind is Kind.PLAIN and dimensions:
        return _array(value, kind, dimensions)
    text = text_for(value, kind)
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
