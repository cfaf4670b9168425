"""How exactly percentiles are known: a block bootstrap over the histograms of single seconds.

Requests of one second share what happened in it, and seconds resemble their neighbours, so an interval that takes each
request for independent (binomial ranks) is too narrow. Here blocks of whole seconds are drawn again, in a circle.
Politis and Romano: A circular block-resampling procedure for stationary data (1992); the length of a block is the cube
root of their number, after Hall, Horowitz and Jing: On blocking rules for the bootstrap (Biometrika 82, 1995).

Of 300 simulated runs, intervals that claim 95 % held the true median in 97 % for a minute of independent seconds, in
92 % where seconds resemble their neighbours by 0.4, in 81 % by 0.7 (single seconds, drawn alone: 97, 83 and 64 %). For
15 s it is 93, 82 and 63 %: too narrow still, as so short a run does not show how slowly it swings.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dbpool.core.histogram import Histogram, bounds_of, is_enough, merged
from dbpool.core.loadtest.intervals import CONFIDENCE, Interval

RESAMPLES: Final = 1000  # the ends of a 95 % interval then rest on 25 values each
AT_ONCE: Final = 100  # resamples: some megabytes
FEWEST: Final = 5  # seconds: with fewer there is next to nothing to draw from
MOST: Final = 120  # seconds are put together until there are no more than this, as the work grows with them

Numbers = NDArray[np.float64]


def quantile_intervals(
    seconds: Sequence[Histogram], shares: Sequence[float], *, seed: int, confidence: float = CONFIDENCE
) -> list[Interval | None]:
    """Where the quantile of each of *shares* (0 <= p < 1) lies, in ns; None for less than five seconds or too small n.

    Args:
        seconds: a histogram for each second in order, empty ones too; at 5,000 buckets and 60 s about 0.3 s of work.
        seed: the same seed gives the same intervals.
    """
    groups = _together(seconds)
    n = sum(each.n for each in groups)
    if len(groups) < FEWEST or not n:
        return [None] * len(shares)
    buckets, upto = _cumulated(groups)
    tops = np.array([bounds_of(int(bucket))[1] for bucket in buckets])
    weights = _weights(len(groups), np.random.default_rng(seed))
    found = np.empty((len(shares), len(weights)))
    for first in range(0, len(weights), AT_ONCE):
        drawn = weights[first : first + AT_ONCE] @ upto
        for at, p in enumerate(shares):
            ranks = np.maximum(1, np.ceil(p * drawn[:, -1] - 1e-6))
            found[at, first : first + AT_ONCE] = tops[np.minimum((drawn < ranks[:, None]).sum(axis=1), len(tops) - 1)]
    tail = (1 - confidence) / 2
    ends = np.quantile(found, [tail, 1 - tail], axis=1)
    return [
        Interval(float(low), float(high)) if is_enough(n, p) else None
        for p, low, high in zip(shares, ends[0], ends[1], strict=True)
    ]


def _together(seconds: Sequence[Histogram]) -> list[Histogram]:
    size = ceil(len(seconds) / MOST)
    if size <= 1:
        return list(seconds)
    return [merged(seconds[at : at + size]) for at in range(0, len(seconds), size)]


def _cumulated(groups: Sequence[Histogram]) -> tuple[NDArray[np.int64], Numbers]:
    """All buckets in use, ascending, and for each group how many values are in each of them or below."""
    columns = [each.columns() for each in groups]
    buckets = np.unique(np.concatenate([np.array(numbers, dtype=np.int64) for numbers, _ in columns]))
    counts = np.zeros((len(groups), len(buckets)))
    for row, (numbers, many) in zip(counts, columns, strict=True):
        row[np.searchsorted(buckets, np.array(numbers, dtype=np.int64))] = many
    return buckets, np.cumsum(counts, axis=1)


def _weights(groups: int, random: np.random.Generator) -> Numbers:
    """How often each resample has each group."""
    length = round(groups ** (1 / 3))
    starts = random.integers(0, groups, (RESAMPLES, ceil(groups / length), 1))
    drawn = ((starts + np.arange(length)) % groups).reshape(RESAMPLES, -1)[:, :groups]
    weights = np.zeros((RESAMPLES, groups))
    np.add.at(weights, (np.arange(RESAMPLES)[:, None], drawn), 1)
    return weights
