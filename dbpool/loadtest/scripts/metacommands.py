"""Backslash commands: what one line says."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from dbpool.loadtest.scripts.commands import Branch, Capture, Place, Set, Sleep
from dbpool.loadtest.scripts.compiling import Evaluate, compile_expression
from dbpool.loadtest.scripts.lexing import Word, end_of_command, next_word, words
from dbpool.loadtest.scripts.parsing import parse_expression
from dbpool.loadtest.scripts.problems import ScriptError, Source
from dbpool.loadtest.scripts.values import is_name

_UNITS_S: Final = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
_AMOUNT = re.compile(r"([-+]?[0-9]{1,18})(.*)", re.DOTALL)
_NO_PROGRAMS: Final = "a load test starts no programs"
_NO_PIPELINE: Final = "a client waits for each statement's result"
_REFUSED: Final = {
    "shell": _NO_PROGRAMS,
    "setshell": _NO_PROGRAMS,
    "startpipeline": _NO_PIPELINE,
    "syncpipeline": _NO_PIPELINE,
    "endpipeline": _NO_PIPELINE,
}


@dataclass(frozen=True, slots=True)
class Capturing:
    r"""\gset or \aset, which belong to the statement before."""

    capture: Capture
    prefix: str


@dataclass(frozen=True, slots=True)
class Elif:
    r"""\elif: a branch that ends another."""

    branch: Branch


@dataclass(frozen=True, slots=True)
class Else:
    r"""\else."""

    place: Place


@dataclass(frozen=True, slots=True)
class Endif:
    r"""\endif."""

    place: Place


Meta: TypeAlias = Set | Sleep | Branch | Elif | Else | Endif | Capturing


def parse_meta(source: Source, backslash: int) -> tuple[Meta | None, int]:
    """The command that begins at *backslash*, None for a backslash alone, and where its line ends.

    Raises: ScriptError.
    """
    name = next_word(source, backslash + 1)
    if name is None:
        return None, end_of_command(source, backslash + 1)
    return _Line(source, name).parse(), end_of_command(source, name.end)


class _Line:
    def __init__(self, source: Source, name: Word) -> None:
        self._source, self._name = source, name
        self._command = name.text.lower()
        self._place = Place(source.name, source.line_of(name.start), name.text)

    def parse(self) -> Meta:
        match self._command:
            case "set":
                return self._set()
            case "if":
                return Branch(self._place, self._expression(self._name.end))
            case "elif":
                return Elif(Branch(self._place, self._expression(self._name.end)))
            case "else":
                self._arguments(most=0)
                return Else(self._place)
            case "endif":
                self._arguments(most=0)
                return Endif(self._place)
            case "sleep":
                return self._sleep()
            case "gset" | "aset":
                prefix = self._arguments(most=1)
                return Capturing(Capture(self._command), prefix[0].text if prefix else "")
        if why := _REFUSED.get(self._command):
            raise self._error(f"\\{self._command} is not supported, because {why}", self._name)
        raise self._error("invalid command", self._name)

    def _set(self) -> Set:
        variable = next_word(self._source, self._name.end)
        if variable is None:
            raise self._error("missing argument", self._name)
        if not is_name(variable.text):
            raise self._error(f'invalid variable name "{variable.text}"', variable)
        return Set(self._place, variable.text, self._expression(variable.end))

    def _expression(self, position: int) -> Evaluate:
        try:
            tree = parse_expression(self._source, position, command=self._name.text)
            return compile_expression(tree, place=str(self._place))
        except RecursionError:
            raise self._error("an expression is nested too deeply", self._name) from None

    def _sleep(self) -> Sleep:
        arguments = self._arguments(least=1, most=2)
        time, unit = arguments[0], arguments[1] if len(arguments) == 2 else None
        if time.text.startswith(":"):
            return Sleep(self._place, 0, self._unit_s(unit), time.text[1:])
        found = _AMOUNT.fullmatch(time.text)
        if found is None or (found[2] and unit):
            raise self._error(f"invalid sleep time, must be an integer ({time.text})", time)
        if found[2]:
            unit = Word(found[2], time.start + len(found[1]), time.end)
        return Sleep(self._place, int(found[1]), self._unit_s(unit))

    def _unit_s(self, unit: Word | None) -> float:
        if unit is None:
            return 1.0
        if unit.text.lower() not in _UNITS_S:
            raise self._error(f"unrecognized time unit, must be us, ms or s ({unit.text})", unit)
        return _UNITS_S[unit.text.lower()]

    def _arguments(self, *, least: int = 0, most: int) -> list[Word]:
        found = words(self._source, self._name.end)
        if len(found) < least:
            raise self._error("missing argument", self._name)
        if len(found) > most:
            raise self._error("too many arguments" if most else "unexpected argument", found[most])
        return found

    def _error(self, message: str, word: Word) -> ScriptError:
        return self._source.error(message, start=word.start, end=word.end, command=self._name.text)
