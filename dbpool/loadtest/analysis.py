"""From the points of a document to its verdict: knee, explanation, recommendation, budget.

It reads the document alone, so that a saved run can be judged again, also under other assumptions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Final

from dbpool.core.loadtest.budget import Fleet, Slots, rule_of_thumb
from dbpool.core.loadtest.curve import NOISE, TWO_SIDED, Curve, Observation
from dbpool.core.loadtest.intervals import Interval, around
from dbpool.core.loadtest.recommendation import Grade, Recommendation, Trust, recommend
from dbpool.core.loadtest.search import Outcome, Status
from dbpool.core.loadtest.verdict import outcome_of
from dbpool.loadtest.assumptions import Assumptions
from dbpool.loadtest.sameload import counted_in, swept_in
from dbpool.loadtest.server.limitsjson import slots_of

LEAST_NOISE: Final = 0.02  # however alike the three repeats of calibration were by chance
MOST_NOISE: Final = 0.1
MOST_FAILED: Final = 0.001  # of the transactions: fewer change neither throughput nor p99

Entry = Mapping[str, Any]


def observation_of(entry: Entry) -> Observation:
    """What a point of a sweep, as the document has it, says of its size."""
    tps, service = entry["tps"], entry["service_ms"]
    return Observation(
        size=entry["pool_size"] or entry["clients"],
        tps=0.0 if tps is None else tps["mean"],
        interval=None if tps is None else _interval(tps, entry["window_s"]),
        service_p99_ms=None if service is None else service["p99"],
        is_generator_bound=entry["generator"]["bound"],
    )


def _interval(tps: Mapping[str, Any], window_s: float) -> Interval:
    """As it was measured; of a window too short for that, as wide as if transactions were independent (Poisson)."""
    if tps["ci95"] is not None:
        return Interval(*tps["ci95"])
    return around(tps["mean"], TWO_SIDED * sqrt(tps["mean"] / window_s))


def noise_of(calibration: Mapping[str, Any]) -> float:
    """How much repeats of one point vary, as far as calibration told."""
    measured = calibration.get("noise_cv")
    return NOISE if measured is None else min(MOST_NOISE, max(LEAST_NOISE, measured))


def analysed(document: Mapping[str, Any], assumptions: Assumptions) -> dict[str, Any]:
    """The sections of the verdict, from the points of the document's sweep alone."""
    curve = Curve(noise=noise_of(document["calibration"]), enough=assumptions.enough)
    for entry in counted_in(document):
        curve.add(observation_of(entry))
    knee = document["knee"]
    outcome = outcome_of(
        curve,
        latency_limit_ms=assumptions.latency_limit_ms,
        latency_factor=assumptions.latency_factor,
        is_generator_bound=any(entry["generator"]["bound"] for entry in swept_in(document)),
        is_refused=knee is not None and knee["refused"],
        found=None if knee is None else (Status[knee["status"]], knee["why"]),
    )
    return verdict(document, outcome, curve, assumptions)


def verdict(document: Mapping[str, Any], outcome: Outcome, curve: Curve, assumptions: Assumptions) -> dict[str, Any]:
    """The sections that follow from *outcome*."""
    slots, fleet = slots_of(document["limits"]), assumptions.fleet
    trust = _trust(document, outcome, curve)
    recommended = recommend(outcome, slots, fleet, tasks=assumptions.tasks_of_each, trust=trust)
    return {
        "knee": _knee(outcome, curve),
        "usl": _usl(curve, seed=document["run"]["seed"]),
        "recommendation": _recommendation(document, recommended, curve),
        "budget": _budget(slots, fleet, recommended.per_instance),
    }


def _trust(document: Mapping[str, Any], outcome: Outcome, curve: Curve) -> Trust:
    if outcome.knee is None:
        return Trust()
    estimate = curve.estimate(outcome.knee.size)
    return Trust(
        repeats=estimate.repeats,
        off=estimate.interval.half / estimate.tps if estimate.tps else None,
        doubts=[*_doubts(document, outcome.knee.size), *_doubts_of_latency(outcome, curve)],
    )


def _doubts(document: Mapping[str, Any], size: int) -> Sequence[str]:
    there = _of_size(document, size)
    flags = {flag for entry in there for flag in entry["flags"]}
    told = {
        "unsteady": "throughput had not settled when it was measured",
        "starved": "the generator was kept from running by what else ran on its machine, the server perhaps",
        "suspect": "clients, throughput and response time did not fit together",
        "pool_sharded": "the pool was split among several load processes, which queues worse than one pool",
    }
    doubts = [words for flag, words in told.items() if flag in flags]
    if (failed := _failed(there)) > MOST_FAILED:
        doubts.append(f"{failed:.1%} of the transactions failed when it was measured")
    if document["target"]["local"]:
        doubts.append("generator and server shared one machine")
    if document["limits"]["others"]:
        doubts.append("others used the server meanwhile")
    return doubts


def _failed(entries: Sequence[Entry]) -> float:
    """The share of what was due that ended with an error, or timed out."""
    counts = [entry["counts"] for entry in entries]
    failed: int = sum(each["timeout"] + sum(each["errors"].values()) for each in counts)
    due: int = sum(each["due"] for each in counts)
    return failed / max(1, due)


