"""From the blocks of all rounds to one line for each contender."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any

from bench.contenders import LABELS

OURS = "dbpool"


@dataclass(frozen=True, slots=True)
class Line:
    """One contender with one number of tasks.

    Args:
        ratio: the median, over the rounds, of dbpool's lookups a second over this contender's.
        least: the smallest of those ratios; most: the largest.
    """

    contender: str
    per_s: float
    ratio: float
    least: float
    most: float
    cpu_us: float
    p99_ms: float | None


def lines(blocks: Iterable[Mapping[str, Any]], tasks: int) -> list[Line]:
    """One line for each contender that was measured with *tasks* tasks, in the order of LABELS."""
    by_contender: dict[str, dict[int, Mapping[str, Any]]] = {}
    for block in blocks:
        if block["tasks"] == tasks:
            by_contender.setdefault(block["contender"], {})[block["number"]] = block
    return [_line(name, rounds, by_contender[OURS]) for name, rounds in sorted(by_contender.items(), key=_place)]


def _place(item: tuple[str, object]) -> int:
    return list(LABELS).index(item[0])


def _line(name: str, rounds: Mapping[int, Mapping[str, Any]], ours: Mapping[int, Mapping[str, Any]]) -> Line:
    ratios = [block["elapsed_s"] / ours[number]["elapsed_s"] for number, block in rounds.items()]
    p99s = [block["p99_s"] * 1e3 for block in rounds.values() if block["p99_s"] is not None]
    return Line(
        contender=name,
        per_s=median(block["lookups"] / block["elapsed_s"] for block in rounds.values()),
        ratio=median(ratios),
        least=min(ratios),
        most=max(ratios),
        cpu_us=median(block["cpu_s"] / block["lookups"] * 1e6 for block in rounds.values()),
        p99_ms=median(p99s) if p99s else None,
    )
