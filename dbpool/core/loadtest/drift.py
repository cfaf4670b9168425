"""What a long steady load showed, in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.core.loadtest.trend import Trend


@dataclass(frozen=True, slots=True)
class Drift:
    """A figure over time: *words* are what a sentence calls it, *trend* is None where it is not known."""

    name: str
    words: str
    unit: str
    trend: Trend | None


def drift_text(drifts: Sequence[Drift], *, minutes: float, rate: float, leaked: int | None) -> str:
    """The sentence; *leaked* sessions stayed, None: nobody looked."""
    told = [f"{minutes:g} min at {rate:,.0f} a second"]
    told += [_moves(drift, drift.trend) for drift in drifts if drift.trend is not None and drift.trend.is_shown]
    known = [drift for drift in drifts if drift.trend is not None]
    if len(told) == 1 and known:
        told.append(f"no trend in {_listed([drift.words for drift in known])}")
    if unknown := [drift.words for drift in drifts if drift.trend is None]:
        told.append(f"nothing can be told of {_listed(unknown)}")
    if leaked is not None:
        told.append(f"{leaked or 'no'} session{'' if leaked == 1 else 's'} stayed behind")
    return "; ".join(told)


def _moves(drift: Drift, trend: Trend) -> str:
    how = "rises" if trend.per_hour > 0 else "falls"
    low, high = sorted((abs(trend.interval.low), abs(trend.interval.high)))
    by = f"{abs(trend.per_hour):.3g} {drift.unit}".rstrip()
    return f"{drift.words} {how} by {by} an hour ({low:.3g} to {high:.3g})"


def _listed(words: Sequence[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}" if first else last
