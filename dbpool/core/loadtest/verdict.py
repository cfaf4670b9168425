"""What a curve shows that was measured some other way than by a search, or whose search is over."""

from __future__ import annotations

from dbpool.core.loadtest.curve import Curve
from dbpool.core.loadtest.search import Outcome, Status

_UNKNOWN = (Status.DRIFTING, Status.GENERATOR_BOUND)
_KEPT = (*_UNKNOWN, Status.UNRESOLVED)


def outcome_of(
    curve: Curve,
    *,
    latency_limit_ms: float | None = None,
    latency_factor: float = 3.0,
    is_generator_bound: bool = False,
    is_refused: bool = False,
    found: tuple[Status, str] | None = None,
) -> Outcome:
    """The outcome that a search would have of *curve*.

    Args:
        latency_limit_ms: of service p99; None: *latency_factor* times that of size 1.
        is_generator_bound: at some sizes, which the curve leaves out, the generator was at its limit.
        is_refused: the server let no more connections in.
        found: what the search said that measured the curve, and why: neither drift is seen in it any more, nor that it
            was stopped, or that the knee moved when it was measured again.
    """
    knee = curve.knee() if len(curve) else None
    limit_ms = latency_limit_ms if latency_limit_ms is not None else _limit(curve, latency_factor)
    status, why = _status(curve, is_generator_bound=is_generator_bound)
    if found is not None and found[0] in _KEPT:
        status, why = found
    is_known = status not in _UNKNOWN
    over = None if limit_ms is None else curve.first_over(limit_ms)
    is_latency_bound = knee is not None and over is not None and over <= knee.size
    return Outcome(
        status=status,
        why=why,
        knee=knee if is_known else None,
        at_least=knee.low if knee is not None and status is not Status.DRIFTING else 0,
        latency_size=(curve.below(over) or 0) if is_latency_bound and over is not None else None,
        latency_limit_ms=limit_ms,
        measured=len(curve),
        is_refused=is_refused,
        largest=max(curve.sizes(), default=None),
    )


def _limit(curve: Curve, factor: float) -> float | None:
    alone = curve.service_p99_ms(curve.sizes()[0]) if len(curve) else None
    return None if alone is None else alone * factor


def _status(curve: Curve, *, is_generator_bound: bool) -> tuple[Status, str]:
    if not len(curve):
        if is_generator_bound:
            return Status.GENERATOR_BOUND, "the load generator was at its limit at every size"
        return Status.UNRESOLVED, "nothing was measured"
    knee = curve.knee()
    if not curve.is_bounded(knee):
        if is_generator_bound:
            return Status.GENERATOR_BOUND, "beyond the sizes that count the load generator was at its limit"
        return Status.LOWER_BOUND, curve.why_not_bounded(knee)
    if knee.high is None:
        return Status.UNRESOLVED, f"no size surely gives {curve.enough:.0%} of the peak: too noisy"
    return Status.BOUNDED, f"{knee.size} is the smallest size with {curve.enough:.0%} of {knee.peak_tps:,.0f}/s"
