"""Whether a document has what reports need, by the published schema, without a package for JSON Schema.

Only what that schema uses is understood: types, required keys, items, references, enumerations. What is there besides
is let pass, so that a later version may add to a document; ranges are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any, Final

from dbpool.loadtest.schema.published import document_schema

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}


def flaw_of(document: object) -> str | None:
    """What is missing in *document*, or is not what it must be, with where that is; None: it is whole."""
    return _flaw(document, _schema(), "")


@cache
def _schema() -> dict[str, Any]:
    return document_schema()


def _flaw(value: object, schema: Mapping[str, Any], where: str) -> str | None:
    return next(filter(None, _flaws(value, schema, where)), None)


def _flaws(value: object, schema: Mapping[str, Any], where: str) -> Iterable[str | None]:
    if "$ref" in schema:
        yield _flaw(value, _schema()["$defs"][schema["$ref"].rpartition("/")[2]], where)
    if "oneOf" in schema:  # null, or something: what is wrong is wrong with that
        found = [_flaw(value, choice, where) for choice in schema["oneOf"]]
        yield None if None in found else found[-1]
    if "const" in schema and value != schema["const"]:
        yield f"{where} is not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where} is none of {', '.join(map(str, schema['enum']))}"
    if "type" in schema and not _is_a(value, schema["type"]):
        yield f"{where or 'it'} is not {_named(schema['type'])}"
    if isinstance(value, dict):
        yield from _flaws_of_object(value, schema, where)
    if isinstance(value, list):
        yield from (_flaw(item, schema.get("items", {}), f"{where}[{number}]") for number, item in enumerate(value))


def _flaws_of_object(value: Mapping[str, object], schema: Mapping[str, Any], where: str) -> Iterable[str | None]:
    before = f"{where}." if where else ""
    yield from (f"{before}{name} is missing" for name in schema.get("required", ()) if name not in value)
    known, others = schema.get("properties", {}), schema.get("additionalProperties") or {}
    for name, item in value.items():
        yield _flaw(item, known.get(name, others), f"{before}{name}")


def _is_a(value: object, types: str | list[str]) -> bool:
    names = [types] if isinstance(types, str) else types
    if isinstance(value, bool):  # which Python takes for a number
        return "boolean" in names
    is_whole = isinstance(value, float) and value.is_integer() and "integer" in names  # 3.0 is one in JSON
    return is_whole or any(isinstance(value, _TYPES[name]) for name in names)


def _named(types: str | list[str]) -> str:
    return types if isinstance(types, str) else " or ".join(types)
