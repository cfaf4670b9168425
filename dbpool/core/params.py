"""An item's parameters as JSON text, to be read by people, then made values again."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

TAG, VALUE = "$", "value"  # {"$": "date", "value": "2026-11-28"}
_SHOWN = "shown"


class Unreadable(ValueError):
    """A value of this text could be shown but not kept."""


def as_json(args: Sequence[object]) -> str:
    """The text of *args*, ASCII without NUL; any value can be shown."""
    return json.dumps([_plain(value) for value in args])


def from_json(text: str) -> tuple[Any, ...]:
    """The values of which ``as_json`` made *text*.

    Raises:
        Unreadable: one of them was of a type that JSON text cannot bring back.
    """
    return tuple(json.loads(text, object_hook=_value))


def _plain(value: object) -> object:
    kind = type(value)
    if value is None or kind in (bool, int, float, str):
        return value
    if kind is list:
        return [_plain(each) for each in value]  # type: ignore[attr-defined]
    if kind is dict and TAG not in value and all(type(key) is str for key in value):  # type: ignore[operator,attr-defined]
        return {key: _plain(each) for key, each in value.items()}  # type: ignore[attr-defined]
    for name, (base, write, _) in _KINDS.items():
        if isinstance(value, base):
            return {TAG: name, VALUE: write(value)}
    return {TAG: _SHOWN, "type": kind.__qualname__, VALUE: repr(value)}


def _value(found: dict[str, Any]) -> object:
    name = found.get(TAG)
    if name is None:
        return found
    if name == _SHOWN:
        raise Unreadable(f"a value of type {found['type']} is kept only as it looks: {found[VALUE]}")
    return _KINDS[name][2](found[VALUE])


def _pairs(value: dict[object, object]) -> list[list[object]]:
    return [[_plain(key), _plain(each)] for key, each in value.items()]


def _members(value: Sequence[object]) -> list[object]:
    return [_plain(each) for each in value]


# datetime comes before date, of which it is a kind
_KINDS: Final[dict[str, tuple[type, Callable[[Any], object], Callable[[Any], object]]]] = {
    "bytes": (bytes, bytes.hex, bytes.fromhex),
    "bytearray": (bytearray, bytearray.hex, bytes.fromhex),
    "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, time.isoformat, time.fromisoformat),
    "timedelta": (timedelta, lambda value: [value.days, value.seconds, value.microseconds], lambda of: timedelta(*of)),
    "decimal": (Decimal, str, Decimal),
    "uuid": (UUID, str, UUID),
    "tuple": (tuple, _members, tuple),
    "set": ((set), lambda value: _members(list(value)), set),
    "dict": (dict, _pairs, dict),
}
