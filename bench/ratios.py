"""From the blocks of all rounds to one line for each contender."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Any

from bench.contenders import LABELS
from bench.tables import Table
from bench.targets import Target

OURS = "dbpool"


@dataclass(frozen=True, slots=True)
class Line:
    """One contender with one number of tasks.

    Args:
        ratio: the median, over the rounds, of our lookups a second over this contender's.
        low, high: a quarter of those ratios are below low, a quarter above high.
    """

    contender: str
    per_s: float
    ratio: float
    low: float
    high: float
    cpu_us: float
    p99_ms: float | None


def lines(blocks: Iterable[Mapping[str, Any]], tasks: int, *, ours: str = OURS) -> list[Line]:
    """One line for each contender that was measured with *tasks* tasks, in the order of LABELS; ratios are *ours*'."""
    by_contender: dict[str, dict[int, Mapping[str, Any]]] = {}
    for block in blocks:
        if block["tasks"] == tasks:
            by_contender.setdefault(block["contender"], {})[block["number"]] = block
    return [_line(name, rounds, by_contender[ours]) for name, rounds in sorted(by_contender.items(), key=_place)]


def as_table(
    title: str, lines: Iterable[Line], *, ours: Container[str], targets: Mapping[str, Target], claim: str = "dbpool is"
) -> Table:
    """A row for each line, with the ratio and its target where it is not one of *ours*."""
    columns = ("contender", "lookups/s", claim, "middle half", "CPU/call", "p99", "target", "verdict")
    rows = []
    for line in lines:
        is_ours, target = line.contender in ours, targets.get(line.contender)
        rows.append(
            (
                LABELS[line.contender],
                f"{line.per_s:,.0f}",
                "" if is_ours else f"{line.ratio:.2f} x",
                "" if is_ours else f"{line.low:.2f} - {line.high:.2f}",
                f"{line.cpu_us:.1f} µs",
                "" if line.p99_ms is None else f"{line.p99_ms:.2f} ms",
                str(target or ""),
                target.verdict(line.ratio) if target else "",
            )
        )
    return Table(title, columns, rows)


def _place(item: tuple[str, object]) -> int:
    return list(LABELS).index(item[0])


def _line(name: str, rounds: Mapping[int, Mapping[str, Any]], ours: Mapping[int, Mapping[str, Any]]) -> Line:
    ratios = [_per_s(ours[number]) / _per_s(block) for number, block in rounds.items()]
    low, _, high = quantiles(ratios, method="inclusive") if len(ratios) > 1 else ratios * 3
    p99s = [block["p99_s"] * 1e3 for block in rounds.values() if block["p99_s"] is not None]
    return Line(
        contender=name,
        per_s=median(map(_per_s, rounds.values())),
        ratio=median(ratios),
        low=low,
        high=high,
        cpu_us=median(block["cpu_s"] / block["lookups"] * 1e6 for block in rounds.values()),
        p99_ms=median(p99s) if p99s else None,
    )


def _per_s(block: Mapping[str, Any]) -> float:
    return float(block["lookups"] / block["elapsed_s"])
