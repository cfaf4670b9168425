"""What many connections at once cost: themselves, and a bystander."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Color, Figure, Kind, Marker, Part, Row, Series, Table
from dbpool.loadtest.report.view.reading import Json, at

NAMES: Final = {
    "barrier": "all at once",
    "cold": "a cold pool under load",
    "kill": "all sessions ended",
    "beyond": "more than the limit",
}
SHORT: Final = {"barrier": "at once", "cold": "cold pool", "kill": "ended", "beyond": "too many"}
LOOKS: Final = (
    (Color.MAIN, Marker.CIRCLE),
    (Color.WORK, Marker.SQUARE),
    (Color.BAD, Marker.TRIANGLE),
    (Color.WARM, Marker.DIAMOND),
    (Color.ODD, Marker.CIRCLE),
    (Color.QUIET, Marker.SQUARE),
)


def storms(document: Json) -> list[Part]:
    """The distribution of times to connect, then each storm in a row."""
    parts = at(document, "storm", "parts") or []
    if not parts:
        return []
    figures = [figure for figure in (_connecting(parts), _bystander(document, parts)) if figure is not None]
    told = [[_name(part), part["text"]] for part in parts if part.get("text")]
    return [
        *([Table("What happened", ["storm", "what happened"], told, is_text=True)] if told else []),
        *([Row(figures)] if figures else []),
        _table(parts),
    ]


def _name(part: Json) -> str:
    return NAMES.get(part.get("name") or "", part.get("name") or "")


def _connecting(parts: Sequence[Json]) -> Figure | None:
    curves = [(part, at(part, "connect_ms", "cdf") or []) for part in parts]
    curves = [(part, curve) for part, curve in curves if len(curve) > 1]
    if not curves:
        return None
    xs = sorted({ms for _, curve in curves for ms, _ in curve})
    return Figure(
        key="storm",
        title="Time to connect in a storm",
        says="Which share of the connections was there after how long.",
        x=axes.logarithmic("ms", xs, unit="ms"),
        y=axes.from_zero("share of the connections, %", [100.0], unit="%"),
        xs=xs,
        series=[
            Series(
                name=f"{_name(part)} ({numbers.count(part.get('connections'))})",
                xs=[ms for ms, _ in curve],
                values=[share * 100 for _, share in curve],
                color=color,
                is_dashed=number % 2 == 1,
            )
            for number, ((part, curve), (color, _)) in enumerate(zip(curves, LOOKS, strict=False))
        ],
        table=Table(
            "Time to connect in a storm",
            ["storm", "connections", "p50 ms", "p95 ms", "p99 ms", "max ms"],
            [
                [
                    _name(part),
                    numbers.count(part.get("connections")),
                    *(numbers.percentile(part["connect_ms"], key) for key in ("p50", "p95", "p99", "max")),
                ]
                for part, _ in curves
            ],
        ),
    )


def _bystander(document: Json, parts: Sequence[Json]) -> Figure | None:
    """One transaction ten times a second beside each storm, and without any."""
    found = [({"name": "alone"}, at(document, "storm", "alone")), *((part, part.get("bystander")) for part in parts)]
    rows = [
        (_name(part), SHORT.get(part.get("name") or "", _name(part)), durations)
        for part, durations in found
        if durations
    ]
    if len(rows) < 2:
        return None
    columns = {key: [durations.get(key) for *_, durations in rows] for key in ("p50", "p95", "p99", "max")}
    columns = {key: column for key, column in columns.items() if any(value is not None for value in column)}
    return Figure(
        key="bystander",
        title="A bystander meanwhile",
        says="Response of a transaction that has its own connection and comes ten times a second.",
        x=axes.of_names("storm", len(rows)),
        y=axes.logarithmic("ms", [value for column in columns.values() for value in column], unit="ms"),
        xs=[float(number) for number in range(len(rows))],
        names=[short for _, short, _ in rows],
        series=[
            Series(name=key, values=column, kind=Kind.DOTS, color=color, marker=marker)
            for (key, column), (color, marker) in zip(columns.items(), LOOKS, strict=False)
        ],
        table=Table(
            "A bystander meanwhile",
            ["storm", "n", *(f"{key} ms" for key in ("p50", "p95", "p99", "max"))],
            [
                [
                    name,
                    numbers.count(durations.get("n")),
                    *(numbers.percentile(durations, key) for key in ("p50", "p95", "p99", "max")),
                ]
                for name, _, durations in rows
            ],
        ),
    )


def _table(parts: Sequence[Json]) -> Table:
    return Table(
        "Storms",
        ["storm", "connections", "all ready after", "failures", "retries", "bystander", "recovered after"],
        [
            [
                _name(part),
                numbers.count(part.get("connections")),
                numbers.seconds(part.get("ready_s")),
                numbers.tally(part.get("failures")),
                numbers.count(part.get("retries")),
                f"× {numbers.figure(part['bystander_ratio'])}"
                if part.get("bystander_ratio") is not None
                else numbers.UNKNOWN,
                numbers.seconds(part.get("recovery_s")),
            ]
            for part in parts
        ],
    )
