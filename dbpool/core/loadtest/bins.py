"""Long series put together to fewer values, evenly."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from statistics import fmean
from typing import Final

MOST: Final = 600  # values of which a trend is made in no time
TELLING: Final = 1200  # values tell a p99: 1,000 would, and no bin is to fall short of them by chance


def bin_s(seconds: int, rate: float, *, tells_p99: bool = False) -> int:
    """How many of *seconds* to put together: so that few enough remain and, if asked for, each has a p99.

    Args:
        rate: values a second.
    """
    fewest = ceil(seconds / MOST)
    return max(1, fewest, ceil(TELLING / rate)) if tells_p99 and rate > 0 else max(1, fewest)


def binned(values: Sequence[float | None], length: int) -> list[float] | None:
    """The means of *length* after *length* of *values*, without what is left over at the end.

    Returns: None where nothing is known of one of them.
    """
    found = []
    for first in range(0, len(values) - length + 1, length):
        known = [value for value in values[first : first + length] if value is not None]
        if not known:
            return None
        found.append(fmean(known))
    return found
