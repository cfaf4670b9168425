"""Random integers of a range: uniform, exponential, gaussian, zipfian.

Each takes the same draws from the sequence as pgbench does, so that the same seed gives the same integer. Messages
are pgbench's.
"""

from __future__ import annotations

import math
from math import exp, floor, inf, log
from typing import Final

from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import EvaluationError
from dbpool.loadtest.scripts.values import fixed_text

MIN_GAUSSIAN_PARAMETER: Final = 2.0
MIN_ZIPFIAN_PARAMETER: Final = 1.001
MAX_ZIPFIAN_PARAMETER: Final = 1000.0
_TOO_LARGE: Final = (1 << 63) - 1  # the number of integers in the range must be one itself


def uniform(prng: Prng, low: int, high: int) -> int:
    """Each integer from *low* to *high* alike.

    Raises: EvaluationError.
    """
    if not 0 <= high - low < _TOO_LARGE:
        raise _no_range(low, high)
    return prng.uniform(low, high)


def exponential(prng: Prng, low: int, high: int, parameter: float) -> int:
    """The density falls by exp(*parameter*) from *low* to *high*.

    Raises: EvaluationError.
    """
    if not 0 <= high - low < _TOO_LARGE:
        raise _no_range(low, high)
    if not parameter > 0.0:  # no number either
        raise EvaluationError(f"exponential parameter must be greater than zero (not {fixed_text(parameter)})")
    cut = exp(-parameter)
    share = 1.0 - prng.double()
    return low + int((high - low + 1) * (-log(cut + (1.0 - cut) * share) / parameter))


def gaussian(prng: Prng, low: int, high: int, parameter: float) -> int:
    """A bell in the middle, cut off *parameter* standard deviations away.

    Raises: EvaluationError.
    """
    if not 0 <= high - low < _TOO_LARGE:
        raise _no_range(low, high)
    if not MIN_GAUSSIAN_PARAMETER <= parameter < inf:
        raise EvaluationError(
            f"gaussian parameter must be at least {MIN_GAUSSIAN_PARAMETER:f} (not {fixed_text(parameter)})"
        )
    deviation = prng.normal()
    while not -parameter <= deviation < parameter:
        deviation = prng.normal()
    return low + int((high - low + 1) * ((deviation + parameter) / (parameter * 2.0)))


def zipfian(prng: Prng, low: int, high: int, parameter: float) -> int:
    """The k-th integer has a probability proportional to k ** -*parameter*.

    By rejection (Devroye, Non-Uniform Random Variate Generation, 1986, p. 550): the mean number of tries grows as
    *parameter* comes near to 1.

    Raises: EvaluationError.
    """
    size = high - low + 1
    if not 0 < size <= _TOO_LARGE:
        raise _no_range(low, high)
    if not MIN_ZIPFIAN_PARAMETER <= parameter <= MAX_ZIPFIAN_PARAMETER:
        raise EvaluationError(
            f"zipfian parameter must be in range [{MIN_ZIPFIAN_PARAMETER:.3f}, {MAX_ZIPFIAN_PARAMETER:.0f}]"
            f" (not {fixed_text(parameter)})"
        )
    if size == 1:
        return low
    over, base = parameter - 1.0, math.pow(2.0, parameter - 1.0)
    while True:
        first, second = prng.double(), prng.double()
        try:
            rank = floor(math.pow(first, -1.0 / over))
        except (OverflowError, ValueError):  # no double is that large: far out of the range
            continue
        if rank > size:
            continue
        step = math.pow(1.0 + 1.0 / rank, over)
        if second * rank * (step - 1.0) / (base - 1.0) <= step / base:
            return low - 1 + rank


def _no_range(low: int, high: int) -> EvaluationError:
    return EvaluationError("empty range given to random" if low > high else "random range is too large")
