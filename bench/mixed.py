"""Lookups of ten texts at once: calls that wait are answered together text by text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench import lookups
from bench.ratios import Line, as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge

COALESCE, ALONE, POOL = "ten-coalesce", "ten", "ten-asyncpg.Pool"
TARGETS: Final = {ALONE: Target(at_least=4.0, unit=" x")}


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    """
    return lookups.measure({**request, "contenders": [ALONE, COALESCE, POOL], "tasks": [TARGET_TASKS]}, loop=loop)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        title = f"{loop}: ten texts mixed, {TARGET_TASKS} tasks"
        yield as_table(title, _lines(measured), ours={COALESCE}, targets=TARGETS, claim="coalesced is")


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for line in _lines(measured):
            if target := TARGETS.get(line.contender):
                what = f"{loop}: ten texts mixed, {TARGET_TASKS} tasks: coalesced over each alone"
                yield judge(what, line.ratio, target)


def _lines(measured: Mapping[str, Any]) -> list[Line]:
    return lines(measured["blocks"], TARGET_TASKS, ours=COALESCE)
