"""How long transactions take, against the size of the pool."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Axis, Color, Figure, Marker, Rule, Series, Table
from dbpool.loadtest.report.view.reading import (
    PERCENTILE_NAMES,
    PERCENTILES,
    Json,
    Repeats,
    at,
    by_size,
    points_of,
    swept,
)

LOOKS: Final = {
    "p50": (Color.QUIET, Marker.CIRCLE),
    "p95": (Color.WORK, Marker.SQUARE),
    "p99": (Color.MAIN, Marker.TRIANGLE),
    "p99_9": (Color.BAD, Marker.DIAMOND),
}


def latencies(document: Json) -> list[Figure]:
    """Service and response of the sweep, and the response where clients are more than connections."""
    sweep, queue = by_size(swept(document)), by_size(points_of(document, "queue"))
    clients = next((point.get("clients") for point in points_of(document, "queue")), None)
    made = []
    for key, sizes, series, title, says in (
        ("service", sweep, "service_ms", "Service time", "A connection in hand until the transaction is done."),
        ("response", sweep, "response_ms", "Response time, no queue", "As many clients as connections."),
        (
            "queue",
            queue,
            "response_ms",
            "Response time with a queue",
            f"{numbers.count(clients)} clients on fewer connections: their wait is part of it.",
        ),
    ):
        if len(sizes) >= 2 and any(point.get(series) for each in sizes for point in each.points):
            made.append(_figure(document, key, sizes, series, title, says))
    axis = axes.logarithmic("ms", [value for each in made for line in each.series for value in line.values], unit="ms")
    return [_on(figure, axis) for figure in made]


def _figure(document: Json, key: str, sizes: Sequence[Repeats], series: str, title: str, says: str) -> Figure:
    found = [each.percentiles(series) for each in sizes]
    limit = at(document, "knee", "latency_limit_ms") if series == "service_ms" else None
    lines = [
        Series(
            name=PERCENTILE_NAMES[name],
            values=[each[name] for each in found],
            color=LOOKS[name][0],
            marker=LOOKS[name][1],
            hollow=[each.is_bound for each in sizes],
        )
        for name in PERCENTILES
    ]
    return Figure(
        key=key,
        title=title,
        says=says,
        x=axes.of_sizes("connections in the pool", [each.size for each in sizes]),
        y=axes.logarithmic("ms", [value for line in lines for value in line.values], unit="ms"),
        xs=[float(each.size) for each in sizes],
        series=[line for line in lines if any(value is not None for value in line.values)],
        rules=[Rule(limit, f"limit of p99: {numbers.plain(limit)} ms")] if limit else [],
        table=_table(title, sizes, found, limit),
    )


def _on(figure: Figure, axis: Axis) -> Figure:
    """The same on an axis that others share; a limit that lies outside is told in the text."""
    inside = [rule for rule in figure.rules if axis.low <= rule.at <= axis.high]
    said = "".join(f" The {rule.name} lies outside." for rule in figure.rules if rule not in inside)
    return replace(figure, y=axis, rules=inside, says=figure.says + said)


def _table(
    title: str, sizes: Sequence[Repeats], found: Sequence[dict[str, float | None]], limit: float | None
) -> Table:
    rows = []
    for each, values in zip(sizes, found, strict=True):
        cells = [
            numbers.figure(value) if value is not None else numbers.TOO_FEW if each.tps else numbers.UNKNOWN
            for value in values.values()
        ]
        p99 = values["p99"]
        kept = [] if limit is None else ["–" if p99 is None else "kept" if p99 <= limit else "over the limit"]
        rows.append([numbers.count(each.size), *cells, *kept])
    head = ["connections", *(f"{name} ms" for name in PERCENTILE_NAMES.values()), *(["limit"] if limit else [])]
    return Table(f"{title} by pool size", head, rows)
