"""Samples: gauges as they are, counters as rates, no more than are kept."""

from __future__ import annotations

import dataclasses

from dbpool.web.history import COLUMNS, KEPT, History
from tests.web.samples import CALM


def test_counters_become_rates_of_the_time_between() -> None:
    history = History(CALM, 100.0)
    later = dataclasses.replace(CALM, granted_total=150, waited_s_total=5.0, timeouts_total=3, held=4)
    history.take(later, 102.0)
    columns = history.columns()
    assert tuple(columns) == COLUMNS
    assert columns["at"] == [102.0]
    assert columns["held"] == [4]
    assert columns["granted_per_s"] == [25.0]
    assert columns["timeouts_per_s"] == [1.5]
    assert columns["mean_wait_s"] == [0.1]


def test_nobody_served_gives_no_mean() -> None:
    history = History(CALM, 100.0)
    history.take(CALM, 101.0)
    assert history.columns()["mean_wait_s"] == [None]
    assert history.columns()["granted_per_s"] == [0.0]


def test_a_clock_that_was_set_back_gives_no_rates() -> None:
    history = History(CALM, 100.0)
    history.take(CALM, 90.0)
    assert history.columns()["granted_per_s"] == [None]


def test_no_more_are_kept_than_five_minutes() -> None:
    history = History(CALM, 0.0)
    for second in range(1, 2 * KEPT):
        history.take(CALM, float(second))
    assert len(history.samples) == KEPT == 300
    assert history.columns(1)["at"] == [2 * KEPT - 1]
