"""Which size to measure next, until it is known where throughput stops growing.

Not the rate but the number of connections is searched: each size settles, while a rate above what the server sustains
only grows a backlog. Sizes are doubled until there is nothing more to gain; then the gap below the knee is filled and
bisected; then the knee and its neighbours are measured again before it is believed. No measurement that is in doubt
ever becomes the edge of a bracket.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import Enum
from random import Random
from typing import TypeAlias

from dbpool.core.loadtest.curve import ENOUGH, NOISE, Curve, Knee, Observation, spread


class Status(Enum):
    """How far a knee can be trusted."""

    BOUNDED = "the knee lies within what was measured"
    LOWER_BOUND = "nothing that was measured shows where throughput stops growing: the knee may be larger"
    UNRESOLVED = "the measurements do not agree on a knee"
    GENERATOR_BOUND = "the load generator reached its limit before the server did"
    DRIFTING = "the server became faster or slower while it was measured"


class Why(Enum):
    """What a size is measured for."""

    GROW = "to find where throughput stops growing"
    FILL = "to close a gap near the knee"
    CONFIRM = "to measure the knee and its neighbours again"
    REFERENCE = "to see whether the server is still what it was"
    LATENCY = "to find the largest size within the latency limit"


@dataclass(frozen=True, slots=True)
class Probe:
    """A size to measure, and what for."""

    size: int
    why: Why


@dataclass(frozen=True, slots=True)
class Effort:
    """How long a search may take; the defaults come to 20 to 30 measurements for a knee between 8 and 64."""

    cap: int  # the largest size that may be measured
    smallest: int = 1  # several load processes have a connection each
    gain: float = 0.05  # a doubling that brings less brings nothing
    flat_doublings: int = 2  # so many of those in a row end the growth
    fill: int = 3  # sizes between the knee and the next smaller one, at once
    resolution: float = 0.1  # of the knee: how near the next smaller size must be
    rounds: int = 3  # of confirming
    repeats: int = 2  # of the knee, before it is believed
    reference_size: int = 4
    reference_every: int = 4  # measurements
    drift: float = 0.05  # of the reference's throughput
    most: int = 60  # measurements in all
    latency_limit_ms: float | None = None  # of service p99; None: latency_factor times that of size 1
    latency_factor: float = 3.0
    noise: float = NOISE
    enough: float = ENOUGH


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a search found.

    ``knee`` is None if the load generator or the server's drift left nothing to rely on. ``at_least``: the size up to
    which throughput is known to grow, 0 if not even that is known. ``latency_size``: the largest size whose service p99
    keeps to ``latency_limit_ms``, None if that is no smaller than the knee; 0: none keeps to it. ``is_refused``: the
    server let no more connections in than *largest*, the largest size measured.
    """

    status: Status
    why: str
    knee: Knee | None
    at_least: int
    latency_size: int | None
    latency_limit_ms: float | None
    measured: int
    is_refused: bool = False
    largest: int | None = None


class _End(Exception):
    def __init__(self, status: Status, why: str) -> None:
        super().__init__(why)
        self.status, self.why = status, why


Steps: TypeAlias = Generator[Probe, Observation, None]


