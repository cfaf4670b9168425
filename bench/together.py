"""Lookups of one statement together: ``map`` over all keys, and calls that are coalesced while they wait."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench import lookups
from bench.contenders import PGBENCH
from bench.ratios import Line, as_table, lines
from bench.tables import Table
from bench.targets import Judged, Target, judge

TASKS: Final = (200, 2000)
MAP, COALESCE, ALONE, POOL = "dbpool-map", "dbpool-coalesce", "dbpool", "asyncpg.Pool"
TARGETS: Final[dict[str, dict[str, Target]]] = {
    MAP: {POOL: Target(at_least=25.0, unit=" x"), PGBENCH: Target(at_least=5.0, unit=" x")},
    COALESCE: {POOL: Target(at_least=12.0, unit=" x"), PGBENCH: Target(at_least=2.0, unit=" x")},
}
NO_LATER: Final = Target(at_most=1.0, unit=" x")


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``, each with more lookups: those that go together are soon done.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    """
    return lookups.measure(
        {**request, "contenders": [MAP, COALESCE, ALONE, POOL, PGBENCH], "tasks": list(TASKS)}, loop=loop
    )


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        for tasks in TASKS:
            for ours, targets in TARGETS.items():
                others = (ours, ALONE, POOL, PGBENCH)
                found = [line for line in lines(measured["blocks"], tasks, ours=ours) if line.contender in others]
                yield as_table(f"{loop}: {_what(ours, tasks)}", found, ours={ours}, targets=targets, claim="it is")


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for tasks in TASKS:
            for ours, targets in TARGETS.items():
                found: dict[str, Line] = {line.contender: line for line in lines(measured["blocks"], tasks, ours=ours)}
                for other, target in targets.items():
                    if other in found:
                        yield judge(f"{loop}: {_what(ours, tasks)} over {other}", found[other].ratio, target)
                if ours == COALESCE and (late_ms := found[ours].p99_ms) and (alone_ms := found[ALONE].p99_ms):
                    yield judge(f"{loop}: {_what(ours, tasks)}, p99 over that alone", late_ms / alone_ms, NO_LATER)


def _what(ours: str, tasks: int) -> str:
    return f"map beside {tasks:,} tasks" if ours == MAP else f"coalesced calls of {tasks:,} tasks"
