"""Whether one run was better than another, or merely luckier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from enum import Enum
from math import sqrt
from random import Random
from statistics import fmean, variance
from typing import Final

from dbpool.core.loadtest.intervals import CONFIDENCE, Interval
from dbpool.core.loadtest.student import t_cdf

RESAMPLES: Final = 2000  # the ends of a 95 % interval then rest on 50 values each


class Verdict(Enum):
    """What the numbers allow one to say of the later run."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference shown"
    UNKNOWN = "too few repeats to tell"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The later run's mean as a multiple of the earlier one's.

    ``p_value``: how often a difference like this comes by chance. It and ``interval`` are None for UNKNOWN.
    """

    ratio: float
    interval: Interval | None
    p_value: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Conditions:
    """What must be the same for two runs to be comparable."""

    workload: str
    scale: int
    server_version: str
    is_sharded: bool  # several workers with a pool each wait differently from one

    def differences(self, other: Conditions) -> list[str]:
        """What is not the same, each in words; empty where two runs may be compared."""
        pairs = [(field.name, getattr(self, field.name), getattr(other, field.name)) for field in fields(self)]
        return [f"{name.replace('_', ' ')}: {one} and {two}" for name, one, two in pairs if one != two]


def compare(
    before: Sequence[float],
    after: Sequence[float],
    *,
    higher_is_better: bool,
    random: Random,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare a quantity > 0 that was measured at least once in each of two runs; best the means of three repeats each.

    Welch's test decides. The interval of the ratio is a bootstrap's, which of few repeats is too narrow: it may leave
    out 1 where no difference is shown.
    """
    ratio = fmean(after) / fmean(before)
    if min(len(before), len(after)) < 2:
        return Comparison(ratio, None, None, Verdict.UNKNOWN)
    p_value = welch(before, after)
    interval = _ratio_interval(before, after, random, confidence)
    if p_value >= 1 - confidence:
        verdict = Verdict.NO_DIFFERENCE
    else:
        verdict = Verdict.BETTER if (ratio > 1) == higher_is_better else Verdict.WORSE
    return Comparison(ratio, interval, p_value, verdict)


def welch(one: Sequence[float], other: Sequence[float]) -> float:
    """How often two samples of at least two values differ as much by chance, if their true means are the same.

    B. L. Welch: The generalization of "Student's" problem (Biometrika 34, 1947); the spreads may differ.
    """
    a, b = variance(one) / len(one), variance(other) / len(other)
    difference = abs(fmean(one) - fmean(other))
    if not a + b:
        return 0.0 if difference else 1.0
    df = (a + b) ** 2 / (a * a / (len(one) - 1) + b * b / (len(other) - 1))
    return 2 * t_cdf(-difference / sqrt(a + b), df)


def _ratio_interval(before: Sequence[float], after: Sequence[float], random: Random, confidence: float) -> Interval:
    ratios = sorted(
        fmean(random.choices(after, k=len(after))) / fmean(random.choices(before, k=len(before)))
        for _ in range(RESAMPLES)
    )
    tail = round(RESAMPLES * (1 - confidence) / 2)
    return Interval(ratios[tail], ratios[-1 - tail])
