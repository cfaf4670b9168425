"""Numbers as text: three or four digits that count, and words for what is not known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any, Final

UNKNOWN: Final = "–"
TOO_FEW: Final = "n too small"


def count(value: float | None) -> str:
    """A whole number."""
    return UNKNOWN if value is None else f"{value:,.0f}"


def figure(value: float | None, digits: int = 3) -> str:
    """With *digits* that count, as ``0.0123``, ``12.3``, ``12,345``: digits before the point are never dropped."""
    if value is None or not isfinite(value):
        return UNKNOWN
    if value == 0:
        return "0"
    after = max(0, digits - 1 - floor(log10(abs(value))))
    return f"{value:,.{min(after, 6)}f}"


def plain(value: float | None) -> str:
    """As it was said: a limit, a factor, with no digits that nobody gave."""
    return UNKNOWN if value is None else f"{value:,.4g}" if abs(value) < 1000 else f"{value:,.0f}"


def rate(value: float | None) -> str:
    """Transactions a second."""
    return UNKNOWN if value is None else f"{value:,.0f}" if abs(value) >= 100 else figure(value)


def share(value: float | None) -> str:
    """A part of 1 in percent."""
    return UNKNOWN if value is None else "0 %" if value == 0 else f"{figure(value * 100)} %"


def percent(value: float) -> str:
    """A part of 1 in whole percent."""
    return f"{value * 100:.0f} %"


def seconds(value: float | None) -> str:
    """A duration."""
    return UNKNOWN if value is None else f"{plain(float(f'{value:.3g}'))} s"


def clock(value: float | None) -> str:
    """Seconds since the start as ``3:07``."""
    return UNKNOWN if value is None else f"{floor(value / 60)}:{floor(value % 60):02d}"


def percentile(durations: Mapping[str, Any] | None, name: str) -> str:
    """A percentile of ``{durations}``; where there are durations but no percentile, there are too few of them."""
    if durations is None:
        return UNKNOWN
    value = durations.get(name)
    return TOO_FEW if value is None else figure(value)


def span(low: float | None, high: float | None) -> str:
    """``9 – 16``, or ``9 or more``."""
    if low is None and high is None:
        return UNKNOWN
    if high is None:
        return f"{count(low)} or more"
    if low is None or low == high:
        return f"up to {count(high)}" if low is None else count(high)
    return f"{count(low)} – {count(high)}"


def tally(labels: Mapping[str, Any] | None) -> str:
    """``53300.server_full: 25, timeout: 2``."""
    found: Sequence[str] = [f"{label}: {count(number)}" for label, number in (labels or {}).items()]
    return ", ".join(found) or "none"
