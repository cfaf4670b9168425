"""How evenly several got what they wanted."""

from __future__ import annotations

from collections.abc import Sequence


def jains_index(shares: Sequence[float]) -> float | None:
    """1 if all of *shares*, each 0 or more, are equal, 1 / n if one has everything; None: nobody has anything.

    Jain, Chiu, Hawe: A quantitative measure of fairness (DEC Research Report TR-301, 1984).
    """
    squares = len(shares) * sum(share * share for share in shares)
    return sum(shares) ** 2 / squares if squares else None
