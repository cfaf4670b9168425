"""Sizes of the pool with a bar each, at a terminal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbpool.loadtest.report.printing import print_heading
from dbpool.loadtest.report.strokes import bar, can_draw
from dbpool.loadtest.report.view.numbers import UNKNOWN, count, figure, rate
from dbpool.loadtest.report.view.reading import Json, by_size, swept

OTHERS: Final = 59  # columns that all but the bars take
WIDEST: Final = 40


@dataclass(frozen=True, slots=True)
class Size:
    """What is known of one size: a bar, and what is beside it."""

    size: int
    tps: float
    repeats: int
    service_p99_ms: float | None
    is_bound: bool


def sizes_of(document: Json) -> list[Size]:
    """All that the sweep measured, in order of size."""
    return [
        Size(
            each.size,
            each.tps,
            len(each.points),
            each.percentiles("service_ms")["p99"],
            each.is_bound,
        )
        for each in by_size(swept(document))
        if each.tps is not None
    ]


def size_table(sizes: list[Size], marks: dict[int, str], *, width: int, encoding: str) -> Table:
    """*marks* stand behind their sizes; *width* is the terminal's."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="dim", show_edge=False)
    bars = max(6, min(WIDEST, width - OTHERS))
    for name in ("connections", "tps"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", width=bars, no_wrap=True)
    for name in ("service p99 ms", "n"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    top = max((each.tps for each in sizes), default=0.0)
    for each in sizes:
        drawn = bar(each.tps, top, bars, plain=not can_draw(encoding))
        is_marked = each.size in marks
        table.add_row(
            count(each.size),
            rate(each.tps),
            Text(drawn, style="dim" if each.is_bound else "bold green" if is_marked else "cyan"),
            UNKNOWN if each.service_p99_ms is None else figure(each.service_p99_ms),
            str(each.repeats),
            Text(
                marks.get(each.size, "generator's limit" if each.is_bound else ""), style="dim" if not is_marked else ""
            ),
            style="bold" if is_marked else "",
        )
    return table


def marks_of(document: Json) -> dict[int, str]:
    """What is worth saying of single sizes."""
    knee, found = document["knee"] or {}, document["recommendation"] or {}
    marks = {}
    if knee.get("size") is not None:
        marks[knee["size"]] = "knee"
    if found.get("pool_size") is not None:
        size = found["pool_size"]
        marks[size] = f"{marks[size]}, recommended" if size in marks else "recommended"
    return marks


def print_sizes(console: Console, document: Json) -> None:
    """Nothing where there was no sweep."""
    if sizes := sizes_of(document):
        print_heading(console, "Throughput by pool size")
        console.print(size_table(sizes, marks_of(document), width=console.width, encoding=console.encoding))
