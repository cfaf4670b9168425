"""How much a process grows, once it is warm."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression

WARM_S = 300.0  # caches fill, pools of the allocator settle
ENOUGH_S = 600.0  # of a warm process: below it an hour cannot be told from a step
JUDGED_S = 3500.0  # of a soak of an hour, which takes some of it to begin
MOST_MB_PER_H = 1.0


def mb_per_hour(samples: Sequence[tuple[float, int]]) -> float | None:
    """The straight line through what (seconds, bytes) are after the warm-up; None: it is too short to say."""
    if not samples:
        return None
    warm = [(at, size) for at, size in samples if at - samples[0][0] >= WARM_S]
    if not warm or warm[-1][0] - warm[0][0] < ENOUGH_S:
        return None
    slope, _ = linear_regression([at for at, _ in warm], [size / 1e6 for _, size in warm])
    return round(slope * 3600, 2)


def too_steep(samples: Sequence[tuple[float, int]]) -> list[str]:
    """What there is to say against them: after an hour, for in less a single step is as steep as the goal allows."""
    slope = mb_per_hour(samples)
    if slope is None or slope <= MOST_MB_PER_H or samples[-1][0] - samples[0][0] < JUDGED_S:
        return []
    return [f"a writer's memory grew by {slope:g} MB an hour"]
