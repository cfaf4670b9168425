"""How surely a soak's trend is told."""

from __future__ import annotations

from random import Random

from dbpool.core.loadtest.trend import trend_of
from dbpool.loadtest.stages.soak import trend_over


def test_four_trends_together_are_right_as_often_as_one_alone() -> None:
    random = Random(1)
    values = [random.gauss(10, 1) for _ in range(200)]
    together, alone = trend_over(values, 1, 1.0), trend_of(values, 1.0)
    assert together is not None
    assert alone is not None
    assert together.per_hour == alone.per_hour
    assert together.interval == trend_of(values, 1.0, 1 - 0.05 / 4).interval  # type: ignore[union-attr]
    assert together.interval.half > alone.interval.half
