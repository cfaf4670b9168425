"""What was refused, and what failed, of a point."""

from __future__ import annotations

from collections import Counter

from dbpool.core.loadtest.refusals import is_limit
from dbpool.loadtest.point import Point


def refusals_of(point: Point) -> Counter[str]:
    """Connects that a limit refused, by which: those that a pool was told of, and those that a transaction was."""
    return Counter({label: count for label, count in failures_of(point).items() if is_limit(label)})


def failures_of(point: Point) -> Counter[str]:
    """Transactions that failed, and connects that did, by what results call the reason."""
    return _untold(point) + point.total.errors


def _untold(point: Point) -> Counter[str]:
    found: Counter[str] = Counter()
    for health in point.healths:
        found.update(health.refusals)
    return found
