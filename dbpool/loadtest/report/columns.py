"""How wide columns are, and which hold numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

NUMBERS: Final = "0123456789+-–×"
LONGEST: Final = 16  # characters of a word that are kept together where there is no room


def are_numbers(cells: Sequence[str]) -> bool:
    """Whether all *cells* begin like a number; empty ones say nothing."""
    return all(cell[0] in NUMBERS for cell in cells if cell)


def least_width(name: str, cells: Sequence[str]) -> int:
    """So that no number is broken, and of words only the longest."""
    if are_numbers(cells):
        words, whole = name.split(), max(map(len, cells), default=0)
    else:
        words, whole = [word for text in (name, *cells) for word in text.split()], 0
    return max([whole, *(min(LONGEST, len(word)) for word in words)])


def fitted(least: Sequence[int], most: Sequence[int], room: int) -> list[int]:
    """Widths between *least* and *most* that together take no more than *room*, where that is possible.

    What can give most gives first.
    """
    widths = list(most)
    while sum(widths) > room:
        at = max(range(len(widths)), key=lambda column: widths[column] - least[column])
        if widths[at] <= least[at]:
            break
        widths[at] -= 1
    return widths
