"""Throughput against size, as measured so far: where it stops growing, and how sure that is."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import fmean, median_low
from typing import Final

from dbpool.core.loadtest.intervals import Interval, around, of_mean

ENOUGH: Final = 0.95  # of the peak's throughput: what is beyond costs more connections than it brings
NOISE: Final = 0.03  # how much repeats of one point vary, where calibration has not told
TWO_SIDED: Final = 1.96  # standard errors to 95 %


@dataclass(frozen=True, slots=True)
class Observation:
    """What one run of one size gave.

    ``interval`` is that of the mean throughput within the run, None if unknown. ``is_generator_bound``: the load
    generator was at its limit, so the server's was not seen. ``is_refused``: the server took no more connections.
    """

    size: int
    tps: float
    interval: Interval | None = None
    service_p99_ms: float | None = None
    is_generator_bound: bool = False
    is_refused: bool = False


@dataclass(frozen=True, slots=True)
class Estimate:
    """The throughput of one size, from all its *repeats*."""

    tps: float
    interval: Interval
    repeats: int


@dataclass(frozen=True, slots=True)
class Knee:
    """The smallest *size* that gives 95 % of the peak's throughput.

    It may be as small as *low*, one above the largest measured size that is surely below 95 %, and is at most *high*,
    the smallest that is surely above; None: no size is.
    """

    size: int
    low: int
    high: int | None
    tps: float
    peak_tps: float


class Curve:
    """The observations, by size."""

    def __init__(self, *, noise: float = NOISE, enough: float = ENOUGH) -> None:
        """Start with nothing measured.

        Args:
            noise: the coefficient of variation between repeats of one point; no interval is narrower than that allows.
        """
        self.noise = noise
        self.enough = enough
        self._observed: defaultdict[int, list[Observation]] = defaultdict(list)

    def __len__(self) -> int:
        """How many observations there are."""
        return sum(map(len, self._observed.values()))

    def __contains__(self, size: int) -> bool:
        return size in self._observed

    def add(self, observation: Observation) -> None:
        self._observed[observation.size].append(observation)

    def sizes(self) -> list[int]:
        return sorted(self._observed)

    def below(self, size: int) -> int | None:
        """The next smaller size that was measured."""
        return max((each for each in self._observed if each < size), default=None)

    def above(self, size: int) -> int | None:
        """The next larger size that was measured."""
        return min((each for each in self._observed if each > size), default=None)

    def first(self, size: int) -> Estimate:
        """What the first observation of *size*, taken alone, says."""
        return self._estimate(self._observed[size][:1])

    def estimate(self, size: int) -> Estimate:
        """The throughput of a measured *size*."""
        return self._estimate(self._observed[size])

    def alone(self, observation: Observation) -> Estimate:
        """What *observation*, taken alone, says."""
        return self._estimate([observation])

    def _estimate(self, observed: list[Observation]) -> Estimate:
        """From three repeats on their own spread counts: what differs between runs is not seen within one."""
        repeats = len(observed)
        tps = fmean(each.tps for each in observed)
        halves = [each.interval.half if each.interval else 0.0 for each in observed]
        within = sqrt(fmean(half * half for half in halves))
        between = of_mean([each.tps for each in observed]) if repeats >= 3 else None
        half = max(between.half if between else within / sqrt(repeats), TWO_SIDED * self.noise * tps / sqrt(repeats))
        return Estimate(tps, around(tps, half), repeats)

    def service_p99_ms(self, size: int) -> float | None:
        """The mean over the repeats of a measured *size*, None where none has one."""
        known = [each.service_p99_ms for each in self._observed[size] if each.service_p99_ms is not None]
        return fmean(known) if known else None

    def knee(self) -> Knee:
        """Where the measured curve, of at least one size, stops growing."""
        estimates = {size: self.estimate(size) for size in self.sizes()}
        best = max(estimates.values(), key=lambda each: each.tps)
        # the best of many is the luckiest: all that could be as good tell together how high the top is
        peak = fmean(each.tps for each in estimates.values() if each.tps >= best.interval.low)
        line = self.enough * peak
        size = next(size for size, each in estimates.items() if each.tps >= line)
        return Knee(
            size=size,
            low=1
            + max((each for each in estimates if each < size and estimates[each].interval.high < line), default=0),
            high=next((size for size, each in estimates.items() if each.interval.low >= line), None),
            tps=estimates[size].tps,
            peak_tps=peak,
        )

    def is_bounded(self, knee: Knee) -> bool:
        """Whether something was measured that shows that there is nothing to gain above *knee*.

        That is twice its size, or a size above it that is surely worse.
        """
        beyond = [size for size in self._observed if size > knee.size]
        return any(size >= 2 * knee.size for size in beyond) or any(
            self.estimate(size).interval.high < self.enough * knee.peak_tps for size in beyond
        )

    def why_not_bounded(self, knee: Knee) -> str:
        """In words: it grew to the end, or what was measured beyond *knee* is too little to tell."""
        largest = self.sizes()[-1]
        if largest == knee.size:
            return f"throughput still grew at {largest}, the largest size"
        return f"{largest}, the largest size, is less than twice {knee.size}, from which on throughput hardly grew"

    def first_over(self, limit_ms: float) -> int | None:
        """The smallest measured size whose service p99 is over *limit_ms* in most repeats; once may be a hiccup."""
        for size in self.sizes():
            known = [each.service_p99_ms for each in self._observed[size] if each.service_p99_ms is not None]
            if known and median_low(known) > limit_ms:
                return size
        return None


def spread(low: int, high: int, many: int) -> list[int]:
    """Up to *many* whole numbers between *low* and *high*, evenly spaced, without either."""
    steps = [round(low + (high - low) * at / (many + 1)) for at in range(many + 2)]
    return [one for before, one in pairwise(steps) if before < one < high]