class Search:
    """Ask for ``probe``, measure it, ``observe`` the result; when ``probe`` is None, ``outcome`` is final.

    Stopped earlier, ``outcome`` is UNRESOLVED, with what is known so far.
    """

    def __init__(self, effort: Effort, random: Random) -> None:
        self.effort = effort
        self.curve = Curve(noise=effort.noise, enough=effort.enough)
        self.cap = effort.cap
        """The largest size that the server has not refused yet."""
        self._random = random
        self._measured = 0
        self._since_reference = 0
        self._latency_size: int | None = None
        self._end: _End | None = None
        self._steps = self._all()
        self.probe: Probe | None = next(self._steps)

    def observe(self, observation: Observation) -> None:
        """Take the result of ``probe``, and find the next one.

        Raises:
            ValueError: it is of another size, or nothing was asked for.
        """
        if self.probe is None or observation.size != self.probe.size:
            raise ValueError(f"asked for {self.probe}, not for {observation.size}")
        try:
            self.probe = self._steps.send(observation)
        except StopIteration:
            self.probe = None

    @property
    def latency_limit_ms(self) -> float | None:
        """Of service p99; None until the smallest size is measured, or where it has none."""
        if self.effort.latency_limit_ms is not None:
            return self.effort.latency_limit_ms
        alone = self.curve.service_p99_ms(self.curve.sizes()[0]) if len(self.curve) else None
        return None if alone is None else alone * self.effort.latency_factor

    @property
    def outcome(self) -> Outcome:
        end = self._end or _End(Status.UNRESOLVED, "stopped before it was done")
        knee = self.curve.knee() if len(self.curve) and end.status is not Status.DRIFTING else None
        return Outcome(
            status=end.status,
            why=end.why,
            knee=None if end.status is Status.GENERATOR_BOUND else knee,
            at_least=knee.low if knee else 0,
            latency_size=self._latency_size,
            latency_limit_ms=self.latency_limit_ms,
            measured=self._measured,
            is_refused=self.cap < self.effort.cap,
            largest=max(self.curve.sizes(), default=None),
        )

    def _all(self) -> Steps:
        try:
            yield from self._grow()
            yield from self._fill()
            if self.curve.is_bounded(self.curve.knee()):
                yield from self._confirm()
            yield from self._within_latency()
            self._end = self._verdict()
        except _End as end:
            self._end = end

    def _verdict(self) -> _End:
        knee = self.curve.knee()
        if not self.curve.is_bounded(knee):
            return _End(Status.LOWER_BOUND, self.curve.why_not_bounded(knee))
        peak = f"{knee.peak_tps:,.0f}/s"
        return _End(Status.BOUNDED, f"{knee.size} is the smallest size with {self.effort.enough:.0%} of {peak}")

    def _grow(self) -> Steps:
        size, best, flat = min(self.effort.smallest, self.cap), 0.0, 0
        while True:
            yield from self._measure(size, Why.GROW)
            if size not in self.curve:  # refused
                if not len(self.curve):
                    raise _End(Status.UNRESOLVED, "the server refused even the first connection")
                yield from self._find_cap()
                return
            tps = self.curve.estimate(size).tps
            if tps < best * (1 - self.effort.gain):
                return
            flat = flat + 1 if tps < best * (1 + self.effort.gain) else 0
            if flat == self.effort.flat_doublings or size == self.cap:
                return
            size, best = min(2 * size, self.cap), max(best, tps)

    def _find_cap(self) -> Steps:
        """Halve the gap between the largest size that was let in and the smallest that was not, if that may matter."""
        while (largest := self.curve.sizes()[-1]) < self.cap and not self.curve.is_bounded(self.curve.knee()):
            yield from self._measure((largest + self.cap + 1) // 2, Why.GROW)

    def _fill(self) -> Steps:
        knee = self.curve.knee()
        low, high = self.curve.below(knee.size) or knee.size, self.curve.above(knee.size) or knee.size
        # a peak between two doublings shows only from above
        both = spread(low, knee.size, self.effort.fill) + spread(knee.size, high, self.effort.fill // 2)
        yield from self._measure_all(both, Why.FILL)
        yield from self._close_gap()

    def _close_gap(self) -> Steps:
        while True:
            size = self.curve.knee().size
            below = self.curve.below(size)
            if below is None or size - below <= self._resolution(size):
                return
            yield from self._measure((size + below) // 2, Why.FILL)

    def _confirm(self) -> Steps:
        for _ in range(max(self.effort.rounds, self.effort.repeats)):
            yield from self._close_gap()  # where the last round moved the knee
            size = self.curve.knee().size
            around = [self.curve.below(size), size, self.curve.above(size)]
            yield from self._measure_all([each for each in around if each is not None], Why.CONFIRM)
            again = self.curve.knee()
            # on a flat top the knee wanders; that it does so within its range is what the range says
            near = self._resolution(size)
            is_settled = again.high is not None and (
                min(again.low, again.size - near) <= size <= max(again.high, again.size + near)
            )
            if is_settled and self.curve.estimate(again.size).repeats >= self.effort.repeats:
                return
        if is_settled:
            return
        if again.high is None:
            raise _End(Status.UNRESOLVED, f"no size surely gives {self.effort.enough:.0%} of the peak: too noisy")
        raise _End(Status.UNRESOLVED, f"measured again, the knee was {again.size}, before that {size}")

    def _within_latency(self) -> Steps:
        limit_ms = self.latency_limit_ms
        while limit_ms is not None:
            over = self.curve.first_over(limit_ms)
            if over is None or over > self.curve.knee().size:
                self._latency_size = None
                return
            below = self._latency_size = self.curve.below(over) or 0
            if self.curve.estimate(over).repeats < self.effort.repeats:  # a hiccup is no limit
                yield from self._measure(over, Why.LATENCY)
            elif over - below <= max(1, self._resolution(over)):
                return
            else:
                yield from self._measure((over + below) // 2, Why.LATENCY)

    def _measure_all(self, sizes: Iterable[int], why: Why) -> Steps:
        """In random order, so that a server that changes steadily does not look like a curve."""
        mixed = list(sizes)
        self._random.shuffle(mixed)
        for size in mixed:
            yield from self._measure(size, why)

    def _measure(self, size: int, why: Why) -> Steps:
        yield from self._look_for_drift()
        observation = yield from self._observed(Probe(size, why))
        self._since_reference += 1
        if observation.is_refused:
            self.cap = min(self.cap, size - 1)
        else:
            self.curve.add(observation)

    def _look_for_drift(self) -> Steps:
        size = min(self.effort.reference_size, self.cap)
        if self._since_reference < self.effort.reference_every or size not in self.curve:
            return
        for _ in range(2):  # a hiccup is no drift: what drifts does so twice
            self._since_reference = 0
            observation = yield from self._observed(Probe(size, Why.REFERENCE))
            if not self._is_off(observation):
                self.curve.add(observation)
                return
        before = self.curve.first(size).tps
        raise _End(Status.DRIFTING, f"size {size} gave {before:,.0f}/s at first and {observation.tps:,.0f}/s later")

    def _is_off(self, observation: Observation) -> bool:
        before, now = self.curve.first(observation.size), self.curve.alone(observation)
        is_far = abs(now.tps - before.tps) > self.effort.drift * before.tps
        return observation.is_refused or (is_far and not now.interval.overlaps(before.interval))

    def _observed(self, probe: Probe) -> Generator[Probe, Observation, Observation]:
        for _ in range(2):  # one pause of the garbage collector is not the generator's limit
            if self._measured >= self.effort.most:
                raise _End(Status.UNRESOLVED, f"{self._measured} measurements were not enough")
            observation = yield probe
            self._measured += 1
            if not observation.is_generator_bound:
                return observation
        raise _End(Status.GENERATOR_BOUND, f"at size {probe.size} the load generator was at its limit, twice in a row")

    def _resolution(self, size: int) -> int:
        return max(1, int(size * self.effort.resolution))
