"""A run against an earlier one: what became better, what worse, and what cannot be told.

Means over repeats are compared, as what differs between runs is not seen within one. Where a load was measured once,
throughput alone is judged, by its interval within the run widened by the noise between runs; for a percentile there is
no telling how much of it changes from run to run.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import inf
from random import Random
from statistics import fmean
from typing import Any, Final

from dbpool.core.loadtest.comparison import Comparison, Verdict, compare
from dbpool.core.loadtest.curve import NOISE
from dbpool.core.loadtest.discoveries import discovered
from dbpool.core.loadtest.intervals import CONFIDENCE, Interval
from dbpool.core.loadtest.singleruns import Known, compare_known
from dbpool.core.loadtest.thresholds import is_regression
from dbpool.loadtest.comparable import NotComparable, also_differs, check_comparable
from dbpool.loadtest.sameload import LOAD, PointJson, by_load, name_of
from dbpool.loadtest.saved import Document

MAX_REGRESSION: Final = 0.05
METRICS: Final = ("tps", "response_p50_ms", "response_p95_ms", "response_p99_ms", "service_p99_ms")
MIXED: Final = "better and worse"


def compare_runs(
    baseline: Document, document: Document, *, max_regression: float = MAX_REGRESSION, allow_mismatch: bool = False
) -> dict[str, Any]:
    """How *document* did against *baseline*: the section ``comparison`` of a run, as the schema has it.

    Each figure of each load that both have: ``ratio`` is after / before with its 95 % interval, ``verdict`` better,
    worse, no difference shown, or too few repeats to tell. Verdicts hold together: of what they show, 5 % is chance.

    Args:
        max_regression: the share by which a figure may be worse; shown to be worse by more is in ``regressions``.
        allow_mismatch: compare also what does not compare; ``mismatches`` then says what differs.
    Raises:
        NotComparable: workload, scale, server or sharding differ; or no load was measured in both.
    """
    mismatches = check_comparable(baseline, document, allow_mismatch=allow_mismatch)
    before, after = by_load(_usable(baseline)), by_load(_usable(document))
    both = [key for key in before if key in after]
    if not both:
        raise NotComparable("no load was measured in both runs, so there is nothing to compare")
    noise = max(NOISE, *(run["calibration"]["noise_cv"] or 0.0 for run in (baseline, document)))
    points = [_compared(before[key], after[key], noise) for key in both]
    _hold_together([metric for point in points for metric in point["metrics"]])
    regressions = [text for point in points for text in _regressions(point, max_regression)]
    verdict = _verdict([metric["verdict"] for point in points for metric in point["metrics"]])
    return {
        "baseline": _run(baseline),
        "run": _run(document),
        "max_regression": max_regression,
        "confidence": CONFIDENCE,
        "mismatches": mismatches,
        "also": also_differs(baseline, document),
        "points": points,
        "unmatched": {
            "baseline": len(baseline["points"]) - sum(len(before[key]) for key in both),
            "run": len(document["points"]) - sum(len(after[key]) for key in both),
        },
        "recommended_size": _size(baseline["recommendation"], document["recommendation"]),
        "regressions": regressions,
        "verdict": verdict,
        "text": _text(verdict, len(points), regressions, max_regression),
    }


def _usable(document: Document) -> list[PointJson]:
    """Points that were measured to their end, and did something."""
    return [
        each for each in document["points"] if "incomplete" not in each["flags"] and (each["tps"] or {}).get("mean")
    ]


def _compared(before: Sequence[PointJson], after: Sequence[PointJson], noise: float) -> dict[str, Any]:
    return {
        **{name: before[0][name] for name in LOAD},
        "generator_bound": any(each["generator"]["bound"] for each in (*before, *after)),
        "repeats": {"baseline": len(before), "run": len(after)},
        "metrics": [metric for name in METRICS if (metric := _metric(name, before, after, noise))],
    }


def _metric(name: str, before: Sequence[PointJson], after: Sequence[PointJson], noise: float) -> dict[str, Any] | None:
    """One figure; None where one of the runs has no value of it."""
    one, other = _values(name, before), _values(name, after)
    if not one or not other:
        return None
    higher_is_better = name == "tps"
    known = [_known(each) for each in (before, after)] if name == "tps" else [[], []]
    basis = None
    if min(len(one), len(other)) >= 2:
        basis = "repeats"
        found = _beyond(noise, compare(one, other, higher_is_better=higher_is_better, random=Random(1)))
    elif all(known):
        basis = "batches"
        found = compare_known(known[0], known[1], noise=noise, higher_is_better=higher_is_better)
    else:
        found = Comparison(fmean(other) / fmean(one), None, None, Verdict.UNKNOWN)
    return {
        "name": name,
        "before": fmean(one),
        "after": fmean(other),
        "ratio": found.ratio,
        "ci95": None if found.interval is None else [found.interval.low, found.interval.high],
        "p_value": found.p_value,
        "basis": basis,
        "verdict": found.verdict.value,
        "is_regression": False,  # until all are known
    }


def _beyond(noise: float, found: Comparison) -> Comparison:
    """What repeats in a run share, they do not show: runs that differ by less than their *noise* are not told apart."""
    if abs(found.ratio - 1) > noise or found.verdict is Verdict.UNKNOWN:
        return found
    return replace(found, verdict=Verdict.NO_DIFFERENCE)


def _values(name: str, points: Sequence[PointJson]) -> list[float]:
    """What is known of one figure, above 0."""
    if name == "tps":
        found = [point["tps"]["mean"] for point in points]
    else:
        series, _, rest = name.partition("_")
        found = [(point[f"{series}_ms"] or {}).get(rest.removesuffix("_ms")) for point in points]
    return [value for value in found if value]


def _known(points: Sequence[PointJson]) -> list[Known]:
    """Throughputs with their intervals; empty where one has none to rely on."""
    if not all(point["tps"]["ci95"] and point["tps"]["is_settled"] for point in points):
        return []
    return [Known(point["tps"]["mean"], Interval(*point["tps"]["ci95"])) for point in points]


def _hold_together(metrics: Sequence[dict[str, Any]]) -> None:
    """Take back what is shown only because so many were compared."""
    judged = [metric for metric in metrics if metric["p_value"] is not None]
    for metric, is_shown in zip(judged, discovered([metric["p_value"] for metric in judged]), strict=True):
        if not is_shown:
            metric["verdict"] = Verdict.NO_DIFFERENCE.value


def _regressions(point: dict[str, Any], allowed: float) -> Iterator[str]:
    """Those of one load, in words; marks them, too."""
    for metric in point["metrics"]:
        found = Comparison(metric["ratio"], None, metric["p_value"], Verdict(metric["verdict"]))
        metric["is_regression"] = is_regression(found, allowed, higher_is_better=metric["name"] == "tps")
        if metric["is_regression"]:
            change = f"{metric['before']:,.4g} to {metric['after']:,.4g} ({(metric['ratio'] - 1) * 100:+.1f} %)"
            yield f"{point['stage']}, {name_of(point)}: {metric['name']} went from {change}"


def _verdict(verdicts: Sequence[str]) -> str:
    is_better, is_worse = Verdict.BETTER.value in verdicts, Verdict.WORSE.value in verdicts
    if is_better and is_worse:
        return MIXED
    if is_better or is_worse:
        found = Verdict.BETTER if is_better else Verdict.WORSE
    else:
        is_unknown = all(each == Verdict.UNKNOWN.value for each in verdicts)
        found = Verdict.UNKNOWN if is_unknown else Verdict.NO_DIFFERENCE
    return str(found.value)


def _text(verdict: str, loads: int, regressions: Sequence[str], allowed: float) -> str:
    many = "1 load" if loads == 1 else f"{loads} loads"
    if regressions:
        figures = "1 figure is" if len(regressions) == 1 else f"{len(regressions)} figures are"
        return f"{figures} worse by more than {_percent(allowed)}, of {many} in both"
    if verdict == Verdict.UNKNOWN.value:
        return f"{verdict}, of {many} in both: measure each three times (--repeat 3)"
    return f"{verdict}, of {many} in both; nothing is shown to be worse by more than {_percent(allowed)}"


def _percent(share: float) -> str:
    return f"{share * 100:g} %"


def _size(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The sizes that were recommended; a difference within their ranges is none."""
    if before is None or after is None:
        return None
    return {
        "before": before["pool_size"],
        "after": after["pool_size"],
        "before_range": None if before["low"] is None else [before["low"], before["high"]],
        "after_range": None if after["low"] is None else [after["low"], after["high"]],
        "verdict": _size_verdict(before, after),
    }


def _size_verdict(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    one, other = before["pool_size"], after["pool_size"]
    if one is None or other is None:
        return "not known"
    if one == other:
        return "same"
    if _range(before).overlaps(_range(after)):
        return "no difference shown"
    return "larger" if other > one else "smaller"


def _range(recommendation: Mapping[str, Any]) -> Interval:
    size, high = recommendation["pool_size"], recommendation["high"]
    return Interval(recommendation["low"] or size, inf if high is None else high)


def _run(document: Document) -> dict[str, Any]:
    target = document["target"]
    return {
        "id": document["run"]["id"],
        "started": document["run"]["started"],
        "command": document["run"]["command"],
        "dbpool": document["tool"]["dbpool"],
        "server": f"{target['kind']} {target['version']}",
    }
