"""What a server does with more load than it can take: goodput, and what responses cost."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import (
    Color,
    Figure,
    Kind,
    Marker,
    Part,
    Row,
    Rule,
    Series,
    Table,
    Texture,
    Words,
    stacked,
)
from dbpool.loadtest.report.view.reading import Json, at

REST = (
    ("skipped", "skipped: too late to begin", Color.QUIET, Texture.PLAIN),
    ("dropped", "dropped: too many in flight", Color.WARM, Texture.FALLING),
    ("timeouts", "timed out", Color.BAD, Texture.RISING),
    ("errors", "errors", Color.ODD, Texture.CROSSED),
)


def pushed(document: Json) -> list[Part]:
    """Goodput, latency and losses by offered rate, then how it came back."""
    overload = document.get("overload") or {}
    steps = overload.get("steps") or []
    if not steps:
        return []
    parts: list[Part] = [
        Words(text[:1].upper() + text[1:]) for text in (overload.get("behaviour"), _recovery(overload)) if text
    ]
    hollow = _hollow(document, steps)
    figures = [_goodput(overload, steps, hollow), _latency(overload, steps, hollow), _losses(steps)]
    return [*parts, Row([figure for figure in figures if figure is not None])]


def _recovery(overload: Json) -> str | None:
    recovery = overload.get("recovery")
    if not recovery:
        return None
    limit = numbers.plain(recovery.get("limit_ms"))
    if recovery.get("recovery_s") is None:
        return f"Back at 70 % of the most, responses did not come back below {limit} ms while they were watched."
    return (
        f"Back at 70 % of the most, responses were below {limit} ms again "
        f"after {numbers.seconds(recovery['recovery_s'])}."
    )


def _rates(steps: Sequence[Json]) -> list[float]:
    return [step["offered_rate"] for step in steps]


def _hollow(document: Json, steps: Sequence[Json]) -> list[bool]:
    """At which steps the generator, not the server, was at its limit."""
    bound = {point["id"]: bool(at(point, "generator", "bound")) for point in document.get("points") or []}
    return [bound.get(step.get("point"), False) for step in steps]


def _goodput(overload: Json, steps: Sequence[Json], hollow: Sequence[bool]) -> Figure:
    rates = _rates(steps)
    peak = overload.get("peak_tps")
    top = max([*rates, *(step["goodput_tps"] or 0 for step in steps)])
    return Figure(
        key="goodput",
        title="Goodput by offered load",
        says=f"Transactions that kept the limit of {numbers.plain(overload.get('limit_ms'))} ms."
        + (" Hollow: the load generator was at its limit." if any(hollow) else ""),
        x=axes.from_zero("offered, transactions a second", rates, unit="/s"),
        y=axes.from_zero("in time, a second", [top], unit="/s"),
        xs=rates,
        series=[
            Series(name="all that is offered", values=rates, xs=rates, color=Color.QUIET, is_dashed=True),
            Series(
                name="goodput",
                values=[step["goodput_tps"] for step in steps],
                color=Color.MAIN,
                marker=Marker.CIRCLE,
                hollow=hollow,
            ),
        ],
        rules=[Rule(peak, "most in the sweep", is_upright=True)] if peak else [],
        table=_table(steps),
    )


def _latency(overload: Json, steps: Sequence[Json], hollow: Sequence[bool]) -> Figure | None:
    lines = [
        Series(
            name=name,
            values=[step.get(f"{key}_p99_ms") for step in steps],
            color=color,
            marker=marker,
            hollow=hollow,
            is_dashed=key != "response",
        )
        for key, name, color, marker in (
            ("response", "response p99", Color.MAIN, Marker.CIRCLE),
            ("uncorrected", "uncorrected p99", Color.QUIET, Marker.DIAMOND),
            ("service", "service p99", Color.WORK, Marker.SQUARE),
        )
    ]
    lines = [line for line in lines if any(value is not None for value in line.values)]
    if not lines:
        return None
    limit = overload.get("limit_ms")
    values = [value for line in lines for value in line.values]
    return Figure(
        key="load-latency",
        title="Latency by offered load",
        says="What a user waits, from when it was due; uncorrected leaves out the wait to be begun.",
        x=axes.from_zero("offered, transactions a second", _rates(steps), unit="/s"),
        y=axes.logarithmic("ms", [*values, limit], unit="ms"),
        xs=_rates(steps),
        series=lines,
        rules=[Rule(limit, f"limit: {numbers.plain(limit)} ms")] if limit else [],
        table=Table(
            "Latency by offered load",
            ["offered", *(f"{line.name} ms" for line in lines)],
            [
                [
                    f"{numbers.rate(step['offered_rate'])} ({numbers.percent(step['share'])})",
                    *(numbers.figure(line.values[number]) for line in lines),
                ]
                for number, step in enumerate(steps)
            ],
        ),
    )


def _losses(steps: Sequence[Json]) -> Figure | None:
    """What was not done, step by step."""
    seen = [each for each in REST if any(step.get(each[0]) for step in steps)]
    if not seen:
        return None
    columns = [[step.get(key) for step in steps] for key, *_ in seen]
    bases = stacked([key for key, *_ in seen], columns)
    tops = [sum(column[number] or 0 for column in columns) for number in range(len(steps))]
    return Figure(
        key="losses",
        title="What was not done",
        says="Transactions of each step that were shed, timed out or failed.",
        x=axes.of_names("offered, of the most", len(steps)),
        y=axes.from_zero("transactions", tops),
        xs=[float(number) for number in range(len(steps))],
        names=[numbers.percent(step["share"]) for step in steps],
        series=[
            Series(name=name, values=column, base=base, kind=Kind.BAR, color=color, texture=texture)
            for (_, name, color, texture), column, base in zip(seen, columns, bases, strict=True)
        ],
        table=Table(
            "What was not done, by step",
            ["offered", *(name.split(":", maxsplit=1)[0] for _, name, *_ in seen)],
            [[numbers.percent(step["share"]), *(numbers.count(step.get(key)) for key, *_ in seen)] for step in steps],
        ),
    )


def _table(steps: Sequence[Json]) -> Table:
    return Table(
        "Goodput by offered load",
        ["offered", "rate /s", "goodput /s", "late", "skipped", "dropped", "timed out", "errors"],
        [
            [
                numbers.percent(step["share"]),
                numbers.rate(step["offered_rate"]),
                numbers.rate(step["goodput_tps"]),
                numbers.share(at(step, "late_rate")),
                *(numbers.count(step.get(key)) for key in ("skipped", "dropped", "timeouts", "errors")),
            ]
            for step in steps
        ],
    )
