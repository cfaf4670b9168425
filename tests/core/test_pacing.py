"""Rates and paces: as many grants as were paid for, and never too many of them at once."""

from __future__ import annotations

from itertools import accumulate, pairwise
from math import floor, inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.pacing import LATE_S, Pace, Rate
from dbpool.errors import SettingsError

BEGIN = 1e6  # a clock that has run for days
CLOCK_S = 1e-6  # what such a clock and the arithmetic on it may be off by, with room to spare

rates = st.builds(
    Rate,
    st.one_of(st.integers(1, 5000), st.floats(0.1, 5000)),
    per=st.sampled_from([0.3, 1, 1.0, 7.0, 60.0]),
    burst=st.integers(1, 30),
)
arrivals = st.lists(st.tuples(st.floats(0, 3), st.integers(1, 20), st.floats(0, 2 * LATE_S)), min_size=1, max_size=25)


def grants_to(pace: Pace, callers: list[tuple[float, int, float]]) -> list[float]:
    """When the callers, who come (after a pause, so many, with timers so late), are granted by a first-come gate."""
    now = free_at = BEGIN
    granted = []
    for pause_s, crowd, late_s in callers:
        now += pause_s
        for _ in range(crowd):
            here = max(now, free_at)
            due = pace.next_at(here)
            waited = due > now
            free_at = due + late_s if due > here else here
            pace.take(free_at, waited=waited)
            granted.append(free_at)
    return granted


def saturated(pace: Pace, grants: int, lateness: list[float]) -> list[float]:
    """The same for a line that is never empty."""
    now = BEGIN
    granted = []
    for number in range(grants):
        due = pace.next_at(now)
        if due > now:
            now = due + lateness[number % len(lateness)]
        pace.take(now, waited=number > 0)
        granted.append(now)
    return granted


def most_unpaid(times: list[float], n_per_s: float) -> float:
    """The most grants that any window has beyond those that its length pays for."""
    ahead = [number - (time - BEGIN) * n_per_s for number, time in enumerate(times)]
    return max(last - first + 1 for first, last in zip(accumulate(ahead, min), ahead, strict=True))


@given(rate=rates, callers=arrivals)
def test_no_window_has_more_grants_than_the_bound(rate: Rate, callers: list[tuple[float, int, float]]) -> None:
    pace = Pace(rate)
    n_per_s = rate.n / rate.per
    assert most_unpaid(grants_to(pace, callers), n_per_s) <= rate.burst + (pace.slack_s + CLOCK_S) * n_per_s


@given(n=st.floats(0.1, 100), burst=st.integers(1, 10), callers=arrivals)
def test_up_to_a_hundred_a_second_the_bound_is_one_above_the_burst(
    n: float, burst: int, callers: list[tuple[float, int, float]]
) -> None:
    assert most_unpaid(grants_to(Pace(Rate(n, burst=burst)), callers), n) <= burst + 1 + CLOCK_S * n


@given(rate=rates, callers=arrivals)
def test_nobody_waits_who_need_not(rate: Rate, callers: list[tuple[float, int, float]]) -> None:
    times = grants_to(Pace(rate), [(pause_s, crowd, 0.0) for pause_s, crowd, _ in callers])
    reference = []  # a leaky bucket by the book: the level falls by n / per a second, a grant pours 1 in
    level, last, now = 0.0, BEGIN, BEGIN
    for pause_s, crowd, _ in callers:
        now += pause_s
        for _ in range(crowd):
            at = max(now, last, last + (level + 1 - rate.burst) * rate.interval_s)
            level = max(0.0, level - (at - last) / rate.interval_s) + 1
            last = at
            reference.append(at)
    assert times == pytest.approx(reference, rel=0, abs=1e-5)


@given(rate=rates, lateness=st.lists(st.floats(0, 0.999 * LATE_S), min_size=1, max_size=7))
def test_late_timers_lose_nothing_over_time(rate: Rate, lateness: list[float]) -> None:
    grants = 400
    took_s = saturated(Pace(rate), grants, lateness)[-1] - BEGIN
    on_time_s = max(0, grants - rate.burst) * rate.interval_s
    assert on_time_s - CLOCK_S <= took_s <= on_time_s + LATE_S + CLOCK_S


