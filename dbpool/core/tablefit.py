"""Which columns of a table fit a terminal, each how wide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

GAP = 2  # between two columns
NARROWEST = 12  # a column that is cut shows at least so much


@dataclass(frozen=True, slots=True)
class Fit:
    """*widths* of the first columns, as many as fit; *cut*: those of them that are narrower than their values."""

    widths: tuple[int, ...]
    cut: tuple[int, ...]


def fit(wanted: Sequence[int], whole: Sequence[bool], room: int) -> Fit:
    """Share *room* out.

    Args:
        wanted: what the values and the name of each column take.
        whole: columns that must not be cut: half of a number is another number.
    """
    least = [width if is_whole else min(width, NARROWEST) for width, is_whole in zip(wanted, whole, strict=True)]
    shown, taken = 0, 0
    for width in least:
        taken += width + (GAP if shown else 0)
        if shown and taken > room:
            break
        shown += 1
    wanted, least = wanted[:shown], least[:shown]
    widths = _widened(wanted, least, room - GAP * (shown - 1))
    return Fit(tuple(widths), tuple(place for place in range(shown) if widths[place] < wanted[place]))


def _widened(wanted: Sequence[int], least: Sequence[int], room: int) -> list[int]:
    """The widths that are as large as may be where none gets more than another that is cut."""
    if sum(wanted) <= room:
        return list(wanted)
    low, high = 0, max(wanted)
    while low < high:
        middle = (low + high + 1) // 2
        if sum(_at_most(middle, wanted, least)) <= room:
            low = middle
        else:
            high = middle - 1
    return _at_most(low, wanted, least)


def _at_most(most: int, wanted: Sequence[int], least: Sequence[int]) -> list[int]:
    return [max(floor, min(width, most)) for width, floor in zip(wanted, least, strict=True)]
