"""Intervals that a quantity lies in, at a stated confidence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean, stdev
from typing import Final

from dbpool.core.loadtest.student import t_quantile

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Interval:
    """From *low* to *high*, both included."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    @property
    def half(self) -> float:
        return (self.high - self.low) / 2

    def overlaps(self, other: Interval) -> bool:
        return self.low <= other.high and other.low <= self.high


def around(middle: float, half: float) -> Interval:
    """``middle - half`` to ``middle + half``."""
    return Interval(middle - half, middle + half)


def of_mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Interval | None:
    """Where the mean that independent *values* vary about lies (Student's t); None for fewer than two."""
    n = len(values)
    if n < 2:
        return None
    return around(fmean(values), t_quantile((1 + confidence) / 2, n - 1) * stdev(values) / sqrt(n))


def of_share(hits: int, n: int, confidence: float = CONFIDENCE) -> Interval | None:
    """Where the share lies of which *hits* of *n* independent trials are a sample; None for no trial.

    Wilson's score interval (JASA 22, 1927): unlike the textbook's, sensible for 0 of n too.
    """
    if not n:
        return None
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share, spread = hits / n, z * z / n
    middle = (share + spread / 2) / (1 + spread)
    half = z * sqrt(share * (1 - share) / n + spread / (4 * n)) / (1 + spread)
    # rounding must not put 0 of n above 0, nor n of n below 1
    return Interval(max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < n else 1.0)
