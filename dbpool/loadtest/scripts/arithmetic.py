"""What operators and functions give for values that are not NULL.

Overflow, division and what is no number follow C, as in pgbench.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from math import copysign, inf, nan
from typing import Final

from dbpool.loadtest.scripts import hashing
from dbpool.loadtest.scripts.hashing import signed
from dbpool.loadtest.scripts.problems import EvaluationError
from dbpool.loadtest.scripts.values import MAX_INTEGER, MIN_INTEGER, Value, to_boolean, to_double, to_integer

_SHIFTS: Final = 63  # a shift by n is one by n modulo 64, which is what processors do


def _in_range(value: int, operation: str) -> int:
    if MIN_INTEGER <= value <= MAX_INTEGER:
        return value
    raise EvaluationError(f"bigint {operation} out of range")


def _add(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        return to_double(left) + to_double(right)
    return _in_range(to_integer(left) + to_integer(right), "add")


def _subtract(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        return to_double(left) - to_double(right)
    return _in_range(to_integer(left) - to_integer(right), "sub")


def _multiply(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        return to_double(left) * to_double(right)
    return _in_range(to_integer(left) * to_integer(right), "mul")


def _divide(left: Value, right: Value) -> Value:
    """Of integers the quotient without its fraction; a double divided by zero is infinite or no number."""
    if type(left) is float or type(right) is float:
        dividend, divisor = to_double(left), to_double(right)
        if divisor != 0.0:
            return dividend / divisor
        return nan if dividend == 0.0 or dividend != dividend else copysign(inf, dividend) * copysign(1.0, divisor)
    dividend, divisor = to_integer(left), to_integer(right)
    if divisor == 0:
        raise EvaluationError("division by zero")
    quotient = abs(dividend) // abs(divisor)
    return _in_range(quotient if (dividend < 0) == (divisor < 0) else -quotient, "div")


def _modulo(left: Value, right: Value) -> Value:
    """The remainder, with the sign of *left*; doubles are rounded before."""
    dividend, divisor = to_integer(left), to_integer(right)
    if divisor == 0:
        raise EvaluationError("division by zero")
    remainder = abs(dividend) % abs(divisor)
    return -remainder if dividend < 0 else remainder


def _equal(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        return to_double(left) == to_double(right)
    return to_integer(left) == to_integer(right)


def _unequal(left: Value, right: Value) -> Value:
    return not _equal(left, right)


def _less(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        return to_double(left) < to_double(right)
    return to_integer(left) < to_integer(right)


def _less_or_equal(left: Value, right: Value) -> Value:
    if type(left) is float or type(right) is float:
        return to_double(left) <= to_double(right)
    return to_integer(left) <= to_integer(right)


def _bit_and(left: Value, right: Value) -> Value:
    return to_integer(left) & to_integer(right)


def _bit_or(left: Value, right: Value) -> Value:
    return to_integer(left) | to_integer(right)


def _bit_xor(left: Value, right: Value) -> Value:
    return to_integer(left) ^ to_integer(right)


def _shift_left(left: Value, right: Value) -> Value:
    return signed(to_integer(left) << (to_integer(right) & _SHIFTS))


def _shift_right(left: Value, right: Value) -> Value:
    return to_integer(left) >> (to_integer(right) & _SHIFTS)


def _negate(value: Value) -> Value:
    """NOT."""
    return not to_boolean(value)


def _absolute(value: Value) -> Value:
    return _in_range(abs(value), "abs") if type(value) is int else abs(to_double(value))


def _least(*values: Value) -> Value:
    return _extreme(values, lambda one, other: one < other)


def _greatest(*values: Value) -> Value:
    return _extreme(values, lambda one, other: one > other)


def _extreme(values: tuple[Value, ...], goes_before: Callable[[float, float], bool]) -> Value:
    """A double if one of *values* is; compared in turn, because no number compares with anything."""
    as_type = to_double if any(type(value) is float for value in values) else to_integer
    extreme = as_type(values[0])
    for value in values[1:]:
        other = as_type(value)
        extreme = extreme if goes_before(extreme, other) else other
    return extreme


def _square_root(value: Value) -> Value:
    double = to_double(value)
    return nan if double < 0.0 else math.sqrt(double)


def _natural_logarithm(value: Value) -> Value:
    double = to_double(value)
    if double <= 0.0:
        return -inf if double == 0.0 else nan
    return math.log(double)


def _exponential(value: Value) -> Value:
    try:
        return math.exp(to_double(value))
    except OverflowError:
        return inf


def _power(left: Value, right: Value) -> Value:
    base, exponent = to_double(left), to_double(right)
    odd = exponent % 2.0 == 1.0
    try:
        return math.pow(base, exponent)
    except OverflowError:
        return -inf if base < 0.0 and odd else inf
    except ValueError:  # zero to a negative power, or a negative number's root
        if base == 0.0:
            return copysign(inf, base) if odd else inf
        return nan


ON_VALUES: Final[dict[str, Callable[..., Value]]] = {
    "+": _add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "mod": _modulo,
    "=": _equal,
    "<>": _unequal,
    "<": _less,
    "<=": _less_or_equal,
    "&": _bit_and,
    "|": _bit_or,
    "#": _bit_xor,
    "<<": _shift_left,
    ">>": _shift_right,
    "NOT": _negate,
    "abs": _absolute,
    "double": to_double,
    "exp": _exponential,
    "greatest": _greatest,
    "hash": lambda value, seed: hashing.murmur2(to_integer(value), to_integer(seed)),
    "hash_fnv1a": lambda value, seed: hashing.fnv1a(to_integer(value), to_integer(seed)),
    "hash_murmur2": lambda value, seed: hashing.murmur2(to_integer(value), to_integer(seed)),
    "int": to_integer,
    "least": _least,
    "ln": _natural_logarithm,
    "permute": lambda value, size, seed: hashing.permute(to_integer(value), to_integer(size), to_integer(seed)),
    "pi": lambda: math.pi,
    "pow": _power,
    "power": _power,
    "sqrt": _square_root,
}
"""Operators and functions that draw no random numbers, by name."""
