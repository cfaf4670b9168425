"""A figure as SVG: for paper, and where no script runs."""

from __future__ import annotations

from html import escape
from typing import Final

from dbpool.loadtest.report.drawing.marks import marks_of
from dbpool.loadtest.report.drawing.plane import FINE, Plane, plane_of
from dbpool.loadtest.report.view.figure import Figure, Rule

LETTER: Final = 6.4 * FINE  # how wide one is, about


def svg_of(figure: Figure, *, is_wide: bool) -> str:
    """*figure* with its axes, rules and stages; its colours come from the page's style sheet."""
    plane = plane_of(figure, is_wide=is_wide)
    parts = [
        _spans(figure, plane),
        _band(figure, plane),
        _grid(plane),
        marks_of(figure, plane),
        "".join(_rule(figure, number, plane) for number in range(len(figure.rules))),
        _ticks(figure, plane),
    ]
    name = escape(f"{figure.title}. {figure.says}")
    size = "wide" if is_wide else "part"
    return (
        f'<svg class="drawing {size}" viewBox="0 0 {plane.width} {plane.height}" role="img" aria-label="{name}">'
        f"{''.join(parts)}</svg>"
    )


def _grid(plane: Plane) -> str:
    lines = "".join(f"M{plane.left} {plane.y_at(value)}H{plane.right}" for value, _ in plane.y.ticks)
    return (
        f'<path class="grid" d="{lines}"/><path class="frame" d="M{plane.left} {plane.bottom}H{plane.right}'
        + "".join(f"M{plane.x_at(value)} {plane.bottom}v{4 * FINE}" for value, _ in plane.x.ticks)
        + '"/>'
    )


def _ticks(figure: Figure, plane: Plane) -> str:
    under, beside = plane.bottom + 18 * FINE, plane.left - 8 * FINE
    ups = "".join(
        f'<text class="tick end" x="{beside}" y="{plane.y_at(value) + 4 * FINE}">{name}</text>'
        for value, name in plane.y.ticks
    )
    return f"{ups}{_across(figure, plane, under)}" + (
        f'<text class="label mid" x="{(plane.left + plane.right) // 2}" y="{plane.height - 6 * FINE}">'
        f"{escape(plane.x.label)}</text>"
    )


def _across(figure: Figure, plane: Plane, y: int) -> str:
    """Names under the x axis, as many as there is room for."""
    names = [figure.names[int(at)] if figure.names and not name else name for at, name in plane.x.ticks]
    text, free_from = "", -10_000.0
    for (at, _), name in zip(plane.x.ticks, names, strict=True):
        x, half = plane.x_at(at), len(name) * LETTER / 2
        if x - half >= free_from:
            text += f'<text class="tick mid" x="{x}" y="{y}">{escape(name)}</text>'
            free_from = x + half + LETTER
    return text


def is_crowded(figure: Figure, rule: Rule, plane: Plane) -> bool:
    """Whether there is no room for a name between a level rule and the next above it, or the top."""
    y = plane.y_at(rule.at)
    above = [plane.y_at(other.at) for other in figure.rules if not other.is_upright and other.at > rule.at]
    return y - max(above, default=0) < 17 * FINE


def _rule(figure: Figure, number: int, plane: Plane) -> str:
    rule = figure.rules[number]
    name = escape(rule.name)
    if rule.is_upright:
        x = plane.x_at(rule.at)
        is_right = x + len(rule.name) * LETTER > plane.right
        place, side = (x - 5 * FINE, "end") if is_right else (x + 5 * FINE, "begin")
        y = plane.top + (12 + 16 * (number % 3)) * FINE
        return (
            f'<path class="rule" d="M{x} {plane.top}V{plane.bottom}"/>'
            f'<text class="name {side}" x="{place}" y="{y}">{name}</text>'
        )
    y = plane.y_at(rule.at)
    # what grows, grows to the right: there a name would be in its way
    place, side = (plane.right - 2 * FINE, "end") if figure.follows else (plane.left + 4 * FINE, "begin")
    under = 13 * FINE if is_crowded(figure, rule, plane) else -4 * FINE
    return (
        f'<path class="rule" d="M{plane.left} {y}H{plane.right}"/>'
        f'<text class="name {side}" x="{place}" y="{y + under}">{name}</text>'
    )


def _band(figure: Figure, plane: Plane) -> str:
    if figure.band is None:
        return ""
    low, high = (plane.y_at(value) for value in figure.band)
    return (
        f'<path class="band" d="M{plane.left} {low}V{high}H{plane.right}V{low}z"/>'
        f'<text class="name begin" x="{plane.left + 4 * FINE}" y="{high - 4 * FINE}">{escape(figure.band_name)}</text>'
    )


def _spans(figure: Figure, plane: Plane) -> str:
    strips, names = "", ""
    for number, span in enumerate(figure.spans):
        start, end = plane.x_at(span.start), plane.x_at(span.end)
        if number % 2 == 0:
            strips += f"M{start} {plane.top}H{end}V{plane.bottom}H{start}z"
        if len(span.name) * LETTER < end - start:
            names += f'<text class="name mid" x="{(start + end) // 2}" y="{plane.top - 3 * FINE}">'
            names += f"{escape(span.name)}</text>"
    return f'<path class="span" d="{strips}"/>{names}' if figure.spans else ""
