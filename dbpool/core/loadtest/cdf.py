"""What share of values are no larger than each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

POINTS: Final = 60  # enough for a curve


def cdf(values: Sequence[float], most: int = POINTS) -> list[tuple[float, float]]:
    """Up to *most* pairs of a value and the share of *values* that are no larger, ascending; the last share is 1."""
    ascending, n = sorted(values), len(values)
    points = min(n, most)
    ranks = [(number + 1) * n // points for number in range(points)]
    return [(ascending[rank - 1], rank / n) for rank in ranks]
