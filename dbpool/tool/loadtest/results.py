"""What a run measured, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from dbpool.core.histogram import Histogram
from dbpool.loadtest.document import Run
from dbpool.loadtest.load import DriverName
from dbpool.loadtest.point import NS_PER_MS, Point
from dbpool.loadtest.pointjson import PERCENTILES, counts_json
from dbpool.loadtest.recording.tally import Series

_NAMES = {
    Series.RESPONSE: "response",
    Series.LAG: "  lag",
    Series.GATE_WAIT: "  wait",
    Series.ACQUIRE: "  acquire",
    Series.SERVICE: "  service",
    Series.RELEASE: "release",
}
_TOO_FEW = "n too small"


def print_points(run: Run, points: Sequence[Point]) -> None:
    """Print each of *points*, then what applies to all."""
    console = Console()
    for point in points:
        _print_point(console, point)
    if (ceiling_tps := run.calibration.get("noop_tps")) is not None:
        console.print(Text(f"the generator alone: {ceiling_tps:,.0f} tps", style="dim"))
    for each, _ in run.judgements:
        value = "not measured" if each.value is None else f"{each.value:,.4g}"
        console.print(Text(f"{'met   ' if each.is_met else 'MISSED'}  {each.threshold.text}  ({value})"))
    for _, text in run.warnings:
        console.print(Text(f"warning: {text}", style="bold"), soft_wrap=True)


def _print_point(console: Console, point: Point) -> None:
    target, load = point.target, point.load
    pool = "" if target.driver in (DriverName.ASYNCPG_CONNECT, DriverName.NOOP) else f", pool of {target.connections}"
    stopped = "" if point.is_complete else ", stopped before its end"
    what = f"{load.clients} clients" if not load.is_open else "open loop"
    console.print(Text.assemble("\n", (target.driver.value, "bold"), f"  {what}{pool}, {point.window_s:g} s{stopped}"))
    console.print(Text(_throughput(point)))
    _print_durations(console, point)
    counts = counts_json(point)
    errors = counts.pop("errors")
    told = [f"{count:,} {name}" for name, count in counts.items() if count is not None]
    console.print(Text(", ".join([*told, *(f"{count:,} errors {label}" for label, count in errors.items())])))


def _throughput(point: Point) -> str:
    if point.tps is None:
        return "nothing was measured yet"
    interval = point.tps.interval
    around = "" if interval is None else f" (95 %: {interval.low:,.0f} to {interval.high:,.0f})"
    rough = "" if point.tps.is_settled or interval is None else ", likely wider"
    return f"{point.tps.value:,.1f} tps{around}{rough}"


def _print_durations(console: Console, point: Point) -> None:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("ms")
    for name in ("mean", *(each.replace("_", ".") for each in PERCENTILES), "max"):
        table.add_column(name, justify="right", no_wrap=True)
    for series, name in _NAMES.items():
        if (histogram := point.durations(series)).n:
            table.add_row(name, *_cells(histogram))
    if table.row_count:
        console.print(table)


def _cells(histogram: Histogram) -> Sequence[str]:
    assert histogram.mean is not None
    assert histogram.max is not None
    found = histogram.quantiles(PERCENTILES.values())
    cells = [_TOO_FEW if value is None else _ms(value) for value in found]
    # said once: what is too small for one percentile is for the next
    cells = [cell if cell != _TOO_FEW or number == cells.index(_TOO_FEW) else "" for number, cell in enumerate(cells)]
    return [_ms(histogram.mean), *cells, _ms(histogram.max)]


def _ms(value: float) -> str:
    return f"{value / NS_PER_MS:,.3f}" if value < 100 * NS_PER_MS else f"{value / NS_PER_MS:,.0f}"
