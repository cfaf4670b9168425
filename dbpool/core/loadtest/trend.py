"""Whether a long series rises or falls: its slope, with an interval."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean
from typing import Final

from dbpool.core.loadtest.batchmeans import UNCORRELATED, autocorrelation, batchings
from dbpool.core.loadtest.intervals import CONFIDENCE, Interval, around
from dbpool.core.loadtest.student import t_quantile

HOUR_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Trend:
    """What a series gains in an hour, and where that lies.

    If not ``is_settled``, what the line leaves unexplained was still correlated (it swings, or is not a line), and the
    true interval is likely to be wider.
    """

    per_hour: float
    interval: Interval
    is_settled: bool

    @property
    def is_shown(self) -> bool:
        """Whether the series surely does not stay where it is."""
        return self.is_settled and 0 not in self.interval


def trend_of(values: Sequence[float], spacing_s: float, confidence: float = CONFIDENCE) -> Trend | None:
    """The slope of *values*, taken every *spacing_s* seconds, by least squares; None for fewer than ten.

    As for ``batch_mean``, the values are put together in longer and longer batches until what the line leaves over is
    uncorrelated: p99 or memory of one second tells something about the next.
    """
    batches: Sequence[float] = ()
    is_settled = False
    for batches in batchings(values):
        slope, off = _line(batches)
        if is_settled := abs(autocorrelation(off)) <= UNCORRELATED:
            break
    if not batches:
        return None
    n, batch_s = len(batches), spacing_s * (len(values) // len(batches))
    spread = sum(each * each for each in off) / (n - 2)
    half = t_quantile((1 + confidence) / 2, n - 2) * sqrt(spread * 12 / (n * (n * n - 1)))
    per_hour = slope * HOUR_S / batch_s
    return Trend(per_hour, around(per_hour, half * HOUR_S / batch_s), is_settled)


def _line(values: Sequence[float]) -> tuple[float, list[float]]:
    """The slope from one of *values* to the next, then how far each is from the line."""
    n = len(values)
    middle, centre = fmean(values), (n - 1) / 2
    slope = sum((at - centre) * (value - middle) for at, value in enumerate(values)) * 12 / (n * (n * n - 1))
    return slope, [value - middle - slope * (at - centre) for at, value in enumerate(values)]
