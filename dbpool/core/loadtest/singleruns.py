"""Whether one run was better than another where each was measured too seldom to show how much runs differ.

How exactly a mean is known within a run says nothing about the next run: the server's cache, its checkpoints and what
else goes on differ. So the noise between runs is put on top, as calibration found it or as is usual.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist, fmean

from dbpool.core.loadtest.comparison import Comparison, Verdict
from dbpool.core.loadtest.curve import TWO_SIDED
from dbpool.core.loadtest.intervals import CONFIDENCE, Interval, around


@dataclass(frozen=True, slots=True)
class Known:
    """A mean > 0 and its 95 % interval within the run."""

    value: float
    interval: Interval


def compare_known(
    before: Sequence[Known],
    after: Sequence[Known],
    *,
    noise: float,
    higher_is_better: bool,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare at least one mean of each of two runs; *noise* > 0 is the coefficient of variation between runs.

    By the normal distribution, as if the noise were known exactly: it is not, which is why repeats are better.
    """
    (one, one_off), (other, other_off) = _mean(before, noise), _mean(after, noise)
    ratio = other / one
    p_value = 2 * NormalDist().cdf(-abs(other - one) / sqrt(one_off**2 + other_off**2))
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    interval = around(ratio, z * ratio * sqrt((one_off / one) ** 2 + (other_off / other) ** 2))
    if p_value >= 1 - confidence:
        verdict = Verdict.NO_DIFFERENCE
    else:
        verdict = Verdict.BETTER if (ratio > 1) == higher_is_better else Verdict.WORSE
    return Comparison(ratio, interval, p_value, verdict)


def _mean(known: Sequence[Known], noise: float) -> tuple[float, float]:
    """The mean of all, with its standard error."""
    mean = fmean(each.value for each in known)
    within = fmean((each.interval.half / TWO_SIDED) ** 2 for each in known)
    return mean, sqrt((within + (noise * mean) ** 2) / len(known))
