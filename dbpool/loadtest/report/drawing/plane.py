"""Where a value lies on paper."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import log10
from typing import Final

from dbpool.loadtest.report.view.figure import Axis, Figure, Scale

FINE: Final = 2  # units of the drawing to a pixel: whole numbers are then fine enough, and short
AS_ONE: Final = 6  # letters: figures that share an axis begin at the same place


@dataclass(frozen=True, slots=True)
class Plane:
    """The area of the data within a drawing of *width* x *height*, all in units of the drawing."""

    width: int
    height: int
    left: int
    right: int
    top: int
    bottom: int
    x: Axis
    y: Axis

    def x_at(self, value: float) -> int:
        return round(self.left + part_of(self.x, value) * (self.right - self.left))

    def y_at(self, value: float) -> int:
        return round(self.bottom - part_of(self.y, value) * (self.bottom - self.top))


def plane_of(figure: Figure, *, is_wide: bool) -> Plane:
    """A drawing for the whole width of a page, or for a part of it."""
    width, height = (1000 * FINE, 300 * FINE) if is_wide else (400 * FINE, 270 * FINE)
    longest = max((len(name) for _, name in figure.y.ticks), default=1)
    if figure.follows:
        longest = max(longest, AS_ONE)
    left = (16 + 7 * longest) * FINE
    return Plane(width, height, left, width - 22 * FINE, 14 * FINE, height - 44 * FINE, figure.x, figure.y)


def part_of(axis: Axis, value: float) -> float:
    """0 at the axis' low end, 1 at its high end; beyond both ends by a little at most."""
    if axis.scale is Scale.LOG:
        part = log10(max(value, 1e-12) / axis.low) / log10(axis.high / axis.low)
    else:
        part = (value - axis.low) / (axis.high - axis.low)
    return min(max(part, -0.02), 1.02)


def path_of(places: Iterable[tuple[int, int]]) -> str:
    """A line through *places*, each told by how far it is from the one before."""
    text, at_x, at_y = "", 0, 0
    for x, y in places:
        text += f"l{x - at_x} {y - at_y}" if text else f"M{x} {y}"
        at_x, at_y = x, y
    return text
