"""Long lines of seconds made short enough to be drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil
from typing import Final, TypeVar

T = TypeVar("T")

MOST: Final = 500  # lines of a table, points of a line: a default run has about as many seconds


def in_groups(rows: Sequence[T], merge: Callable[[Sequence[T]], T]) -> list[T]:
    """*rows* as they are, or so many neighbours merged that no more than ``MOST`` are left."""
    together = ceil(len(rows) / MOST) if rows else 1
    if together == 1:
        return list(rows)
    return [merge(rows[start : start + together]) for start in range(0, len(rows), together)]
