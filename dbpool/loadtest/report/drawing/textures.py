"""Patterns that fill areas, so that they differ without colour."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dbpool.loadtest.report.drawing.marks import texture_name
from dbpool.loadtest.report.view.figure import Figure, Texture

SIDE: Final = 16
LINES: Final = {
    Texture.RISING: f"M-2 {SIDE + 2}L{SIDE + 2} -2M-2 2L2 -2M{SIDE - 2} {SIDE + 2}L{SIDE + 2} {SIDE - 2}",
    Texture.FALLING: f"M-2 -2L{SIDE + 2} {SIDE + 2}M-2 {SIDE - 2}L2 {SIDE + 2}M{SIDE - 2} -2L{SIDE + 2} 2",
    Texture.DOTTED: f"M{SIDE // 4} {SIDE // 4}h.1M{3 * SIDE // 4} {3 * SIDE // 4}h.1",
    Texture.CROSSED: f"M0 {SIDE // 2}H{SIDE}M{SIDE // 2} 0V{SIDE}",
}


def textures_of(figures: Iterable[Figure]) -> str:
    """The patterns that *figures* use, for the whole page."""
    used = {
        texture_name(series): series
        for figure in figures
        for series in figure.series
        if series.texture is not Texture.PLAIN
    }
    patterns = "".join(
        f'<pattern id="{name}" width="{SIDE}" height="{SIDE}" patternUnits="userSpaceOnUse">'
        f'<rect class="ground {series.color}" width="{SIDE}" height="{SIDE}"/>'
        f'<path class="texture {series.texture}" d="{LINES[series.texture]}"/></pattern>'
        for name, series in sorted(used.items())
    )
    return f'<svg class=unseen width="0" height="0" aria-hidden="true"><defs>{patterns}</defs></svg>' if used else ""
