"""Expressions: from a tree to a closure, so that a transaction reads no text and walks no tree."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeAlias

from dbpool.loadtest.scripts import distributions
from dbpool.loadtest.scripts.arithmetic import ON_VALUES
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.scripts.expression import Call, Constant, Expression
from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import EvaluationError
from dbpool.loadtest.scripts.values import (
    MAX_INTEGER,
    MIN_INTEGER,
    Value,
    debug_text,
    read,
    to_boolean,
    to_double,
    to_integer,
)

Evaluate: TypeAlias = Callable[[Client], Value]
"""Gives an expression's value for a client. Raises: EvaluationError."""


def compile_expression(expression: Expression, *, place: str = "") -> Evaluate:
    """The closure for *expression*; *place* is what debug() calls it."""
    if isinstance(expression, Constant):
        return _constant(expression.value)
    if isinstance(expression, Call):
        arguments = [compile_expression(argument, place=place) for argument in expression.arguments]
        return _call(expression.function, arguments, place)
    return _variable(expression.name)


def _call(function: str, arguments: list[Evaluate], place: str) -> Evaluate:
    if build := _LAZY.get(function):
        return build(*arguments)
    if function in _ON_INTEGERS:
        return _fast_binary(_ON_INTEGERS[function], ON_VALUES[function], *arguments)
    if draw := _DRAWN.get(function):
        return _drawn(draw, *arguments)
    if function == "random":
        return _random(*arguments)
    if function == "debug":
        return _debug(arguments[0], place)
    return _on_values(ON_VALUES[function], arguments)


def _constant(value: Value) -> Evaluate:
    return lambda _: value


def _variable(name: str) -> Evaluate:
    def evaluate(client: Client) -> Value:
        try:
            value = client.variables[name]
        except KeyError:
            raise EvaluationError(f'undefined variable "{name}"') from None
        return read(name, value) if type(value) is str else value  # type: ignore[return-value] # narrowed by type()

    return evaluate


def _fast_binary(
    on_integers: Callable[[int, int], int], on_values: Callable[[Value, Value], Value], left: Evaluate, right: Evaluate
) -> Evaluate:
    def evaluate(client: Client) -> Value:
        one, other = left(client), right(client)
        if type(one) is int and type(other) is int:
            result = on_integers(one, other)
            if MIN_INTEGER <= result <= MAX_INTEGER:
                return result
        return None if one is None or other is None else on_values(one, other)

    return evaluate


def _on_values(function: Callable[..., Value], arguments: list[Evaluate]) -> Evaluate:
    """NULL where an argument is, after all have been evaluated."""

    def evaluate(client: Client) -> Value:
        values = [argument(client) for argument in arguments]
        return None if None in values else function(*values)

    return evaluate


def _random(low: Evaluate, high: Evaluate) -> Evaluate:
    uniform = distributions.uniform

    def evaluate(client: Client) -> Value:
        first, last = low(client), high(client)
        if type(first) is int and type(last) is int:
            return uniform(client.random, first, last)
        return None if first is None or last is None else uniform(client.random, to_integer(first), to_integer(last))

    return evaluate


def _drawn(
    draw: Callable[[Prng, int, int, float], int], low: Evaluate, high: Evaluate, parameter: Evaluate
) -> Evaluate:
    def evaluate(client: Client) -> Value:
        first, last, shape = low(client), high(client), parameter(client)
        if first is None or last is None or shape is None:
            return None
        return draw(client.random, to_integer(first), to_integer(last), to_double(shape))

    return evaluate


def _debug(argument: Evaluate, place: str) -> Evaluate:
    def evaluate(client: Client) -> Value:
        value = argument(client)
        client.say(f"debug({place}): {debug_text(value)}")
        return value

    return evaluate


def _and(left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(client: Client) -> Value:
        one = left(client)
        if one is None or not to_boolean(one):
            return one
        other = right(client)
        return None if other is None else to_boolean(other)

    return evaluate


def _or(left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(client: Client) -> Value:
        one = left(client)
        if one is None or to_boolean(one):
            return one
        other = right(client)
        return None if other is None else to_boolean(other)

    return evaluate


def _is(left: Evaluate, right: Evaluate) -> Evaluate:
    def evaluate(client: Client) -> Value:
        return left(client) is right(client)  # the right side is NULL, TRUE or FALSE, of which there is one each

    return evaluate


def _case(*arguments: Evaluate) -> Evaluate:
    branches, otherwise = list(zip(arguments[:-1:2], arguments[1::2], strict=True)), arguments[-1]

    def evaluate(client: Client) -> Value:
        for condition, value in branches:
            if condition(client):
                return value(client)
        return otherwise(client)

    return evaluate


_LAZY: Final[dict[str, Callable[..., Evaluate]]] = {"AND": _and, "OR": _or, "IS": _is, "CASE": _case}

_ON_INTEGERS: Final[dict[str, Callable[[int, int], int]]] = {
    "+": int.__add__,
    "-": int.__sub__,
    "*": int.__mul__,
    "<": int.__lt__,
    "<=": int.__le__,
    "=": int.__eq__,
    "<>": int.__ne__,
}

_DRAWN: Final[dict[str, Callable[[Prng, int, int, float], int]]] = {
    "random_exponential": distributions.exponential,
    "random_gaussian": distributions.gaussian,
    "random_zipfian": distributions.zipfian,
}
