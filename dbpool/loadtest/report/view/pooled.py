"""Clients of a pooler between: who has a server connection, and who waits for one."""

from __future__ import annotations

from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Kind, Series, Table, Texture, stacked
from dbpool.loadtest.report.view.moments import TIME, reach_of, stages_of, time_axis
from dbpool.loadtest.report.view.reading import Json, at
from dbpool.loadtest.report.view.thinning import in_groups

COLUMNS: Final = {
    "cl_active": ("clients with a connection", Color.MAIN, Texture.PLAIN),
    "cl_waiting": ("clients that wait", Color.BAD, Texture.RISING),
}
SERVERS: Final = {"sv_active": "server connections in use", "sv_idle": "free"}


def pooled(document: Json) -> Figure | None:
    """All its pools together, by SHOW POOLS."""
    samples = [sample for sample in document.get("samples") or [] if sample.get("pools")]
    samples = in_groups(samples, lambda some: some[0])
    if len(samples) < 2:
        return None
    xs = [sample["t"] for sample in samples]
    columns = {key: [_sum(sample, key) for sample in samples] for key in (*COLUMNS, *SERVERS)}
    clients = [columns[key] for key in COLUMNS]
    waits = [max((pool.get("maxwait_ms") or 0.0 for pool in sample["pools"]), default=None) for sample in samples]
    return Figure(
        key="pooler",
        title="Clients at the pooler",
        says="As SHOW POOLS tells; whoever waits there waits for a server connection, which its own limits decide.",
        x=time_axis(document),
        y=axes.from_zero("clients", [sum(each or 0 for each in pair) for pair in zip(*clients, strict=True)]),
        xs=xs,
        series=[
            Series(name=name, values=columns[key], base=base, kind=Kind.AREA, color=color, texture=texture)
            for (key, (name, color, texture)), base in zip(
                COLUMNS.items(), stacked(list(COLUMNS), clients), strict=True
            )
        ],
        spans=stages_of(document),
        follows=TIME,
        reach=reach_of(xs),
        table=Table(
            "Clients at the pooler",
            ["time", *(name for name, *_ in COLUMNS.values()), *SERVERS.values(), "longest wait ms"],
            [
                [
                    numbers.clock(x),
                    *(numbers.count(column[number]) for column in columns.values()),
                    numbers.figure(waits[number]),
                ]
                for number, x in enumerate(xs)
            ],
        ),
    )


def pooler_settings(document: Json) -> Table | None:
    """What decides how many it takes, and how many connections they share."""
    found = at(document, "limits", "pooler") or {}
    rows = [
        [name, numbers.plain(value) if isinstance(value, int | float) else str(value)]
        for name, value in found.items()
        if value is not None and name != "databases"
    ]
    return Table("Limits of the pooler", ["setting", "value"], rows, is_text=True, is_open=True) if rows else None


def _sum(sample: Json, key: str) -> float | None:
    known = [pool[key] for pool in sample["pools"] if pool.get(key) is not None]
    return sum(known) if known else None
