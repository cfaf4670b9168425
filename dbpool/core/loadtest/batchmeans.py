"""The mean of a series whose neighbours resemble each other, with an honest interval.

Throughput in one second tells something about the next, so single seconds are not independent and an interval made
from them is too narrow. Means of longer and longer batches are, sooner or later.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean
from typing import Final

from dbpool.core.loadtest.intervals import CONFIDENCE, Interval, of_mean

FEWEST: Final = 10  # batches; below that their own correlation cannot be told
UNCORRELATED: Final = 0.1  # the lag-1 autocorrelation that counts as none, to either side: as in Ascar's documentation


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean, and as far as the series allows it, where it lies.

    ``interval`` is None for fewer than ten values. If not ``is_settled``, the batches were still correlated at their
    longest, and the true interval is likely to be wider.
    """

    value: float
    interval: Interval | None
    n_batches: int
    is_settled: bool


def batch_mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Mean:
    """The mean of at least one value, from batches just long enough to be uncorrelated.

    Give counts of tenths of a second rather than of seconds for a window of less than a minute: n values allow batches
    of up to n / 10, and ten batches look uncorrelated by mere chance only now and then.
    """
    batches: Sequence[float] = values
    is_settled = False
    for batches in batchings(values):
        if is_settled := abs(autocorrelation(batches)) <= UNCORRELATED:
            break
    interval = of_mean(batches, confidence) if len(batches) >= FEWEST else None
    return Mean(fmean(values), interval, len(batches), is_settled)


def batchings(values: Sequence[float]) -> Iterator[list[float]]:
    """The means of batches of 1, 2, 3 .. values, as long as there are ten of them; what is left over is the start."""
    for size in range(1, len(values) // FEWEST + 1):
        first = len(values) % size
        yield [fmean(values[at : at + size]) for at in range(first, len(values), size)]


def autocorrelation(values: Sequence[float]) -> float:
    """How much each of *values* tells of the next: -1 to 1; 0 where all are equal."""
    middle = fmean(values)
    off = [value - middle for value in values]
    spread = sum(each * each for each in off)
    return sum(one * following for one, following in pairwise(off)) / spread if spread else 0.0
