"""A finding: what was seen, why it matters, what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is; the worst is the largest."""

    OK = 0
    UNKNOWN = 1  # not available to this role, or in this version
    ADVICE = 2
    WARNING = 3
    PROBLEM = 4

    @property
    def word(self) -> str:
        return "not available" if self is Level.UNKNOWN else self.name.lower()


@dataclass(frozen=True, slots=True)
class Finding:
    """*code* stays the same through versions; *fix* is a statement, a setting, or what to do."""

    code: str
    level: Level
    what: str
    why: str = ""
    fix: str = ""

    @property
    def topic(self) -> str:
        return self.code.partition(".")[0]


def ok(code: str, what: str) -> Finding:
    """Nothing is wrong."""
    return Finding(code, Level.OK, what)


def unknown(code: str, what: str) -> Finding:
    """It could not be seen."""
    return Finding(code, Level.UNKNOWN, what)


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the worst."""
    return max((finding.level for finding in findings), default=Level.OK)
