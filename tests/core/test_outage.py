"""When a server counts as gone, and when it is tried again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.outage import Outage
from dbpool.core.retry import Backoff

instants = st.floats(0, 1e6)


def outage(*failed_at: float, denied: bool = False, chance: float = 1.0) -> Outage:
    """An outage with one second of patience after connects that failed at those times, each at once."""
    outage = Outage(1.0, Backoff(first_s=0.1, cap_s=2.0))
    for now in failed_at:
        outage.failed(now, now, denied=denied, chance=chance)
    return outage


@given(now=instants)
def test_nobody_is_refused_while_nothing_has_failed(now: float) -> None:
    assert not outage().refuses(now)


@given(lasted=st.floats(0, 0.999))
def test_a_hiccup_shorter_than_the_patience_refuses_nobody(lasted: float) -> None:
    assert not outage(100.0, 100.0 + lasted).refuses(100.0 + lasted)


@given(lasted=st.floats(1.001, 1e5))
def test_an_outage_longer_than_the_patience_refuses_everybody(lasted: float) -> None:
    assert outage(100.0).refuses(100.0 + lasted)
    assert outage(100.0, 100.0 + lasted).refuses(100.0 + lasted)


def test_patience_counts_from_the_first_failure_not_the_last() -> None:
    assert outage(100.0, 100.5, 100.9).refuses(101.0)


def test_patience_counts_the_time_that_the_first_connect_took_to_fail() -> None:
    slow = Outage(1.0, Backoff(first_s=0.1, cap_s=2.0))
    slow.failed(100.0, 110.0, denied=False, chance=0.5)
    assert slow.refuses(110.0)
    assert slow.next_try_at == pytest.approx(110.1)


@pytest.mark.parametrize(("lasted_s", "longest_s"), [(0.1, 0.1), (2, 0.1), (10, 0.5), (39, 1.95), (3600, 2.0)])
def test_a_server_that_was_away_for_moments_is_tried_often_and_one_that_was_for_long_is_not(
    lasted_s: float, longest_s: float
) -> None:
    away = outage(*[50.0] * 20, 50.0 + lasted_s)
    assert away.next_try_at - 50.0 - lasted_s == pytest.approx(longest_s)


def test_who_is_denied_is_not_tried_often() -> None:
    assert outage(*[50.0] * 20, denied=True).next_try_at == pytest.approx(52.0)


def test_a_denial_refuses_at_once() -> None:
    assert outage(100.0, denied=True).refuses(100.0)


def test_a_denial_that_turns_into_another_failure_has_patience_again() -> None:
    mixed = outage(100.0, denied=True)
    mixed.failed(100.2, 100.2, denied=False, chance=1.0)
    assert not mixed.refuses(100.2)
    assert mixed.refuses(101.0)


@pytest.mark.parametrize("denied", [False, True])
def test_an_outage_of_which_nobody_has_heard_for_long_has_patience_again(denied: bool) -> None:
    forgotten = outage(100.0, 105.0, denied=denied)
    forgotten.begins(105.9)
    assert forgotten.refuses(105.9)
    forgotten.begins(200.0)
    assert not forgotten.refuses(200.9)
    assert forgotten.refuses(201.0)
    assert forgotten.failures == 2  # its end is still to be told


@pytest.mark.parametrize("denied", [False, True])
def test_a_connect_that_works_ends_it(denied: bool) -> None:
    ended = outage(100.0, 105.0, denied=denied)
    ended.ended()
    assert not ended.refuses(106.0)
    assert ended.connects_at_once(3) == 3
    assert ended.next_try_at <= 106.0


def test_after_its_end_patience_and_backoff_begin_anew() -> None:
    again = outage(100.0, 101.0, 102.0, 103.0)
    again.ended()
    again.failed(200.0, 200.0, denied=False, chance=1.0)
    assert not again.refuses(200.9)
    assert again.next_try_at == pytest.approx(200.1)


@given(most=st.integers(1, 100), failures=st.integers(1, 20))
def test_one_prober_goes_on_while_connecting_fails(most: int, failures: int) -> None:
    assert outage().connects_at_once(most) == most
    assert outage(*[1.0] * failures).connects_at_once(most) == 1


@given(failures=st.integers(1, 40), chance=st.floats(0, 1))
def test_the_next_try_comes_within_the_backoff(failures: int, chance: float) -> None:
    failing = outage(*[50.0] * failures, chance=chance, denied=True)
    assert failing.next_try_at - 50.0 == pytest.approx(Backoff(0.1, 2.0).delay_s(failures, chance))
    assert 50.0 <= failing.next_try_at <= 52.0
