"""The axis that all figures over time share, with the stages of the run on it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Final

from dbpool.loadtest.report.view import axes
from dbpool.loadtest.report.view.figure import Axis, Span
from dbpool.loadtest.report.view.reading import Json

TIME: Final = "time"  # the word for figures that share their cursor and their zoom
FAR: Final = 2.5  # times the usual distance: nothing is known of what lies between


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


def reach_of(xs: Sequence[float]) -> float | None:
    """How far apart two neighbours may be for a line between them."""
    apart = [after - before for before, after in pairwise(xs) if after > before]
    return median(apart) * FAR if apart else None
