"""What was aimed at, and whether it was met."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Target:
    """A bound for one figure, which is met on either side: at least, or at most."""

    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""

    def __str__(self) -> str:
        bound, sign = (self.at_most, "<=") if self.at_least is None else (self.at_least, ">=")
        return f"{sign} {bound:g}{self.unit}"

    def verdict(self, figure: float) -> str:
        is_met = (self.at_least is None or figure >= self.at_least) and (self.at_most is None or figure <= self.at_most)
        return "met" if is_met else "MISSED"


TARGET_TASKS: Final = 200
FASTER_THAN: Final = {
    "bare": Target(at_least=1.0, unit=" x"),
    "asyncpg.Pool": Target(at_least=2.5, unit=" x"),
    "listing": Target(at_least=2.5, unit=" x"),
    "psycopg_pool": Target(at_least=5.0, unit=" x"),
    "psqlpy": Target(at_least=5.0, unit=" x"),
    "sqlalchemy": Target(at_least=7.0, unit=" x"),
}
"""Lookups a second of dbpool over those of another, with TARGET_TASKS tasks."""
IDLE: Final = Target(at_most=10.0, unit=" µs")
IDLE_COALESCE: Final = Target(at_most=5.0, unit=" µs")
WAITER: Final = Target(at_most=1024.0, unit=" B")
CANCEL: Final = Target(at_most=1.0, unit=" s")
# Ten times as many tasks take more than ten times as long, whatever they wait in, since they leave the processor's
# caches: so the growth is compared with that of tasks that wait for a bare future. A quadratic one would be 5 to 10
# times as much.
LINEAR: Final = Target(at_most=2.0, unit=" x")
IMPORT: Final = Target(at_most=30.0, unit=" ms")


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure beside its target."""

    what: str
    figure: str
    target: Target
    verdict: str


def judge(what: str, figure: float, target: Target) -> Judged:
    shown = f"{figure:.2f}" if abs(figure) < 10 else f"{figure:.0f}"
    return Judged(what, shown + target.unit, target, target.verdict(figure))


def summary(judged: Iterable[Judged]) -> str:
    verdicts = [each.verdict for each in judged]
    return f"{verdicts.count('met')} of {len(verdicts)} targets met"