@pytest.mark.parametrize("rate", [Rate(3, per=0.7), Rate(997, per=60), Rate(1 / 3, per=0.0001), Rate(4999.9)])
def test_many_grants_do_not_drift(rate: Rate) -> None:
    pace = Pace(rate)
    now = BEGIN
    for _ in range(200_000):
        now = pace.next_at(now)
        pace.take(now, waited=True)
    assert now - BEGIN == pytest.approx(199_999 * rate.interval_s, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize("burst", [1, 2, 10])
@pytest.mark.parametrize("waited", [False, True])
@pytest.mark.parametrize("pause_s", [1.5, 30.0, 1e5])
def test_after_a_pause_or_a_blocked_loop_there_is_one_burst_at_once(burst: int, waited: bool, pause_s: float) -> None:
    pace = Pace(Rate(2, burst=burst))
    saturated(pace, 50, [0.0])
    now = pace.next_at(BEGIN) + burst * 0.5 + pause_s
    at_once = 0
    while pace.next_at(now) <= now:
        pace.take(now, waited=waited)
        at_once += 1
    assert at_once == burst


def test_a_newcomer_to_an_empty_line_begins_a_new_grid() -> None:
    pace = Pace(Rate(1))
    pace.take(100.0, waited=False)
    pace.take(101.4, waited=False)
    assert pace.next_at(101.4) == pytest.approx(102.4)


def test_who_waited_for_a_late_timer_stays_on_the_grid() -> None:
    pace = Pace(Rate(1))
    pace.take(100.0, waited=False)
    pace.take(101.4, waited=True)
    assert pace.next_at(101.4) == 102.0


@given(rate=rates, now=st.floats(0, 1e9))
def test_a_new_pace_grants_a_burst_at_once(rate: Rate, now: float) -> None:
    pace = Pace(rate)
    for _ in range(rate.burst):
        assert pace.next_at(now) == now
        pace.take(now, waited=False)
    assert pace.next_at(now) == pytest.approx(now + rate.interval_s)


def test_grants_are_evenly_spread_without_a_burst() -> None:
    times = saturated(Pace(Rate(500, per=60)), 101, [0.0])
    assert [after - before for before, after in pairwise(times)] == pytest.approx([0.12] * 100)


@given(rate=rates, seconds=st.floats(1, 1000))
def test_the_total_is_rate_times_time(rate: Rate, seconds: float) -> None:
    expected = rate.burst + floor(seconds * rate.n / rate.per)
    grants = min(expected, 3000)
    took_s = saturated(Pace(rate), grants, [0.0])[-1] - BEGIN
    assert took_s == pytest.approx(max(0, grants - rate.burst) * rate.interval_s, abs=CLOCK_S)


@pytest.mark.parametrize("n", [0, -1, -0.5, nan, inf, -inf, True, "500", None, 1e10, 10**400])
def test_a_rate_of_no_sense_is_refused(n: float) -> None:
    with pytest.raises(SettingsError, match=r"^a rate's n must be a finite number above 0, at most 1e9, not "):
        Rate(n)


@pytest.mark.parametrize("per", [0, -60, nan, inf, True, "60", None])
def test_a_period_of_no_sense_is_refused(per: float) -> None:
    with pytest.raises(SettingsError, match=r"^a rate's per must be a finite number of seconds above 0"):
        Rate(500, per=per)


@pytest.mark.parametrize("burst", [0, -1, 1.0, nan, True, "1", None])
def test_a_burst_of_no_sense_is_refused(burst: int) -> None:
    with pytest.raises(SettingsError, match=r"^a rate's burst must be a whole number of at least 1, not "):
        Rate(500, burst=burst)


def test_a_burst_that_no_clock_can_count_is_refused() -> None:
    with pytest.raises(SettingsError, match="at most 1e9"):
        Rate(500, burst=10**400)


def test_a_rate_slower_than_any_clock_is_refused() -> None:
    with pytest.raises(SettingsError, match="the time from one grant to the next"):
        Rate(1e-9, per=1e9)
