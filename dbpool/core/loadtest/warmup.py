"""How much of a run's beginning to leave out: MSER-5.

White, Cobb and Spratt: A comparison of five steady-state truncation heuristics for simulation (Winter Simulation
Conference, 2000). The truncation that makes the mean of the rest most precise is the one to take: it weighs the bias
of what is kept against the noise of keeping little.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Final

BATCH: Final = 5
FEWEST: Final = 10  # batches: with fewer the choice is mere noise
SPARED: Final = 5  # batches at the end that are never left alone: their spread would be small by chance


@dataclass(frozen=True, slots=True)
class Warmup:
    """*discard* values from the start are better left out; ``is_steady``: that is at most half of them."""

    discard: int
    is_steady: bool


def warmup_of(values: Sequence[float]) -> Warmup | None:
    """The warm-up within a series of throughputs, say; None for fewer than 50 values, which do not tell."""
    batches = [fmean(values[at : at + BATCH]) for at in range(0, len(values) - BATCH + 1, BATCH)]
    n = len(batches)
    if n < FEWEST:
        return None
    middle = fmean(batches)  # squares of what is left are small enough to add up without loss
    total = squares = 0.0
    scores: list[tuple[float, int]] = []
    for at in range(n - 1, -1, -1):
        off = batches[at] - middle
        total += off
        squares += off * off
        kept = n - at
        if kept > SPARED:
            scores.append(((squares - total * total / kept) / kept**2, at))
    _, first = min(scores)
    return Warmup(first * BATCH, first * 2 <= n)
