"""What a series looks like, for a legend."""

from __future__ import annotations

from typing import Final

from dbpool.loadtest.report.drawing.marks import marker_at, texture_name
from dbpool.loadtest.report.drawing.plane import FINE
from dbpool.loadtest.report.view.figure import Kind, Series, Texture

WIDTH: Final = 24 * FINE
HEIGHT: Final = 12 * FINE


def key_of(series: Series) -> str:
    """A small drawing of it."""
    middle_x, middle_y = WIDTH // 2, HEIGHT // 2
    if series.kind in {Kind.AREA, Kind.BAR}:
        fill = "" if series.texture is Texture.PLAIN else f' fill="url(#{texture_name(series)})"'
        inner = f'<path class="area {series.color}"{fill} d="M{4 * FINE} 0h{16 * FINE}v{HEIGHT}h{-16 * FINE}z"/>'
    elif series.kind is Kind.DOTS and series.marker is None:
        dots = "".join(f"M{WIDTH * n // 4} {HEIGHT * (4 - n) // 4}h0" for n in (1, 2, 3))
        inner = f'<path class="dots {series.color}" d="{dots}"/>'
    else:
        dash = " dashed" if series.is_dashed else ""
        line = f'<path class="line {series.color}{dash}" d="M0 {middle_y}H{WIDTH}"/>'
        inner = line if series.kind is Kind.LINE else ""
        if series.marker is not None:
            inner += f'<path class="mark {series.color}" d="{marker_at(series.marker, middle_x, middle_y)}"/>'
    return f'<svg class=key viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true">{inner}</svg>'
