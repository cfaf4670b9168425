"""The run second by second: throughput, responses, failures."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.loadtest.report.view import axes, numbers
from dbpool.loadtest.report.view.figure import Axis, Color, Figure, Kind, Series, Span, Table, stacked
from dbpool.loadtest.report.view.moments import TIME, reach_of, stages_of, time_axis
from dbpool.loadtest.report.view.reading import Json
from dbpool.loadtest.report.view.seconds import FAILURES, Second, seconds_of


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
        reach=reach_of([each.at_s for each in seconds]),
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
        reach=reach_of([each.at_s for each in seconds]),
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
        reach=reach_of([each.at_s for each in seconds]),
        table=Table(
            "Failures over time",
            ["time", *(name for _, name, *_ in seen)],
            [
                [numbers.clock(seconds[number].at_s), *(numbers.count(column[number]) for column in columns)]
                for number in failing
            ],
        ),
    )
