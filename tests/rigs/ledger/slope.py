"""How much a process grows, once it is warm."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import linear_regression

from tests.rigs.ledger.memory import Memory

WARM_S = 300.0  # caches fill, pools of the allocator settle
ENOUGH_S = 600.0  # of a warm process: below it an hour cannot be told from a step
JUDGED_S = 3500.0  # of a soak of an hour, which takes some of it to begin
MOST_MB_PER_H = 1.0


def growth(samples: Sequence[Memory]) -> dict[str, float | None]:
    """The straight lines through what there is after the warm-up, by the hour; None: it is too short to say."""
    warm = [each for each in samples if each.at - samples[0].at >= WARM_S]
    late = warm[len(warm) // 2 :]
    resident = _per_hour([(each.at, each.resident / 1e6) for each in warm])
    return {
        "slope_mb_per_h": resident,
        "slope_of_second_half_mb_per_h": _per_hour([(each.at, each.resident / 1e6) for each in late]),
        "slope_in_use_mb_per_h": _per_hour([(each.at, each.in_use / 1e6) for each in warm]),
        "slope_of_objects_per_h": _per_hour([(each.at, each.objects) for each in warm]),
    }


def too_steep(samples: Sequence[Memory]) -> list[str]:
    """What there is to say against them: after an hour, for in less a single step is as steep as the goal allows."""
    slope = growth(samples)["slope_mb_per_h"]
    if slope is None or slope <= MOST_MB_PER_H or samples[-1].at - samples[0].at < JUDGED_S:
        return []
    return [f"a writer's memory grew by {slope:g} MB an hour"]


def _per_hour(points: Sequence[tuple[float, float]]) -> float | None:
    if not points or points[-1][0] - points[0][0] < ENOUGH_S:
        return None
    slope, _ = linear_regression([at for at, _ in points], [size for _, size in points])
    return round(slope * 3600, 2)
