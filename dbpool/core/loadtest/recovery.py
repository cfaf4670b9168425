"""When things are back as they were."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from statistics import fmean
from typing import Final

from dbpool.core.histogram import Histogram, bounds_of

SHARE: Final = 0.99
TIMES_NORMAL: Final = 2.0  # within twice its usual p99 a server counts as back
HOLD: Final = 3  # good ones in a row, before it counts as back to stay: one alone may be luck


def is_within(responses: Histogram, limit_ns: float, *, missed: int = 0, share: float = SHARE) -> bool | None:
    """Whether the p99 of what was wanted is within *limit_ns*; None: nothing was wanted.

    It needs no 1,000 values, as naming a p99 does: too many beyond the limit are too many of any number.

    Args:
        missed: of which there is no response: skipped, dropped, failed. They are beyond any limit.
    """
    wanted = responses.n + missed
    if not wanted:
        return None
    buckets, counts = responses.columns()
    upto = bisect_right(buckets, limit_ns, key=lambda bucket: bounds_of(bucket)[0])
    return sum(counts[:upto]) >= share * wanted


def back_from(are_good: Sequence[bool | None], hold: int = HOLD) -> int | None:
    """The first of *are_good* that is, and the next *hold* of which something is known, as far as there are so many.

    Returns: its number; None: there is none, or *hold* do not follow from there on.
    """
    for first in range(len(are_good) - hold + 1):
        known = [each for each in are_good[first:] if each is not None]
        if are_good[first] and all(known[:hold]):
            return first
    return None


def level_from(values: Sequence[float], level: float, hold: int) -> int | None:
    """The first of *values* that reaches *level*, with a mean of at least that over *hold* values from there on.

    Returns: its number; None: there is none, or the series ends too early to tell.
    """
    for first in range(len(values) - hold + 1):
        if values[first] >= level and fmean(values[first : first + hold]) >= level:
            return first
    return None


def good_from(are_good: Sequence[bool | None]) -> int | None:
    """The first of *are_good* from which on none is bad; None: the last of which something is known is."""
    known = [number for number, is_good in enumerate(are_good) if is_good is not None]
    bad = [number for number in known if not are_good[number]]
    if not bad:
        return 0
    return None if bad[-1] == known[-1] else bad[-1] + 1


def usual_ms(p99_ms: float | None, limit_ms: float) -> float:
    """Up to where a response is nothing unusual, of a server whose p99 was *p99_ms* before: never beyond the limit."""
    return limit_ms if p99_ms is None else min(limit_ms, TIMES_NORMAL * p99_ms)
