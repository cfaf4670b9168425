"""What the thresholds of a whole run are held against."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from dbpool.core.loadtest.thresholds import threshold_of
from dbpool.loadtest.judging import judge_run


@pytest.mark.parametrize(
    ("ratios", "value"),
    [((1.2, 3.0), 3.0), ((1.2, None), None), ((), None)],
)
def test_a_bystander_who_felt_nothing_in_some_part_meets_no_threshold(
    ratios: tuple[float | None, ...], value: float | None
) -> None:
    judgements: list[Any] = []
    storm = {"parts": [{"bystander_ratio": ratio} for ratio in ratios]}
    run = SimpleNamespace(sections={"storm": storm}, judgements=judgements, points=[])
    judge_run(SimpleNamespace(run=run, measured=[]), [threshold_of("bystander_ratio<5")])  # type: ignore[arg-type]
    assert [(each.value, each.is_met) for each, _ in judgements] == [(value, value is not None)]
