"""Student's t distribution.

Here, and not scipy.stats, as that takes 1.2 s and 90 MB to import, and the search for a size needs intervals all the
time.
"""

from __future__ import annotations

from functools import lru_cache
from math import exp, inf, lgamma, log
from typing import Final

_TINY: Final = 1e-300  # in the place of 0 in a denominator


def t_cdf(t: float, df: float) -> float:
    """The chance of a value of at most *t*, with *df* > 0 degrees of freedom; within 1e-12."""
    whole = df + t * t
    inner = _incomplete_beta(0.5, df / 2, t * t / whole, df / whole)  # the chance of a value between -t and t
    return (1 + inner) / 2 if t > 0 else (1 - inner) / 2


@lru_cache(maxsize=1024)  # a search asks for the same few again and again
def t_quantile(p: float, df: float) -> float:
    """The value that is not exceeded with chance *p*, 0 < p < 1; by bisection, within 1e-10 of itself."""
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -t_quantile(1 - p, df)
    low, high = 0.0, 1.0
    while t_cdf(high, df) < p and high < inf:
        low, high = high, high * 2
    while high - low > 1e-11 * high:
        middle = (low + high) / 2
        if t_cdf(middle, df) < p:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def _incomplete_beta(a: float, b: float, x: float, y: float) -> float:
    """The regularised incomplete beta function I_x(a, b); *y* is 1 - x, given too as it may be tiny."""
    if not x or not y:
        return float(not y)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast below this
        return 1 - _incomplete_beta(b, a, y, x)
    front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y)) / a
    return front * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    """Its continued fraction (DLMF 8.17.22), by Lentz's method as modified by Thompson and Barnett (1986)."""
    c, d = 1.0, 1 / _nonzero(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 1000):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for numerator in (even, odd):
            d = 1 / _nonzero(1 + numerator * d)
            c = _nonzero(1 + numerator / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY
