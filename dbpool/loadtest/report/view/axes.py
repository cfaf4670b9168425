"""Axes that fit their data, with ticks at round numbers."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil, floor, log2, log10

from dbpool.loadtest.report.view.figure import Axis, Scale
from dbpool.loadtest.report.view.numbers import clock

HEADROOM = 1.06
STEPS = (1, 2, 2.5, 5, 10)
TIME_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)


def _plain(value: float) -> str:
    return f"{value:,.10g}"


def _step(wide: float, about: int) -> float:
    """A round number that goes *about* so often into *wide*."""
    raw = wide / about
    unit = 10.0 ** floor(log10(raw))
    return next(unit * step for step in STEPS if unit * step >= raw * 0.999)


def from_zero(label: str, values: Iterable[float | None], *, unit: str = "", least: float = 1e-3) -> Axis:
    """Linear, from 0 to a little above the largest of *values*."""
    top = max([least, *(value for value in values if value is not None)]) * HEADROOM
    step = _step(top, 5)
    ticks = [(step * n, _plain(round(step * n, 10))) for n in range(floor(top / step) + 1)]
    return Axis(label, Scale.LINEAR, 0.0, top, ticks, unit)


def logarithmic(label: str, values: Iterable[float | None], *, unit: str = "") -> Axis:
    """Of what is above 0: from a round number below the smallest to one above the largest."""
    known = [value for value in values if value is not None and value > 0] or [1.0]
    low, high = _round_down(min(known) * 0.97), _round_up(max(known) * 1.03)
    decades = log10(high / low)
    wanted = (1, 2, 5) if decades <= 3 else (1,)
    ticks = [
        (unit_ * step, _plain(unit_ * step))
        for unit_ in (10.0**n for n in range(floor(log10(low)), ceil(log10(high)) + 1))
        for step in wanted
        if low * 0.999 <= unit_ * step <= high * 1.001
    ]
    return Axis(label, Scale.LOG, low, high, ticks, unit)


def _round_down(value: float) -> float:
    unit = 10.0 ** floor(log10(value))
    return unit * max(step for step in (1, 2, 5) if unit * step <= value * 1.0001)


def _round_up(value: float) -> float:
    unit = 10.0 ** floor(log10(value))
    return unit * min(step for step in (1, 2, 5, 10) if unit * step >= value * 0.9999)


def of_sizes(label: str, sizes: Iterable[float]) -> Axis:
    """Powers of two at equal distances: sizes are searched by doubling."""
    known = [size for size in sizes if size > 0] or [1.0]
    low, high = min(known), max(known)
    ticks = [(2.0**n, _plain(2.0**n)) for n in range(ceil(log2(low) - 1e-9), floor(log2(high) + 1e-9) + 1)]
    if len(ticks) < 2:
        ticks = [(size, _plain(size)) for size in sorted(set(known))]
    return Axis(label, Scale.LOG, low / 1.12, high * 1.12, ticks)


def of_time(label: str, start_s: float, end_s: float) -> Axis:
    """Minutes and seconds since the start."""
    end_s = max(end_s, start_s + 1)
    step = next((step for step in TIME_STEPS_S if (end_s - start_s) / step <= 9), TIME_STEPS_S[-1])
    first = ceil(start_s / step)
    ticks = [(float(n * step), clock(n * step)) for n in range(first, floor(end_s / step) + 1)]
    return Axis(label, Scale.LINEAR, start_s, end_s, ticks)


def of_names(label: str, names: int) -> Axis:
    """Categories 0, 1, 2 …, which are named by the figure."""
    return Axis(label, Scale.LINEAR, -0.6, names - 0.4, [(float(n), "") for n in range(names)])


def of_shares(label: str, largest: float) -> Axis:
    """Percentiles p as 1 / (1 - p), so that each further nine takes the same room; up to *largest* of those."""
    named = [(2.0, "50 %"), (10.0, "90 %"), (100.0, "99 %"), (1e3, "99.9 %"), (1e4, "99.99 %"), (1e5, "99.999 %")]
    high = max(largest, 20.0)
    return Axis(label, Scale.LOG, 1.0, high, [(at, name) for at, name in named if at <= high])
