"""The seconds of a run, in order."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from dbpool.loadtest.report.view.figure import Color, Number, Texture
from dbpool.loadtest.report.view.reading import Json
from dbpool.loadtest.report.view.thinning import in_groups

WHOLE: Final = 1e-6  # s: by which a second may be short
FAILURES: Final = (
    ("errors", "errors", Color.BAD, Texture.PLAIN),
    ("timeouts", "timed out", Color.WARM, Texture.RISING),
    ("dropped", "dropped", Color.ODD, Texture.CROSSED),
    ("skipped", "skipped", Color.QUIET, Texture.FALLING),
)


@dataclass(frozen=True, slots=True)
class Second:
    """One second, or the worst of some. *at_s* is since the run began.

    *completed* is the mean of some; None for a second that the load did not last for, as the drain of a point.
    """

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
        lasted = (point.get("warmup_s") or 0.0) + point["window_s"] if point.get("window_s") is not None else inf
        found.append(
            Second(
                at_s=(point.get("started_s") or 0.0) + line["t"],
                stage=point.get("stage") or line.get("stage") or "",
                completed=line.get("completed") if line["t"] + 1 <= lasted + WHOLE else None,
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
