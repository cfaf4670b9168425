"""Many keys at once: ``map`` beside what others have for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from bench import lookups
from bench.manykeys import OF_ALL
from bench.ratios import as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged

MAP: Final = "dbpool-map"


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``; nobody makes tasks of them.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    """
    return lookups.measure({**request, "contenders": [MAP, *OF_ALL], "tasks": [TARGET_TASKS]}, loop=loop)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        found = lines(measured["blocks"], TARGET_TASKS, ours=MAP)
        title = f"{loop}: {measured['blocks'][0]['lookups']:,} keys at once"
        yield as_table(title, found, ours={MAP}, targets={}, claim="map is")


def judged(_: Mapping[str, Any]) -> Iterator[Judged]:
    """Nothing was promised: ``bench.together`` has what was."""
    return iter(())
