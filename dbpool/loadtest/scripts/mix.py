"""Several scripts, of which each transaction runs one, chosen by weight."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import ScriptError
from dbpool.loadtest.scripts.script import Script

MAX_SCRIPTS: Final = 128  # as in pgbench
MAX_WEIGHT: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class Weighted:
    """A script and its weight, 0 to 2**31 - 1: its share is weight / sum of weights."""

    script: Script
    weight: int = 1


class Mix:
    """The scripts of a run.

    Args:
        parts: 1 to 128.
    Raises:
        ScriptError: too many, or all have weight 0.
    """

    def __init__(self, parts: Sequence[Weighted]) -> None:
        self.parts = tuple(parts)
        self._total = sum(part.weight for part in parts)
        if len(parts) > MAX_SCRIPTS:
            raise ScriptError(f"{len(parts)} scripts were given: at most {MAX_SCRIPTS} are allowed")
        if not self._total:
            raise ScriptError("total script weight must not be zero")

    def choose(self, chooser: Prng) -> int:
        """The number of the next script, from 0; one script needs no draw."""
        if len(self.parts) == 1:
            return 0
        left = chooser.uniform(0, self._total - 1)
        for number, part in enumerate(self.parts):
            left -= part.weight
            if left < 0:
                return number
        raise AssertionError(left)

    def share(self, number: int) -> float:
        """The part of all transactions that script *number* should have, 0 to 1."""
        return self.parts[number].weight / self._total


def parse_weight(option: str) -> tuple[str, int]:
    """Name and weight of ``NAME[@W]``, which -f and -b take; without @ the weight is 1.

    Raises: ScriptError.
    """
    name, at, digits = option.rpartition("@")
    if not at:
        return option, 1
    if not re.fullmatch(r"[ \t\n\v\f\r]*[-+]?[0-9]{1,18}", digits):
        raise ScriptError(f'invalid weight specification "@{digits}" in "{option}": write {name}@1')
    weight = int(digits)
    if not 0 <= weight <= MAX_WEIGHT:
        raise ScriptError(f"weight specification out of range (0 .. {MAX_WEIGHT}): {weight}")
    return name, weight
