"""What an expression says, as a tree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from dbpool.loadtest.scripts.values import Value


@dataclass(frozen=True, slots=True)
class Constant:
    """A value written down."""

    value: Value


@dataclass(frozen=True, slots=True)
class Variable:
    """The value of a variable at the time."""

    name: str


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator.

    Operators have their symbol for a name, or AND, OR, NOT, IS; CASE has condition and value in turn, the last
    argument is what ELSE says.
    """

    function: str
    arguments: tuple[Expression, ...]


Expression: TypeAlias = Constant | Variable | Call
