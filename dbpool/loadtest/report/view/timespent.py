"""Where a transaction's time goes: waiting, getting a connection, the server, giving it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Kind, Series, Table, Texture, stacked
from dbpool.loadtest.report.view.reading import Json, Repeats, by_size, points_of, swept

PARTS: Final = {
    "lag_ms": ("begun late", Color.ODD, Texture.DOTTED),
    "gate_wait_ms": ("wait for a permit", Color.BAD, Texture.RISING),
    "acquire_ms": ("acquire", Color.WARM, Texture.FALLING),
    "service_ms": ("service", Color.WORK, Texture.PLAIN),
    "release_ms": ("release", Color.QUIET, Texture.CROSSED),
}
NAMES: Final = {
    "bench": ("Where the time goes", "Means of each part, one bar for each point."),
    "sweep": ("Where the time goes, no queue", "Means of each part, with as many clients as connections."),
    "queue": ("Where the time goes, with a queue", "Means of each part, with more clients than connections."),
    "overload": ("Where the time goes, by load", "Means of each part, for each share of the most that can be done."),
}


def times_spent(document: Json) -> list[Figure]:
    """A stack of bars for each kind of points."""
    made = []
    for stage, (title, says) in NAMES.items():
        points = swept(document) if stage == "sweep" else points_of(document, stage)
        groups, names = _groups(document, stage, points)
        figure = _figure(stage, title, says, groups, names) if groups else None
        if figure:
            made.append(figure)
    return made


def _groups(document: Json, stage: str, points: Sequence[Json]) -> tuple[list[Repeats], list[str]]:
    """What each bar is of, with its name."""
    if stage in {"sweep", "queue"}:
        sizes = by_size(points)
        return (sizes, [numbers.count(each.size) for each in sizes]) if len(sizes) > 1 else ([], [])
    alone = [Repeats(point.get("pool_size") or 0, [point]) for point in points]
    if stage == "overload":
        steps = {step.get("point"): step.get("share") for step in (document.get("overload") or {}).get("steps") or []}
        names = [
            numbers.percent(share)
            if (share := steps.get(point["id"]))
            else f"{numbers.rate(point.get('offered_rate'))}/s"
            for point in points
        ]
        return alone, names
    return alone, [f"{point.get('driver')} #{point['id']}" for point in points]


def _figure(stage: str, title: str, says: str, groups: Sequence[Repeats], names: Sequence[str]) -> Figure | None:
    columns = {part: [each.mean_ms(part) for each in groups] for part in PARTS}
    columns = {part: column for part, column in columns.items() if any(value is not None for value in column)}
    if not columns:
        return None
    shown = [PARTS[part][0] for part in columns]
    bases = stacked(shown, list(columns.values()))
    tops = [sum(column[bar] or 0 for column in columns.values()) for bar in range(len(groups))]
    label = {"overload": "share of the most", "bench": "driver and point"}.get(stage, "connections in the pool")
    return Figure(
        key=f"spent-{stage}",
        title=title,
        says=says,
        x=axes.of_names(label, len(groups)),
        y=axes.from_zero("ms, mean", tops, unit="ms"),
        xs=[float(bar) for bar in range(len(groups))],
        names=names,
        series=[
            Series(
                name=PARTS[part][0],
                values=column,
                base=base,
                kind=Kind.BAR,
                color=PARTS[part][1],
                texture=PARTS[part][2],
            )
            for (part, column), base in zip(columns.items(), bases, strict=True)
        ],
        table=Table(
            title,
            [label, *(f"{name} ms" for name in shown)],
            [[name, *(numbers.figure(column[bar]) for column in columns.values())] for bar, name in enumerate(names)],
        ),
    )
