"""The Universal Scalability Law, as an explanation of a curve, and when it is none.

X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1)): N. J. Gunther, Guerrilla Capacity Planning (2007). sigma is the
share of work that is done by one at a time, kappa what each pair costs to be kept in step. Where the law holds the peak
is at N* = sqrt((1 - sigma) / kappa). It sets nothing here: on the flat plateau of a simulated 8-core server, whose knee
is 11, its N* is 29; on sweeps that end at 12, with 1 % noise, it is anything from 23 to 51 where the truth is 32.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import curve_fit

from dbpool.core.loadtest.intervals import CONFIDENCE, Interval, around
from dbpool.core.loadtest.student import t_quantile

FEWEST: Final = 6  # points, for N* to mean something
BEYOND: Final = 1.3  # times N*: how far the points must go
MISFIT: Final = 0.10  # of a point's throughput: more at any of them, and the law is not that of this server
DRAWS: Final = 2000
NEXT_TO_NOTHING: Final = 1e-9  # of sigma: the solver does not return 0
LEAST: Final = 4  # points: three parameters fit three points whatever they are

Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Point:
    """A sustained measurement: neither of a generator at its limit nor with errors. ``half`` of its interval, if known.

    Weights are taken from ``half`` only if all points have one.
    """

    size: int
    tps: float
    half: float | None = None


@dataclass(frozen=True, slots=True)
class Usl:
    """A fit. ``peak_size`` (N*) is None if the fitted curve has no peak; it means something only if ``is_valid``.

    ``peak_interval`` is None too where kappa may be 0, so that there may be no peak.
    ``misfit``: the largest distance from a point, as a share of its throughput. ``why_not``: in words, empty if valid.
    """

    lambda_: float
    sigma: float
    kappa: float
    kappa_interval: Interval
    misfit: float
    peak_size: float | None
    peak_interval: Interval | None
    why_not: tuple[str, ...]

    @property
    def is_valid(self) -> bool:
        return not self.why_not

    @property
    def ceiling(self) -> float | None:
        """Amdahl's limit, lambda / sigma: what could be had if nothing had to be kept in step; None: no limit."""
        return self.lambda_ / self.sigma if self.sigma > NEXT_TO_NOTHING else None

    def tps_at(self, size: float) -> float:
        """The curve, for a plot."""
        return self.lambda_ * size / (1 + self.sigma * (size - 1) + self.kappa * size * (size - 1))


def fit(points: Sequence[Point], *, seed: int, confidence: float = CONFIDENCE) -> Usl | None:
    """Fit the law by weighted least squares with 0 <= sigma, kappa <= 1; None for fewer than four sizes, or no fit.

    Args:
        seed: of the draws that give N* its interval.
    """
    if len({point.size for point in points}) < LEAST:
        return None
    sizes = np.array([point.size for point in points], dtype=np.float64)
    tps = np.array([point.tps for point in points], dtype=np.float64)
    scale = float(tps.max())  # all numbers near 1: the solver's tolerances are made for those
    if not scale > 0:
        return None
    halves = [point.half for point in points]
    weights = np.array(halves, dtype=np.float64) / scale if all(halves) else None
    try:
        found, covariance = curve_fit(
            _law, sizes, tps / scale, _start(sizes, tps / scale), weights, bounds=([0, 0, 0], [np.inf, 1, 1])
        )
    except RuntimeError:  # it did not converge
        return None
    kappa_half = t_quantile((1 + confidence) / 2, len(points) - 3) * sqrt(covariance[2][2])
    peak_size = sqrt((1 - found[1]) / found[2]) if found[2] > 0 else None
    misfit = float(np.max(np.abs(_law(sizes, *found) * scale - tps) / tps)) if tps.min() > 0 else float("inf")
    kappa_interval = around(float(found[2]), kappa_half)
    return Usl(
        lambda_=float(found[0]) * scale,
        sigma=float(found[1]),
        kappa=float(found[2]),
        kappa_interval=kappa_interval,
        misfit=misfit,
        peak_size=peak_size,
        peak_interval=_peak_interval(found, covariance, seed, confidence) if kappa_interval.low > 0 else None,
        why_not=tuple(_why_not(points, peak_size, misfit, kappa_interval)),
    )


def _law(size: Numbers, lambda_: float, sigma: float, kappa: float) -> Numbers:
    return lambda_ * size / (1 + sigma * (size - 1) + kappa * size * (size - 1))


def _start(sizes: Numbers, tps: Numbers) -> Numbers:
    """The law is linear in N / X. As a fit that halves sigma, but it is near enough to begin with."""
    terms = np.column_stack([np.ones_like(sizes), sizes - 1, sizes * (sizes - 1)])
    (one, sigma, kappa), *_ = np.linalg.lstsq(terms, sizes / np.maximum(tps, 1e-9), rcond=None)
    lambda_ = 1 / one if one > 0 else float((tps / sizes).max())
    return np.array([lambda_, np.clip(sigma * lambda_, 0, 1), np.clip(kappa * lambda_, 0, 1)])


def _peak_interval(found: Numbers, covariance: Numbers, seed: int, confidence: float) -> Interval:
    draws = np.random.default_rng(seed).multivariate_normal(found, covariance, DRAWS)
    sigma, kappa = draws[:, 1], draws[:, 2]
    peaks = np.sqrt(np.maximum(1 - sigma, 0) / np.maximum(kappa, 1e-12))
    low, high = np.quantile(peaks, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Interval(float(low), float(high))


def _why_not(points: Sequence[Point], peak_size: float | None, misfit: float, kappa: Interval) -> list[str]:
    sizes = {point.size for point in points}
    told = []
    if len(sizes) < FEWEST:
        told.append(f"{len(sizes)} sizes are too few: it takes {FEWEST}")
    if not misfit < MISFIT:
        told.append(f"the curve misses a point by {misfit:.0%}: the law is not that of this server")
    if not kappa.low > 0:
        told.append("kappa may be 0, a curve without a peak")
    if peak_size is not None and max(sizes) < BEYOND * peak_size:
        told.append(f"the largest size, {max(sizes)}, is too near to N* = {peak_size:.0f}, or below it")
    return told
