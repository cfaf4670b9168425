"""The values of variables, as pgbench reads, turns and writes them."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite, isnan
from typing import Final, TypeAlias

from dbpool.loadtest.scripts.problems import EvaluationError

Value: TypeAlias = int | float | bool | None
"""What an expression gives: an integer of 64 bits, a double, a boolean or NULL."""

Held: TypeAlias = Value | str
"""What a variable holds: a value, or the text that a server or ``-D`` gave, read when an expression needs it."""

MIN_INTEGER: Final = -(1 << 63)
MAX_INTEGER: Final = (1 << 63) - 1
_NAME = re.compile(r"[A-Za-z_\x80-\U0010ffff][A-Za-z0-9_\x80-\U0010ffff]*")
_INTEGER = re.compile(r"[ \t\n\v\f\r]*[-+]?[0-9]+")
# what C's strtod() takes, less hexadecimal and the digits of a NaN
_DOUBLE = re.compile(
    r"[ \t\n\v\f\r]*[-+]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[-+]?[0-9]+)?|inf(?:inity)?|nan)", re.IGNORECASE
)


def is_name(text: str) -> bool:
    """Whether a variable may have that name."""
    return _NAME.fullmatch(text) is not None


def to_64_bits(digits: str) -> int | None:
    """The integer, None if it has more bits; *digits* may be as many as they like."""
    if abs(float(digits)) > 2.0**64:  # int() refuses thousands of digits
        return None
    integer = int(digits)
    return integer if MIN_INTEGER <= integer <= MAX_INTEGER else None


def text_of(value: Held) -> str:
    """The text that goes into a statement; of a double 15 digits, of NULL the word."""
    if type(value) is int or type(value) is str:
        return str(value)
    if value is None:
        return "NULL"
    if type(value) is float:
        return f"{value:.15g}" if isfinite(value) else _infinite_text(value)
    return "true" if value else "false"


def server_text(value: object) -> str:
    """The text that the server has for a column's *value*, which a driver made of it: NULL is no text.

    A driver that hands texts out unread is exact; for the others this is right for texts, numbers and booleans.
    """
    if value is None:
        return ""
    if type(value) is bool:
        return "t" if value else "f"
    if type(value) is float:
        return repr(value).removesuffix(".0") if isfinite(value) else _infinite_text(value)
    return str(value)


def debug_text(value: Value) -> str:
    """Type and value, as debug() shows them."""
    return "null" if value is None else f"{_type_of(value)} {text_of(value)}"


@lru_cache(4096)
def read(name: str, text: str) -> Value:
    """The value of variable *name*, which holds *text*.

    Raises: EvaluationError: no number, no boolean, not NULL.
    """
    lower = text.lower()
    if not text:
        raise EvaluationError(f'variable "{name}" is empty, which is no value')
    if lower == "null":
        return None
    if lower == "on" or "true".startswith(lower) or "yes".startswith(lower):
        return True
    if lower in ("off", "of") or "false".startswith(lower) or "no".startswith(lower):
        return False
    if _INTEGER.fullmatch(text):
        integer = to_64_bits(text)
        if integer is None:
            raise EvaluationError(f'value "{text}" is out of range for type bigint')
        return integer
    if _DOUBLE.fullmatch(text):
        double = float(text)
        if isfinite(double) or lower.lstrip(" \t\n\v\f\r+-")[0] in "in":  # not an overflow
            return double
    raise EvaluationError(f'malformed variable "{name}" value: "{text}"')


def to_boolean(value: Value) -> bool:
    """*value*, which must be a boolean."""
    if type(value) is bool:
        return value
    raise EvaluationError(f"cannot coerce {_type_of(value)} to boolean")


def to_integer(value: Value) -> int:
    """*value* as an integer; a double is rounded, half to even."""
    if type(value) is int:
        return value
    if type(value) is float:
        if isnan(value) or not MIN_INTEGER <= value < -float(MIN_INTEGER):
            raise EvaluationError(f"double to int overflow for {fixed_text(value)}")
        return round(value)
    raise EvaluationError(f"cannot coerce {_type_of(value)} to int")


def to_double(value: Value) -> float:
    """*value* as a double."""
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise EvaluationError(f"cannot coerce {_type_of(value)} to double")


def fixed_text(value: float) -> str:
    """*value* with six decimals, as messages have it."""
    return f"{value:f}" if isfinite(value) else _infinite_text(value)


def _infinite_text(value: float) -> str:
    return "NaN" if isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _type_of(value: Value) -> str:
    if value is None:
        return "null"
    return "boolean" if type(value) is bool else "int" if type(value) is int else "double"
