"""What the limit probe found: how long it takes to connect, the more connections there are, until one is refused."""

from __future__ import annotations

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Kind, Part, Row, Rule, Series, Table
from dbpool.loadtest.report.view.reading import Json, at


def limits(document: Json) -> list[Part]:
    """The limits that are set, then those that were met."""
    parts: list[Part] = []
    figure = _probe(document)
    if figure is not None:
        parts.append(Row([figure]))
    if (table := _settings(document)) is not None:
        parts.append(table)
    return parts


def _settings(document: Json) -> Table | None:
    found = document.get("limits") or {}
    names = {
        "max_connections": "max_connections",
        "superuser_reserved": "superuser_reserved_connections",
        "reserved": "reserved_connections",
        "role_limit": "limit of the role",
        "database_limit": "limit of the database",
        "usable": "usable by an ordinary role",
        "others": "held by others now",
        "free": "free now",
        "cap": "most that this run would take",
    }
    rows = [[name, numbers.count(found[key])] for key, name in names.items() if found.get(key) is not None]
    probe = found.get("probe") or {}
    for key, name in (
        ("reached", "opened by the probe"),
        ("label", "refused with"),
        ("slot_reuse_ms", "until a slot is free again"),
        ("backend_memory_mb", "memory of each"),
    ):
        if probe.get(key) is not None:
            value = probe[key]
            unit = {"_ms": " ms", "_mb": " MB"}.get(key[-3:])
            rows.append([name, f"{numbers.figure(value)}{unit}" if unit else str(value)])
    return Table("Limits", ["limit", "connections"], rows, is_text=True, is_open=True) if rows else None


def _probe(document: Json) -> Figure | None:
    probe = at(document, "limits", "probe") or {}
    curve = probe.get("connect_ms_curve") or []
    if len(curve) < 2:
        return None
    lifeline = probe.get("lifeline_ms") or []
    xs = [float(number) for number in range(1, len(curve) + 1)]
    columns = {"to connect": curve}
    if len(lifeline) == len(curve):
        columns["a query beside, on the first connection"] = lifeline
    reason = (probe.get("refusal_class") or "").replace("_", " ")
    refused = Rule(float(len(curve)), f"refused: {reason}", is_upright=True)
    looks = ((Color.MAIN, False), (Color.QUIET, True))
    return Figure(
        key="probe",
        title="Time to connect, one after the other",
        says=f"Connection after connection was opened and held, up to {probe.get('reached')}"
        + (f"; the next one was refused: {reason}." if reason else ", and none was refused."),
        x=axes.from_zero("connections open", xs),
        y=axes.from_zero("ms", [value for column in columns.values() for value in column], unit="ms"),
        xs=xs,
        series=[
            Series(name=name, values=column, color=color, is_dashed=is_dashed, kind=Kind.LINE)
            for (name, column), (color, is_dashed) in zip(columns.items(), looks, strict=False)
        ],
        rules=[refused] if reason else [],
        table=Table(
            "Time to connect",
            ["connection", *(f"{name}, ms" for name in columns)],
            [
                [numbers.count(x), *(numbers.figure(column[number]) for column in columns.values())]
                for number, x in enumerate(xs)
            ],
        ),
    )
