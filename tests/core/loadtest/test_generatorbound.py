"""Whether the generator was the bottleneck."""

from __future__ import annotations

import pytest

from dbpool.core.histogram import Histogram
from dbpool.core.loadtest.generatorbound import reasons_for

MS = 1_000_000


def reasons(
    cpu: float | None = 0.5,
    lag: float = 1.0,
    response: float = 5.0,
    tps: float = 100.0,
    ceiling: float | None = 1000.0,
    n: int = 1000,
    loop: float = 0.0,
) -> list[str]:
    """Of transactions that all had the same lag and response, in ms."""
    lags, loops, responses = (Histogram([round(value * MS)] * n if value else ()) for value in (lag, loop, response))
    return list(reasons_for(cpu=cpu, lag=lags, loop_lag=loops, response=responses, tps=tps, ceiling_tps=ceiling))


def test_there_is_no_reason_below_every_limit() -> None:
    assert reasons(cpu=0.9, lag=2.0, tps=700.0) == []


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (reasons(cpu=0.91), "processor"),
        (reasons(lag=2.1), "2.1 ms late at p99 (limit 2.0 ms)"),
        (reasons(lag=2.1, n=999), "late at p90"),
        (reasons(tps=701.0), "70% of the 1,000"),
    ],
)
def test_each_limit_is_a_reason_of_its_own(seen: list[str], words: str) -> None:
    assert len(seen) == 1
    assert words in seen[0]


def test_lag_is_judged_beside_a_long_response() -> None:
    assert reasons(lag=9.0, response=100.0) == []
    assert reasons(lag=11.0, response=100.0) != []


def test_in_a_closed_load_the_event_loop_is_judged_beside_the_response() -> None:
    assert reasons(lag=0.0, loop=2.0, response=1.0) == []
    assert reasons(lag=0.0, loop=4.9, response=10.0) == []
    assert "5.1 ms late on average (limit 5.0 ms)" in reasons(lag=0.0, loop=5.1, response=10.0)[0]
    assert reasons(lag=1.0, loop=5.1, response=10.0) == []  # what was due at fixed times has a lag of its own


def test_what_is_not_known_is_no_reason() -> None:
    assert reasons(cpu=None, lag=50.0, n=99, tps=1e9, ceiling=None) == []


def test_processors_that_others_used_are_a_reason() -> None:
    common = {"cpu": 0.5, "lag": Histogram(), "loop_lag": Histogram(), "response": Histogram([5 * MS]), "tps": 1.0}
    assert list(reasons_for(**common, ceiling_tps=None, starved=0.2)) == []  # type: ignore[arg-type]
    [why] = reasons_for(**common, ceiling_tps=None, starved=0.21)  # type: ignore[arg-type]
    assert "others used the generator's processors for 21% of the time (limit 20%)" in why
