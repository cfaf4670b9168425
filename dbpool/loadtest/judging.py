"""Whether a run met its thresholds, at the size that it recommends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import Any, Final

from dbpool.core.loadtest.thresholds import Measured, Threshold, judge
from dbpool.loadtest.metrics import measured
from dbpool.loadtest.point import Point
from dbpool.loadtest.recording.tally import merged
from dbpool.loadtest.sameload import counted_in
from dbpool.loadtest.stages.stand import Stand

_OF_REPEATS: Final = {"min": min, "max": max}


def judge_run(stand: Stand, thresholds: Sequence[Threshold]) -> None:
    """Put a judgement of each threshold into the document, where none is met that was not measured."""
    points = _recommended(stand)
    for threshold in thresholds:
        judgement = judge(threshold, _measured(points, stand.run.sections))
        stand.run.judgements.append((judgement, None))


def _recommended(stand: Stand) -> list[Point]:
    """The sweep's points of the size whose figures the recommendation expects."""
    expected = (stand.run.sections.get("recommendation") or {}).get("expected")
    if expected is None:
        return []
    counted = {entry["id"] for entry in counted_in({"points": stand.run.points})}
    return [
        each.point
        for each in stand.measured
        if each.json["id"] in counted and each.point.target.connections == expected["size"]
    ]


def _measured(points: Sequence[Point], sections: Mapping[str, Any]) -> Measured:
    together = replace(points[0], total=merged(point.total for point in points)) if points else None

    def value(metric: str, aggregate: str) -> float | None:
        match metric:
            case "recommended_size":
                return _of(sections, "recommendation", "pool_size")
            case "recovery_s":
                recovery = (sections.get("overload") or {}).get("recovery")
                return None if recovery is None else _of({"recovery": recovery}, "recovery", "recovery_s")
            case "bystander_ratio":
                ratios = [part["bystander_ratio"] for part in (sections.get("storm") or {}).get("parts", ())]
                return None if None in ratios else max(ratios, default=None)  # it may be worst where it felt nothing
        if together is None:
            return None
        if metric != "tps":
            return measured(together)(metric, aggregate)
        known = [found for point in points if (found := measured(point)(metric, aggregate)) is not None]
        return _OF_REPEATS.get(aggregate, fmean)(known) if known else None

    return value


def _of(sections: Mapping[str, Any], section: str, name: str) -> float | None:
    found = (sections.get(section) or {}).get(name)
    return None if found is None else float(found)