def _doubts_of_latency(outcome: Outcome, curve: Curve) -> Sequence[str]:
    """What no latency limit could be held against, keeps to none."""
    if outcome.latency_limit_ms is None:
        return ["no latency limit was judged: too few transactions with one connection for a p99"]
    unknown = [size for size in curve.sizes() if curve.service_p99_ms(size) is None]
    if outcome.knee is None or outcome.latency_size is not None or not unknown or unknown[0] > outcome.knee.size:
        return []
    return [f"whether the latency limit is kept is not known: too few transactions for a p99 at {_some(unknown)}"]


def _some(sizes: Sequence[int]) -> str:
    return f"size {sizes[0]}" if len(sizes) == 1 else f"{len(sizes)} sizes"


def _of_size(document: Mapping[str, Any], size: int) -> list[Entry]:
    return [entry for entry in counted_in(document) if (entry["pool_size"] or entry["clients"]) == size]


def _knee(outcome: Outcome, curve: Curve) -> dict[str, Any]:
    knee = outcome.knee
    estimates = {size: curve.estimate(size) for size in curve.sizes()}
    return {
        "status": outcome.status.name,
        "why": outcome.why,
        "size": None if knee is None else knee.size,
        "low": None if knee is None else knee.low,
        "high": None if knee is None else knee.high,
        "tps": None if knee is None else knee.tps,
        "peak_tps": None if knee is None else knee.peak_tps,
        "at_least": outcome.at_least,
        "rule": f"the smallest size with {curve.enough:.0%} of the highest throughput",
        "latency_size": outcome.latency_size,
        "latency_limit_ms": outcome.latency_limit_ms,
        "measured": outcome.measured,
        "refused": outcome.is_refused,
        "sizes": [
            {
                "size": size,
                "tps": each.tps,
                "low": each.interval.low,
                "high": each.interval.high,
                "repeats": each.repeats,
                "service_p99_ms": curve.service_p99_ms(size),
            }
            for size, each in estimates.items()
        ],
    }


def _usl(curve: Curve, *, seed: int) -> dict[str, Any] | None:
    """The Universal Scalability Law as an explanation; None for too few sizes, or without scipy."""
    try:
        from dbpool.loadtest.usl import Point, fit
    except ImportError:
        return None
    sizes = curve.sizes()
    estimates = [(size, curve.estimate(size)) for size in sizes]
    found = fit([Point(size, each.tps, each.interval.half) for size, each in estimates], seed=seed)
    if found is None:
        return None
    ends = found.peak_interval
    step = max(1, sizes[-1] // 40)
    return {
        "lambda": found.lambda_,
        "sigma": found.sigma,
        "kappa": found.kappa,
        "n_star": found.peak_size if found.is_valid else None,
        "n_star_ci95": None if ends is None or not found.is_valid else [ends.low, ends.high],
        "ceiling": found.ceiling,
        "misfit": found.misfit,
        "valid": found.is_valid,
        "why": list(found.why_not),
        "curve": [[size, found.tps_at(size)] for size in range(1, round(sizes[-1] * 1.25) + 1, step)],
    }


def _recommendation(document: Mapping[str, Any], found: Recommendation, curve: Curve) -> dict[str, Any]:
    cores = document["target"]["cores"]
    return {
        "pool_size": found.pool_size,
        "per_instance": found.per_instance,
        "low": found.low,
        "high": found.high,
        "grade": found.grade.value,
        "binding": None if found.binding is None else found.binding.value,
        "reasons": list(found.reasons),
        "expected": None if found.pool_size is None else _expected(document, found.pool_size, curve),
        "rule_of_thumb": None if cores is None else rule_of_thumb(cores),
        "code": None if found.grade is Grade.NONE else _code(found),
    }


def _expected(document: Mapping[str, Any], size: int, curve: Curve) -> dict[str, Any] | None:
    """What the largest measured size did that is no larger than the recommended one."""
    near = max((each for each in curve.sizes() if each <= size), default=None)
    if near is None:
        return None
    estimate = curve.estimate(near)
    there = _of_size(document, near)
    return {
        "size": near,
        "tps": estimate.tps,
        "tps_ci95": [estimate.interval.low, estimate.interval.high],
        "response_p99_ms": _mean_p99(there, "response_ms"),
        "service_p99_ms": _mean_p99(there, "service_ms"),
    }


def _mean_p99(entries: Sequence[Entry], series: str) -> float | None:
    known = [entry[series]["p99"] for entry in entries if entry[series] and entry[series]["p99"] is not None]
    return sum(known) / len(known) if known else None


def _code(found: Recommendation) -> str:
    return f"DatabasePool(\n    dsn,\n    max_connections={found.per_instance},\n)"


def _budget(slots: Slots, fleet: Fleet, recommended: int | None) -> dict[str, Any]:
    share = fleet.share_of(slots)
    sizes = sorted({size for size in (1, 2, 5, 10, 20, 50, share, recommended or 0) if size > 0})
    rows = []
    for size in sizes:
        at_deploy = size * fleet.most
        fits = at_deploy <= slots.free - fleet.reserve
        rows.append({"pool_size": size, "connections": size * fleet.instances, "at_deploy": at_deploy, "fits": fits})
    return {
        "usable": slots.usable,
        "others": slots.others,
        "reserve": fleet.reserve,
        "free": slots.free,
        "instances": fleet.instances,
        "surge": fleet.surge,
        "share": share,
        "rows": rows,
    }
