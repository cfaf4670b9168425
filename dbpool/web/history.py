"""The last minutes of a pool, a number a second."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, fields
from typing import Final

from dbpool.stats import PoolStats

KEPT: Final = 300  # samples: five minutes


@dataclass(frozen=True, slots=True)
class Sample:
    """A moment: gauges as of then, rates since the sample before; None: there was none, or nothing to average."""

    at: float
    """Unix time, in seconds."""
    capacity: int
    limit: int
    held: int
    idle: int
    waiting: int
    oldest_wait_s: float
    mean_wait_s: float | None
    """Of those who were granted a connection since the sample before, with those who did not wait."""
    granted_per_s: float | None
    timeouts_per_s: float | None
    refused_per_s: float | None
    connect_failures_per_s: float | None


COLUMNS: Final = tuple(field.name for field in fields(Sample))


class History:
    """Samples, as many as are kept; rates begin with *stats*, as of *at*."""

    def __init__(self, stats: PoolStats, at: float) -> None:
        self.samples: deque[Sample] = deque(maxlen=KEPT)
        self._before, self._before_at = stats, at

    def take(self, stats: PoolStats, at: float) -> None:
        """Add the sample of *at*, Unix time."""
        before, elapsed_s = self._before, at - self._before_at
        self._before, self._before_at = stats, at

        def rate(counter: str) -> float | None:
            if elapsed_s <= 0:  # the clock was set
                return None
            grown: float = getattr(stats, counter) - getattr(before, counter)
            return max(0.0, grown) / elapsed_s

        granted, waited_s = rate("granted_total"), rate("waited_s_total")
        self.samples.append(
            Sample(
                at=at,
                capacity=stats.capacity,
                limit=stats.limit,
                held=stats.held,
                idle=stats.idle,
                waiting=stats.waiting,
                oldest_wait_s=stats.oldest_wait_s,
                mean_wait_s=waited_s / granted if granted and waited_s is not None else None,
                granted_per_s=granted,
                timeouts_per_s=rate("timeouts_total"),
                refused_per_s=rate("refused_total"),
                connect_failures_per_s=rate("connect_failures_total"),
            )
        )

    def columns(self, last: int = KEPT) -> dict[str, list[float | None]]:
        """The *last* samples by column, numbers rounded to what a plot can show."""
        samples = list(self.samples)[-last:]
        return {name: [_rounded(getattr(sample, name)) for sample in samples] for name in COLUMNS}


def _rounded(value: float | None) -> float | None:
    return round(value, 4) if isinstance(value, float) else value
