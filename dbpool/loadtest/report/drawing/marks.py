"""The data of a figure as SVG: lines, marks, intervals, areas, bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from dbpool.loadtest.report.drawing.plane import FINE, Plane, path_of
from dbpool.loadtest.report.view.figure import Figure, Kind, Marker, Number, Series, Texture

RADIUS: Final = 4 * FINE
DOT: Final = 1 * FINE
BAR: Final = 0.7  # of the distance between two bars
WIDEST_BAR: Final = 64 * FINE
CROWD: Final = 80  # marks: more than those hide their line


def marks_of(figure: Figure, plane: Plane) -> str:
    """All series: lines in their order, areas from the top one down, as each hides what it stands on."""
    lines = [series for series in figure.series if series.kind is not Kind.AREA]
    areas = [series for series in reversed(figure.series) if series.kind is Kind.AREA]
    return "".join(_series(figure, series, plane) for series in (*areas, *lines))


def _series(figure: Figure, series: Series, plane: Plane) -> str:
    xs = figure.xs if series.xs is None else series.xs
    match series.kind:
        case Kind.AREA:
            return _area(figure, series, plane)
        case Kind.BAR:
            return _bars(xs, series, plane)
        case Kind.DOTS if series.marker is not None:
            return _markers(xs, series, plane)
        case Kind.DOTS:
            dots = "".join(_dot(x, y) for x, y in _places(xs, series.values, plane))
            return f'<path class="dots {series.color}" d="{dots}"/>' if dots else ""
        case Kind.LINE:
            return _line(xs, series, plane, figure.reach) + _intervals(xs, series, plane) + _markers(xs, series, plane)


def _places(xs: Sequence[float], values: Sequence[Number], plane: Plane) -> list[tuple[int, int]]:
    return [(plane.x_at(x), plane.y_at(value)) for x, value in zip(xs, values, strict=True) if value is not None]


def _line(xs: Sequence[float], series: Series, plane: Plane, reach: float | None) -> str:
    """With a dot for each value that has no neighbour."""
    lines, dots = "", ""
    for run in runs(xs, series.values, reach):
        places = [(plane.x_at(xs[at]), plane.y_at(value)) for at in run if (value := series.values[at]) is not None]
        if len(places) > 1:
            lines += path_of(places)
        else:
            dots += _dot(*places[0])
    dash = " dashed" if series.is_dashed else ""
    drawn = f'<path class="line {series.color}{dash}" d="{lines}"/>' if lines else ""
    return drawn + (f'<path class="dots {series.color}" d="{dots}"/>' if dots and series.marker is None else "")


def _dot(x: int, y: int) -> str:
    return f"M{x} {y}h0"


def runs(xs: Sequence[float], values: Sequence[Number], reach: float | None) -> Iterator[list[int]]:
    """The places of neighbours that belong together: a gap is where a value is not known, or the next is too far."""
    run: list[int] = []
    for at, (x, value) in enumerate(zip(xs, values, strict=True)):
        if run and (value is None or (reach is not None and x - xs[run[-1]] > reach)):
            yield run
            run = []
        if value is not None:
            run.append(at)
    if run:
        yield run


def _intervals(xs: Sequence[float], series: Series, plane: Plane) -> str:
    if series.lows is None or series.highs is None:
        return ""
    cap, d = 3 * FINE, ""
    for x, low, high in zip(xs, series.lows, series.highs, strict=True):
        if low is not None and high is not None:
            at, bottom, top = plane.x_at(x), plane.y_at(low), plane.y_at(high)
            d += f"M{at - cap} {bottom}h{2 * cap}M{at} {bottom}V{top}M{at - cap} {top}h{2 * cap}"
    return f'<path class="interval {series.color}" d="{d}"/>' if d else ""


def _markers(xs: Sequence[float], series: Series, plane: Plane) -> str:
    if series.marker is None or len(xs) > CROWD:
        return ""
    full, hollow = "", ""
    empties = series.hollow or [False] * len(xs)
    for x, value, is_hollow in zip(xs, series.values, empties, strict=True):
        if value is not None:
            shape = marker_at(series.marker, plane.x_at(x), plane.y_at(value))
            full, hollow = (full, hollow + shape) if is_hollow else (full + shape, hollow)
    return "".join(
        f'<path class="mark {kind}{series.color}" d="{d}"/>' for kind, d in (("", full), ("hollow ", hollow)) if d
    )


def marker_at(marker: Marker, x: int, y: int, r: int = RADIUS) -> str:
    """A closed path around a place."""
    match marker:
        case Marker.CIRCLE:
            return f"M{x - r} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
        case Marker.SQUARE:
            s = round(r * 0.85)
            return f"M{x - s} {y - s}h{2 * s}v{2 * s}h{-2 * s}z"
        case Marker.TRIANGLE:
            return f"M{x} {y - r}l{r} {2 * r - 2}h{-2 * r}z"
        case Marker.DIAMOND:
            s = round(r * 1.15)
            return f"M{x} {y - s}l{s} {s}l{-s} {s}l{-s} {-s}z"


def _area(figure: Figure, series: Series, plane: Plane) -> str:
    """Down to the axis: the areas below are drawn over it, and the page need not have each border twice."""
    if not any(series.values):
        return ""
    bases = series.base or [0.0] * len(figure.xs)
    shapes = []
    for run in runs(figure.xs, series.values, figure.reach):
        over = [(plane.x_at(figure.xs[n]), plane.y_at(bases[n] + (series.values[n] or 0.0))) for n in run]
        shapes.append(f"{path_of(over)}V{plane.bottom}H{over[0][0]}z")
    return f'<path class="area {series.color}"{_fill(series)} d="{"".join(shapes)}"/>'


def _bars(xs: Sequence[float], series: Series, plane: Plane) -> str:
    half = min(WIDEST_BAR // 2, round(abs(plane.x_at(1) - plane.x_at(0)) * BAR / 2))
    bases = series.base or [0.0] * len(xs)
    d = ""
    for x, base, value in zip(xs, bases, series.values, strict=True):
        if value:
            left, bottom, top = plane.x_at(x) - half, plane.y_at(base), plane.y_at(base + value)
            d += f"M{left} {bottom}V{top}h{2 * half}V{bottom}z"
    return f'<path class="area {series.color}"{_fill(series)} d="{d}"/>' if d else ""


def _fill(series: Series) -> str:
    return "" if series.texture is Texture.PLAIN else f' fill="url(#{texture_name(series)})"'


def texture_name(series: Series) -> str:
    """The name of the pattern that fills it."""
    return f"fill-{series.texture}-{series.color}"
