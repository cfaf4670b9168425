"""One measured point of a load test, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from math import ceil
from typing import Final

from dbpool.core.histogram import Histogram, merged
from dbpool.core.loadtest.batchmeans import Mean, batch_mean
from dbpool.core.loadtest.generatorbound import MOST_STARVED, reasons_for
from dbpool.core.loadtest.littleslaw import holds
from dbpool.core.loadtest.warmup import warmup_of
from dbpool.loadtest.generating.health import Health
from dbpool.loadtest.load import DriverName, Load, Target
from dbpool.loadtest.recording.tally import TENTHS, Outcome, Second, Series, Tally
from dbpool.loadtest.server.sampler import Sample

NS_PER_MS: Final = 1e6
NS_PER_S: Final = 1e9
LITTLE_AFTER_S: Final = 5.0  # before, what happens at the window's two ends is no small part of it


@dataclass(frozen=True, kw_only=True)
class Point:
    """A load on a target, and what it brought.

    Args:
        total: all that was due in the window.
        seconds: the same by second since the anchor, the warm-up and the drain included.
        ceiling_tps: what the same workers did without a server; None: not measured.
        is_complete: it was not stopped before its end.
        anchor_ns: when the load began, monotonic.
        is_local: the server runs on the generator's machine.
    """

    target: Target
    load: Load
    workers: int
    total: Tally
    seconds: list[Second]
    healths: list[Health]
    samples: list[Sample] = field(default_factory=list)
    ceiling_tps: float | None = None
    is_complete: bool = True
    anchor_ns: int = 0
    is_local: bool = False

    @cached_property
    def per_tenth(self) -> list[int]:
        """Completions in each whole tenth of a second of the window, as far as it went."""
        first = ceil(self.load.warmup_s * TENTHS - 1e-9)
        last = int((self.load.warmup_s + self.load.time_s) * TENTHS + 1e-9)
        if not self.is_complete:
            last = min(last, max(0, len(self.seconds) - 1) * TENTHS)
        return [self.total.completions[tenth] for tenth in range(first, last)]

    @property
    def window_s(self) -> float:
        """How much of the window there was."""
        return self.load.time_s if self.is_complete else len(self.per_tenth) / TENTHS

    @cached_property
    def tps(self) -> Mean | None:
        """Transactions that went well, a second; None: it was stopped before the window began."""
        return batch_mean([count * TENTHS for count in self.per_tenth]) if self.per_tenth else None

    def durations(self, series: Series) -> Histogram:
        return self.total.of(series)

    @cached_property
    def loop_lag(self) -> Histogram:
        """How late the workers' event loops were."""
        return merged(health.loop_lag for health in self.healths)

    @property
    def cpu(self) -> float | None:
        """Of the busiest worker, 1.0 for a whole processor."""
        return max((health.cpu for health in self.healths if health.cpu is not None), default=None)

    @property
    def starved(self) -> float | None:
        """Share of the time in which the worst-off worker could have run and others on its machine did."""
        return max((health.starved for health in self.healths if health.starved is not None), default=None)

    @property
    def in_flight(self) -> float | None:
        """Transactions under way, on average, all workers together."""
        seen = [health.in_flight for health in self.healths if health.in_flight is not None]
        return sum(seen) if seen else None

    @cached_property
    def bound_by_generator(self) -> list[str]:
        """Why the generator, not the server, may be what was measured; empty if it was not."""
        return list(
            reasons_for(
                cpu=self.cpu,
                lag=self.durations(Series.LAG),
                loop_lag=self.loop_lag,
                # a server that takes all processors of the machine that it shares with its load is at its limit
                starved=None if self.is_local else self.starved,
                response=self.durations(Series.RESPONSE),
                tps=0.0 if self.tps is None else self.tps.value,
                ceiling_tps=self.ceiling_tps,
            )
        )

    @property
    def is_suspect(self) -> bool:
        """Whether clients, throughput and time inside contradict Little's law: something was lost or doubled.

        It is not judged for an open load, whose clients vary too much, nor where transactions failed, of whose time
        inside there is no record; nor for noop, where most of the time is the generator's own.
        """
        response, release = self.durations(Series.RESPONSE), self.durations(Series.RELEASE)
        failed = self.total.counts[Outcome.ERROR] or self.total.counts[Outcome.TIMEOUT]
        is_noop = self.target.driver is DriverName.NOOP
        is_long_enough = self.is_complete and self.window_s >= LITTLE_AFTER_S
        is_judged = is_long_enough and not (self.load.is_open or failed or is_noop)
        if not is_judged or not self.in_flight or not self.window_s or not response.n:
            return False
        inside_s = ((response.mean or 0.0) + (release.mean or 0.0)) / NS_PER_S
        return not holds(self.in_flight, response.n / self.window_s, inside_s)

    @cached_property
    def flags(self) -> list[str]:
        """What is to be known before the figures are used."""
        warmup = warmup_of([float(count) for count in self.per_tenth])
        claims = {
            "incomplete": not self.is_complete,
            "generator_bound": bool(self.bound_by_generator),
            "starved": (self.starved or 0.0) > MOST_STARVED,
            "unsteady": warmup is not None and not warmup.is_steady,
            "suspect": self.is_suspect,
            "pool_sharded": self.workers > 1,
        }
        return [name for name, is_true in claims.items() if is_true]
