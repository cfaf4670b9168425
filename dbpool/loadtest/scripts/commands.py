"""What a script does, one command after the other; conditions are jumps."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from dbpool.loadtest.scripts.compiling import Evaluate
from dbpool.loadtest.scripts.sqltemplate import SqlTemplate


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command stands: a line, 1 for the first, and the command's name, "" for SQL."""

    source: str
    line: int
    command: str = ""

    def __str__(self) -> str:
        return f"{self.source}:{self.line}"


class Capture(Enum):
    r"""How a statement's result becomes variables."""

    GSET = "gset"  # it must have one row
    ASET = "aset"  # the last row, if there is one


@dataclass(frozen=True, slots=True)
class Sql:
    r"""A statement, or several ``joined`` by ``\;``, which only the simple protocol takes.

    ``prefix`` goes before the columns' names where they are captured.
    """

    place: Place
    template: SqlTemplate
    joined: bool = False
    capture: Capture | None = None
    prefix: str = ""

    @property
    def first_line(self) -> str:
        """The statement in a report."""
        return self.template.text.splitlines()[0]


@dataclass(frozen=True, slots=True)
class Set:
    r"""\set: a variable gets an expression's value."""

    place: Place
    name: str
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class Sleep:
    r"""\sleep: ``amount`` or the value of ``variable``, times ``unit_s`` seconds."""

    place: Place
    amount: int
    unit_s: float
    variable: str = ""


@dataclass(frozen=True, slots=True)
class Branch:
    r"""\if and \elif: go on with command number ``otherwise`` unless the condition holds."""

    place: Place
    evaluate: Evaluate
    otherwise: int = -1


@dataclass(frozen=True, slots=True)
class Jump:
    """The end of a branch that was taken: go on with command number ``to``."""

    place: Place
    to: int = -1


Command: TypeAlias = Sql | Set | Sleep | Branch | Jump
