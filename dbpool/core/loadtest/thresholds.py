"""Conditions that a run must meet, written as in k6: ``response_ms:p(99)<50``, ``error_rate<0.1%``, ``tps>=1000``."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Final, TypeAlias

from dbpool.core.loadtest.comparison import Comparison, Verdict
from dbpool.errors import SettingsError

# What can be judged: series have an average, a minimum, a maximum and percentiles; the others are one number each.
SERIES: Final = ("tps", "response_ms", "service_ms", "wait_ms", "connect_ms")
RATES: Final = ("error_rate", "late_rate", "dropped_rate")
NUMBERS: Final = (*RATES, "recommended_size", "recovery_s", "bystander_ratio")

Measured: TypeAlias = Callable[[str, str], float | None]
"""A metric's value by its name and aggregate (``avg``, ``min``, ``max`` or ``p(99.9)``; ``value`` for a number); None:
not measured, or n too small."""

_FORM: Final = re.compile(r"\s*(\w+)\s*(?::\s*(\w+(?:\([^)]*\))?)\s*)?(<=|>=|<|>)\s*([^\s%]+)\s*(%?)\s*")
_PERCENTILE: Final = re.compile(r"p\(\s*(\d+(?:\.\d+)?)\s*\)")
_COMPARE: Final = {"<": lt, "<=": le, ">": gt, ">=": ge}


@dataclass(frozen=True, slots=True)
class Threshold:
    """``metric:aggregate`` compared with a limit, in the metric's own unit; *text* is how it was written."""

    text: str
    metric: str
    aggregate: str
    operator: str
    limit: float

    def is_met_by(self, value: float) -> bool:
        return bool(_COMPARE[self.operator](value, self.limit))


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a threshold was met. Without a value it was not: what was not measured is no pass."""

    threshold: Threshold
    value: float | None
    is_met: bool


def threshold_of(text: str) -> Threshold:
    """The threshold that *text* says.

    Raises:
        SettingsError: it does not read like one, or there is no such metric or aggregate; the message says which are.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise SettingsError(f"a threshold is like response_ms:p(99)<50 or error_rate<1%, not {text!r}")
    metric, aggregate, operator, number, percent = found.groups()
    if percent and metric not in RATES:
        raise SettingsError(f"only {', '.join(RATES)} can be compared with a percentage, not {metric}: {text!r}")
    limit = _number(number, text) / (100 if percent else 1)
    return Threshold(text, metric, _aggregate(metric, aggregate, text), operator, limit)


def _aggregate(metric: str, aggregate: str | None, text: str) -> str:
    if metric in NUMBERS:
        if aggregate is not None:
            raise SettingsError(f"{metric} is one number, without {aggregate}: {text!r}")
        return "value"
    if metric not in SERIES:
        raise SettingsError(f"there is no metric {metric!r}; there are {', '.join((*SERIES, *NUMBERS))}: {text!r}")
    if aggregate is None and metric == "tps":
        return "avg"
    if aggregate in ("avg", "min", "max"):
        return aggregate
    percentile = _PERCENTILE.fullmatch(aggregate or "")
    if percentile is None or not 0 < float(percentile[1]) < 100:
        raise SettingsError(f"{metric} needs :avg, :min, :max or :p(N) with N between 0 and 100: {text!r}")
    return f"p({float(percentile[1]):g})"


def _number(number: str, text: str) -> float:
    try:
        value = float(number)
    except ValueError:
        value = float("nan")
    if not abs(value) < float("inf"):
        raise SettingsError(f"{number!r} is not a number: {text!r}")
    return value


def judge(threshold: Threshold, measured: Measured) -> Judgement:
    """Compare with what was *measured*."""
    value = measured(threshold.metric, threshold.aggregate)
    return Judgement(threshold, value, value is not None and threshold.is_met_by(value))


class Patience:
    """Abort a run only after as many windows in a row that miss a threshold: one bad second is not a verdict."""

    def __init__(self, windows: int = 2) -> None:
        self._windows = windows
        self._missed = 0

    def is_over(self, *, is_met: bool) -> bool:
        """Record one window, and tell whether it was one too many."""
        self._missed = 0 if is_met else self._missed + 1
        return self._missed >= self._windows


def share_of(text: str) -> float:
    """The share that ``5%`` or ``0.05`` says, at least 0 and below 1, as ``--max-regression`` takes it.

    Raises:
        SettingsError: it is not one.
    """
    plain = text.strip()
    share = _number(plain.removesuffix("%"), text) / (100 if plain.endswith("%") else 1)
    if not 0 <= share < 1:
        raise SettingsError(f"a regression is allowed from 0 to below 100 %, like 5% or 0.05, not {text!r}")
    return share


def is_regression(comparison: Comparison, allowed: float, *, higher_is_better: bool) -> bool:
    """Whether the later run is shown to be worse, and by more than the share *allowed*.

    A difference within the noise is no regression, however large; nor is one too small to matter, however sure.
    """
    loss = 1 - comparison.ratio if higher_is_better else comparison.ratio - 1
    return comparison.verdict is Verdict.WORSE and loss > allowed
