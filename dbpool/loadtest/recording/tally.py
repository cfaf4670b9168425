"""Counts of transactions by outcome, with their durations in histograms."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from dbpool.core.histogram import Histogram

TENTHS: Final = 10  # of a second, in which completions are counted


class Series(StrEnum):
    """The durations that are kept, each from one stamp to another."""

    RESPONSE = "response"  # due until done: what a user waits
    SERVICE = "service"  # connection in hand until done: what a tool reports that times from sending, "uncorrected"
    GATE_WAIT = "gate_wait"  # started until allowed to have a connection
    ACQUIRE = "acquire"  # allowed until in hand
    RELEASE = "release"  # done until given back
    LAG = "lag"  # due until started: the generator's own lateness


class Outcome(StrEnum):
    """What became of a transaction."""

    OK = "ok"
    LATE = "late"  # ok or timed out, but beyond the latency limit: counted besides
    SKIPPED = "skipped"  # due so long ago that it was not begun
    DROPPED = "dropped"  # as many as may be in flight were
    TIMEOUT = "timeout"
    ERROR = "error"  # which, stands in ``errors``
    RETRIED = "retried"  # tried more than once, whatever came of it: counted besides
    RETRIES = "retries"  # the tries of those after their first


BESIDES: Final = (Outcome.LATE, Outcome.RETRIED, Outcome.RETRIES)
"""What is said of transactions that have an outcome of their own."""


@dataclass(frozen=True, slots=True)
class Second:
    """One second of a load, small enough to keep hours of them: some 20 kB, where a tally has a megabyte.

    *buckets* and *bucket_counts* are the columns of the histogram of responses, *response_max* is in ns; *rss_mb* is
    the memory of all workers at its end, None where it is not known.
    """

    counts: Counter[str]
    completed: int
    buckets: array[int]
    bucket_counts: array[int]
    response_max: int | None
    rss_mb: float | None = None

    @property
    def response(self) -> Histogram:
        """The responses: quantiles are right, its mean and extremes only as exact as a bucket is wide."""
        return Histogram.of_counts(dict(zip(self.buckets, self.bucket_counts, strict=True)))


@dataclass(slots=True)
class Tally:
    """All that one second, one worker or one point of a load brought.

    ``completions`` are those that went well, by the tenth of a second since the anchor in which they ended, also of
    transactions outside the window; all the rest is of those that were due inside.
    """

    counts: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    durations: dict[str, Histogram] = field(default_factory=dict)
    completions: Counter[int] = field(default_factory=Counter)

    def add(self, series: Series, values: list[int]) -> None:
        """Count durations, in ns."""
        if series not in self.durations:
            self.durations[series] = Histogram()
        self.durations[series].add(values)

    def of(self, series: Series) -> Histogram:
        """The durations of *series*; empty where there are none."""
        return self.durations.get(series) or Histogram()

    def merge(self, other: Tally) -> None:
        """Count all that *other* counts."""
        self.counts.update(other.counts)
        self.errors.update(other.errors)
        self.completions.update(other.completions)
        for name, histogram in other.durations.items():
            if name not in self.durations:
                self.durations[name] = Histogram()
            self.durations[name].merge(histogram)

    def second(self) -> Second:
        """What is kept of it, if it is one second's, when it has been merged with the others."""
        response = self.of(Series.RESPONSE)
        return Second(Counter(self.counts), sum(self.completions.values()), *response.columns(), response.max)

    @property
    def due(self) -> int:
        """Transactions that were due in the window, whatever became of them."""
        return sum(count for name, count in self.counts.items() if name not in BESIDES)

    def rate(self, outcome: Outcome) -> float | None:
        """The share of what was due that ended so; None if nothing was due."""
        return self.counts[outcome] / self.due if self.due else None


def merged(tallies: Iterable[Tally]) -> Tally:
    """All of them together."""
    together = Tally()
    for tally in tallies:
        together.merge(tally)
    return together
