"""A comparison of two runs, as a table and a few sentences."""

from __future__ import annotations

from typing import Final

from dbpool.loadtest.report.view.figure import Table
from dbpool.loadtest.report.view.numbers import UNKNOWN, count, figure, rate
from dbpool.loadtest.report.view.reading import Json
from dbpool.loadtest.sameload import name_of

NAMES: Final = {
    "tps": "tps",
    "response_p50_ms": "p50",
    "response_p95_ms": "p95",
    "response_p99_ms": "p99",
    "service_p99_ms": "service p99",
}
HEAD: Final = ("figure", "before", "after", "change", "95 %", "verdict")
REGRESSION: Final = "REGRESSION"
BOUND: Final = "°"  # behind a load that the generator limited


def load_tables(section: Json) -> list[Table]:
    """A table for each load, times in ms."""
    return [Table(_load(point), HEAD, [_row(metric) for metric in point["metrics"]]) for point in section["points"]]


def whole_table(section: Json) -> Table:
    """All in one; a load is named once."""
    rows = []
    for load in load_tables(section):
        rows += [["" if number else load.caption, *row] for number, row in enumerate(load.rows)]
    return Table("Compared", ("load", *HEAD), rows, is_text=True)


def _load(point: Json) -> str:
    return f"{point['stage']}: {name_of(point)}{BOUND if point['generator_bound'] else ''}"


def _row(metric: Json) -> list[str]:
    shown = rate if metric["name"] == "tps" else figure
    return [
        NAMES[metric["name"]],
        shown(metric["before"]),
        shown(metric["after"]),
        f"{_change(metric['ratio'])} %",
        UNKNOWN if metric["ci95"] is None else f"{' … '.join(map(_change, metric['ci95']))} %",
        REGRESSION if metric["is_regression"] else metric["verdict"],
    ]


def sentences(section: Json) -> list[str]:
    """What the table does not say."""
    earlier, later = (f"{each['id']} ({each['started'][:16]})" for each in (section["baseline"], section["run"]))
    said = [f"{earlier} against {later}; p50 to p99 are of responses, in ms"]
    said += [f"not the same, compared all the same: {text}" for text in section["mismatches"]]
    said += [f"also differs: {text}" for text in section["also"]]
    if size := section["recommended_size"]:
        sizes = f"{count(size['before'])} before, {count(size['after'])} after"
        said.append(f"recommended connections: {sizes} ({size['verdict']})")
    metrics = [metric for point in section["points"] for metric in point["metrics"]]
    if any(metric["basis"] == "repeats" for metric in metrics):
        said.append("intervals that rest on few repeats are too narrow: Welch's test gives the verdict")
    if any(metric["basis"] == "batches" for metric in metrics):
        said.append("loads that one of the runs measured once are judged by their throughput within the run, widened")
        said[-1] += " by the noise between runs; --repeat 3 tells more"
    if any(point["generator_bound"] for point in section["points"]):
        said.append(f"{BOUND} the load generator was at its limit there: what differs may be its own")
    if any(section["unmatched"].values()):
        left = section["unmatched"]
        said.append(f"not compared: {left['baseline']} points of the earlier run, {left['run']} of the later")
    return said


def _change(ratio: float) -> str:
    return f"{(ratio - 1) * 100:+.1f}"
