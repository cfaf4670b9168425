"""The run second by second: throughput, responses, failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import (
    Axis,
    Color,
    Figure,
    Kind,
    Number,
    Series,
    Span,
    Table,
    Texture,
    stacked,
)
from dbpool.loadtest.report.view.reading import Json
from dbpool.loadtest.report.view.thinning import in_groups

TIME: Final = "time"  # the cursor and the zoom that all figures over time share
FAILURES: Final = (
    ("errors", "errors", Color.BAD, Texture.PLAIN),
    ("timeouts", "timed out", Color.WARM, Texture.RISING),
    ("dropped", "dropped", Color.ODD, Texture.CROSSED),
    ("skipped", "skipped", Color.QUIET, Texture.FALLING),
)


@dataclass(frozen=True, slots=True)
class Second:
    """One second, or the worst of some: *completed* is their mean. *at_s* is since the run began."""

    at_s: float
    stage: str
    completed: float | None
    p50_ms: Number
    p99_ms: Number
    max_ms: Number
    failed: dict[str, float]


def seconds_of(document: Json) -> list[Second]:
    """All seconds of all points, in order; those of the point that is being measured have no point yet."""
    points = {point["id"]: point for point in document.get("points") or []}
    found = []
    for line in document.get("timeline") or []:
        point = points.get(line.get("point"), {})
        found.append(
            Second(
                at_s=(point.get("started_s") or 0.0) + line["t"],
                stage=point.get("stage") or line.get("stage") or "",
                completed=line.get("completed"),
                p50_ms=line.get("response_p50_ms"),
                p99_ms=line.get("response_p99_ms"),
                max_ms=line.get("response_max_ms"),
                failed={key: line.get(key) or 0 for key, *_ in FAILURES},
            )
        )
    return in_groups(sorted(found, key=lambda each: each.at_s), _merged)


def _merged(some: Sequence[Second]) -> Second:
    done = [each.completed for each in some if each.completed is not None]
    return Second(
        at_s=some[0].at_s,
        stage=some[0].stage,
        completed=sum(done) / len(done) if done else None,
        p50_ms=_most(each.p50_ms for each in some),
        p99_ms=_most(each.p99_ms for each in some),
        max_ms=_most(each.max_ms for each in some),
        failed={key: sum(each.failed[key] for each in some) for key, *_ in FAILURES},
    )


def _most(values: Iterable[Number]) -> Number:
    return max((value for value in values if value is not None), default=None)


def stages_of(document: Json) -> list[Span]:
    """Where each stage begins and ends: as told by events, else by the points."""
    end = end_of(document)
    events = document.get("events") or []
    begins = [(event["t"], event.get("stage") or "") for event in events if event.get("kind") == "stage"]
    if not begins:
        for point in sorted(document.get("points") or [], key=lambda each: each.get("started_s") or 0.0):
            if not begins or begins[-1][1] != point["stage"]:
                begins.append((point.get("started_s") or 0.0, point["stage"]))
    ends = [*(t for t, _ in begins[1:]), end]
    return [Span(t, until, name) for (t, name), until in zip(begins, ends, strict=True) if until > t]


def end_of(document: Json) -> float:
    """The last second that anything is known of."""
    points = {point["id"]: point.get("started_s") or 0.0 for point in document.get("points") or []}
    lines = [points.get(line.get("point"), 0.0) + line["t"] + 1 for line in document.get("timeline") or []]
    seen = [each["t"] for name in ("samples", "events") for each in document.get(name) or []]
    return max([*lines, *seen], default=0.0)


def time_axis(document: Json) -> Axis:
    """From the begin of the run to its last second."""
    return axes.of_time("since the start", 0.0, end_of(document))


def over_time(document: Json) -> list[Figure]:
    """Throughput, responses and failures, one above the other."""
    seconds = seconds_of(document)
    if len(seconds) < 2:
        return []
    spans, x = stages_of(document), time_axis(document)
    figures = [_throughput(seconds, x, spans), _responses(seconds, x, spans), _failures(seconds, x, spans)]
    return [figure for figure in figures if figure is not None]


def _throughput(seconds: Sequence[Second], x: Axis, spans: Sequence[Span]) -> Figure:
    done = [each.completed for each in seconds]
    return Figure(
        key="timeline",
        title="Throughput over time",
        says="Transactions completed in each second; the strips are the stages of the run.",
        x=x,
        y=axes.from_zero("transactions a second", done, unit="/s"),
        xs=[each.at_s for each in seconds],
        series=[Series(name="completed", values=done, color=Color.MAIN)],
        spans=spans,
        follows=TIME,
        table=Table(
            "Throughput over time",
            ["time", "stage", "tps"],
            [[numbers.clock(each.at_s), each.stage, numbers.rate(each.completed)] for each in seconds],
        ),
    )


def _responses(seconds: Sequence[Second], x: Axis, spans: Sequence[Span]) -> Figure | None:
    columns = {
        "p50": [each.p50_ms for each in seconds],
        "p99": [each.p99_ms for each in seconds],
        "max": [each.max_ms for each in seconds],
    }
    columns = {name: column for name, column in columns.items() if any(value is not None for value in column)}
    if not columns:
        return None
    colors = {"p50": Color.QUIET, "p99": Color.MAIN, "max": Color.BAD}
    return Figure(
        key="timeline-response",
        title="Response time over time",
        says="Percentiles of each second; a second with too few transactions for one has a gap.",
        x=x,
        y=axes.logarithmic("ms", [value for column in columns.values() for value in column], unit="ms"),
        xs=[each.at_s for each in seconds],
        series=[
            Series(name=name, values=column, color=colors[name], is_dashed=name == "p50")
            if name != "max"
            else Series(name=name, values=column, color=colors[name], kind=Kind.DOTS)
            for name, column in columns.items()
        ],
        spans=spans,
        follows=TIME,
        table=Table(
            "Response time over time",
            ["time", *(f"{name} ms" for name in columns)],
            [
                [numbers.clock(each.at_s), *(numbers.figure(column[number]) for column in columns.values())]
                for number, each in enumerate(seconds)
            ],
        ),
    )


def _failures(seconds: Sequence[Second], x: Axis, spans: Sequence[Span]) -> Figure | None:
    seen = [each for each in FAILURES if any(second.failed[each[0]] for second in seconds)]
    if not seen:
        return None
    columns = [[second.failed[key] for second in seconds] for key, *_ in seen]
    failing = [number for number, second in enumerate(seconds) if any(second.failed.values())]
    return Figure(
        key="timeline-failures",
        title="Failures over time",
        says="Transactions of each second that failed, timed out or were shed. The table has the seconds with any.",
        x=x,
        y=axes.from_zero("a second", [sum(second.failed.values()) for second in seconds]),
        xs=[each.at_s for each in seconds],
        series=[
            Series(name=name, values=column, base=base, kind=Kind.AREA, color=color, texture=texture)
            for (_, name, color, texture), column, base in zip(
                seen, columns, stacked([key for key, *_ in seen], columns), strict=True
            )
        ],
        spans=spans,
        follows=TIME,
        table=Table(
            "Failures over time",
            ["time", *(name for _, name, *_ in seen)],
            [
                [numbers.clock(seconds[number].at_s), *(numbers.count(column[number]) for column in columns)]
                for number in failing
            ],
        ),
    )
