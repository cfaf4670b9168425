"""Single points at a terminal, each with all its durations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbpool.loadtest.pointjson import PERCENTILES
from dbpool.loadtest.report.view.numbers import TOO_FEW
from dbpool.loadtest.report.view.reading import Json, points_of

SERIES: Final = {
    "response_ms": "response",
    "lag_ms": "  lag",
    "gate_wait_ms": "  wait",
    "acquire_ms": "  acquire",
    "service_ms": "  service",
    "release_ms": "release",
}


def print_points(console: Console, document: Json) -> None:
    """Those of a benchmark, and what its generator could do."""
    points = points_of(document, "bench")
    for point in points:
        _print_point(console, point)
    if points and (ceiling_tps := document["calibration"]["noop_tps"]) is not None:
        console.print(Text(f"the generator alone: {ceiling_tps:,.0f} tps", style="dim"))


def _print_point(console: Console, point: Json) -> None:
    pool = "" if point["pool_size"] is None else f", pool of {point['pool_size']}"
    stopped = ", stopped before its end" if "incomplete" in point["flags"] else ""
    what = "open loop" if point["clients"] is None else f"{point['clients']} clients"
    told = f"  {what}{pool}, {point['window_s']:g} s{stopped}"
    console.print(Text.assemble("\n", (point["driver"], "bold"), told))
    console.print(Text(_throughput(point["tps"])))
    _print_durations(console, point)
    counts = dict(point["counts"])
    errors = counts.pop("errors")
    told_counts = [f"{count:,} {name}" for name, count in counts.items() if count is not None]
    console.print(Text(", ".join([*told_counts, *(f"{count:,} errors {label}" for label, count in errors.items())])))


def _throughput(tps: Json | None) -> str:
    if tps is None:
        return "nothing was measured yet"
    interval = tps["ci95"]
    around = "" if interval is None else f" (95 %: {interval[0]:,.0f} to {interval[1]:,.0f})"
    rough = "" if tps["is_settled"] or interval is None else ", likely wider"
    return f"{tps['mean']:,.1f} tps{around}{rough}"


def _print_durations(console: Console, point: Json) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("ms")
    for name in ("mean", *(each.replace("_", ".") for each in PERCENTILES), "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for series, name in SERIES.items():
        if point[series] is not None:
            table.add_row(name, *_cells(point[series]))
    if table.row_count:
        console.print(table)


def _cells(durations: Json) -> Sequence[str]:
    cells = [TOO_FEW if durations[name] is None else _ms(durations[name]) for name in PERCENTILES]
    # said once: what is too small for one percentile is for the next
    cells = [cell if cell != TOO_FEW or number == cells.index(TOO_FEW) else "" for number, cell in enumerate(cells)]
    return [_ms(durations["mean"]), *cells, _ms(durations["max"])]


def _ms(value: float) -> str:
    return f"{value:,.3f}" if value < 100 else f"{value:,.0f}"
