"""Bars and lines out of characters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

EIGHTHS: Final = "▏▎▍▌▋▊▉█"
HEIGHTS: Final = "▁▂▃▄▅▆▇█"
GAP: Final = " "


def can_draw(encoding: str) -> bool:
    """Whether a terminal of *encoding* has these characters."""
    try:
        (EIGHTHS + HEIGHTS).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def bar(value: float, top: float, width: int, *, plain: bool = False) -> str:
    """*value* of *top* as a bar of at most *width* characters; something is always seen of what is above 0."""
    if value <= 0 or top <= 0 or width < 1:
        return ""
    eighths = max(1, round(min(value / top, 1.0) * width * 8))
    if plain:
        return "#" * max(1, eighths // 8)
    whole, rest = divmod(eighths, 8)
    return EIGHTHS[-1] * whole + (EIGHTHS[rest - 1] if rest else "")


def sparkline(values: Sequence[float | None], *, plain: bool = False) -> str:
    """A character for each value, from 0 to the largest; a gap for what is not known."""
    top = max((value for value in values if value is not None), default=0.0)
    heights = ".:-=+*#@" if plain else HEIGHTS
    if top <= 0:
        return "".join(GAP if value is None else heights[0] for value in values)
    steps = len(heights)
    return "".join(
        GAP if value is None else heights[min(steps - 1, int(max(0.0, value) / top * steps))] for value in values
    )
