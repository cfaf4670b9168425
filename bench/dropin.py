"""``dbpool.create_pool`` where ``asyncpg.create_pool`` was: one-shots, and connections of one's own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from bench import lookups
from bench.contenders import DROP_INS
from bench.ratios import Line, as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge

_PAIRS: Final = {"create_pool": "asyncpg.Pool", "create_pool-acquire": "asyncpg.Pool-acquire"}
FASTER_THAN: Final = {"asyncpg.Pool": Target(at_least=2.5, unit=" x")}


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    """
    return lookups.measure({**request, "contenders": list(DROP_INS), "tasks": [TARGET_TASKS]}, loop=loop)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        title = f"{loop}: point lookups by a drop-in, {TARGET_TASKS} tasks"
        yield as_table(title, chain.from_iterable(_pairs(measured)), ours=_PAIRS, targets=FASTER_THAN)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for line in chain.from_iterable(_pairs(measured)):
            if target := FASTER_THAN.get(line.contender):
                yield judge(f"{loop}, {TARGET_TASKS} tasks: dbpool.create_pool over asyncpg's", line.ratio, target)


def _pairs(measured: Mapping[str, Any]) -> Iterator[list[Line]]:
    for ours, other in _PAIRS.items():
        yield lines(
            [each for each in measured["blocks"] if each["contender"] in (ours, other)], TARGET_TASKS, ours=ours
        )
