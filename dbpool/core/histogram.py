"""Counts of durations in log-linear buckets: 3 significant digits from 1 ns to as long as it takes.

The layout is that of HdrHistogram (hdrhistogram.org) with lowest value 1 and 3 significant digits: whole numbers up to
2,047 have a bucket each, and above that each power of two is cut into 1,024, so that a bucket is at most 1/1024 of its
value wide. Only buckets with something in them take memory: about 100 bytes each, some thousands of them in practice.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate
from math import ceil, nextafter

HALF_BITS = 10
HALF = 1 << HALF_BITS  # buckets to a power of two
FULL_BITS = HALF_BITS + 1
SINGLE = (1 << FULL_BITS) - 1  # the largest value with a bucket of its own
BEYOND = 10  # values that must lie above a quantile before it is more than a guess at the maximum


def bucket_of(value: int) -> int:
    """The number of the bucket that a *value* >= 0 falls into."""
    if value <= SINGLE:
        return value
    shift = value.bit_length() - FULL_BITS
    return (shift << HALF_BITS) + (value >> shift)


def bounds_of(bucket: int) -> tuple[int, int]:
    """The lowest value in *bucket*, then the highest."""
    shift = max((bucket >> HALF_BITS) - 1, 0)
    lowest = (bucket - (shift << HALF_BITS)) << shift
    return lowest, lowest + (1 << shift) - 1


def is_enough(n: int, p: float) -> bool:
    """Whether *n* values tell their quantile *p*, 0 <= p < 1: n >= 10 / (1 - p), so 1,000 for p99.

    With fewer, "p99" is little else than the maximum.
    """
    return round(n * (1 - p), 6) >= BEYOND  # 100,000 * (1 - 0.9999) comes out a little below 10


class Histogram:
    """How often which durations came; all in whole nanoseconds.

    The mean, the minimum and the maximum are exact; a quantile is off by less than 1/1024 of itself.
    """

    __slots__ = ("_counts", "_max", "_min", "n", "total")

    def __init__(self, values: Sequence[int] = ()) -> None:
        self._counts: Counter[int] = Counter()
        self._min = self._max = 0
        self.n = 0
        self.total = 0
        self.add(values)

    @classmethod
    def of_counts(cls, counts: Mapping[int, int]) -> Histogram:
        """The histogram of values of which nothing is known but how many, > 0, are in each bucket.

        Its mean takes each value to lie in the middle of its bucket, its minimum is the lowest value of the first
        bucket, its maximum the highest of the last.
        """
        made = cls()
        if counts:
            made._counts.update(counts)
            made.n = sum(counts.values())
            made.total = sum(sum(bounds_of(bucket)) * count for bucket, count in counts.items()) // 2
            made._min = bounds_of(min(counts))[0]
            made._max = bounds_of(max(counts))[1]
        return made

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Histogram):
            return NotImplemented
        return self._counts == other._counts and self._exact() == other._exact()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Histogram(n={self.n}, min={self.min}, mean={self.mean}, max={self.max})"

    def _exact(self) -> tuple[int, int, int]:
        return self.total, self._min, self._max

    @property
    def min(self) -> int | None:
        return self._min if self.n else None

    @property
    def max(self) -> int | None:
        return self._max if self.n else None

    @property
    def mean(self) -> float | None:
        return self.total / self.n if self.n else None

    def add(self, values: Sequence[int]) -> None:
        """Count *values*, best many at once (once a second): about 0.2 us each, in an ``array('q')`` or a list.

        Raises:
            ValueError: one is below 0; none is counted.
        """
        if not len(values):
            return
        self._widen(min(values), max(values))
        self.n += len(values)
        self.total += sum(values)
        full, half, single = FULL_BITS, HALF_BITS, SINGLE  # written out, as a call for each value takes twice as long
        self._counts.update(
            [
                value if value <= single else ((shift := value.bit_length() - full) << half) + (value >> shift)
                for value in values
            ]
        )

    def merge(self, other: Histogram) -> None:
        """Count all that *other* counts, exactly as if its values had been added here."""
        if not other.n:
            return
        self._widen(other._min, other._max)
        self.n += other.n
        self.total += other.total
        counts = self._counts
        for bucket, count in other._counts.items():
            counts[bucket] += count

    def _widen(self, lowest: int, highest: int) -> None:
        if lowest < 0:
            raise ValueError(f"a duration cannot be {lowest} ns: take both its ends from one monotonic clock")
        self._min = min(self._min, lowest) if self.n else lowest
        self._max = max(self._max, highest)

    def quantile(self, p: float) -> int | None:
        """The value that a share *p*, 0 <= p < 1, does not exceed; None if ``is_enough`` says that n is too small."""
        return self.quantiles([p])[0]

    def quantiles(self, shares: Iterable[float]) -> list[int | None]:
        """``quantile`` of each of *shares*, in one pass.

        Raises:
            ValueError: a share is not in 0 <= p < 1; the quantile of 1 is ``max``.
        """
        buckets, counts = self.columns()
        upto = list(accumulate(counts))
        return [self._at(p, buckets, upto) if is_enough(self.n, _share(p)) else None for p in shares]

    def _at(self, p: float, buckets: Sequence[int], upto: Sequence[int]) -> int:
        rank = max(1, ceil(nextafter(p * self.n, 0)))  # 0.07 * 100 is a little more than 7, and means the 7th
        return min(bounds_of(buckets[bisect_left(upto, rank)])[1], self._max)

    def columns(self) -> tuple[array[int], array[int]]:
        """The buckets with something in them, ascending, and the count of each."""
        pairs = sorted(self._counts.items())
        return array("q", (bucket for bucket, _ in pairs)), array("q", (count for _, count in pairs))


def _share(p: float) -> float:
    if not 0 <= p < 1:
        raise ValueError(f"a quantile's share must be at least 0 and below 1, not {p!r}; the quantile of 1 is max")
    return p


def merged(histograms: Iterable[Histogram]) -> Histogram:
    """All of them together."""
    together = Histogram()
    for each in histograms:
        together.merge(each)
    return together
