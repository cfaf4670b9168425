"""Budgets: usable slots, the safe cap, each instance's share, and the pool that cannot deadlock."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.loadtest.budget import Fleet, Slots, deadlock_minimum, rule_of_thumb
from dbpool.errors import SettingsError


@pytest.mark.parametrize(
    ("slots", "usable", "free", "cap"),
    [
        (Slots(100, 3), 97, 97, 87),
        (Slots(100, 3, 2, others=10), 95, 85, 75),
        (Slots(100, 3, role_limit=50), 50, 50, 45),
        (Slots(100, 3, database_limit=20, role_limit=50), 20, 20, 15),
        (Slots(10, 3), 7, 7, 2),
        (Slots(100, role_limit=0), 0, 0, 0),
        (Slots(3, 3), 0, 0, 0),
        (Slots(10, 3, others=9), 7, 0, 0),
        # of the others only some count against a limit of the role or of the database
        (Slots(100, 3, role_limit=50, others=40, others_of_role=10), 50, 40, 35),
        (Slots(100, 3, role_limit=50, others=60, others_of_role=10), 50, 37, 32),
        (Slots(100, 3, database_limit=20, role_limit=50, others=9, others_of_role=9, others_of_database=2), 20, 18, 13),
        (Slots(100, 3, database_limit=20, others=30, others_of_database=25), 20, 0, 0),
    ],
)
def test_what_is_usable_is_the_smallest_limit(slots: Slots, usable: int, free: int, cap: int) -> None:
    assert (slots.usable, slots.free, slots.cap) == (usable, free, cap)


@pytest.mark.parametrize(
    ("fleet", "share"),
    [
        (Fleet(), 90),
        (Fleet(4), 22),
        (Fleet(4, 2), 11),
        (Fleet(4, 1.25), 18),
        (Fleet(4, 2, reserve=10), 10),
        (Fleet(91), 0),
        (Fleet(reserve=99), 0),
        (Fleet(3, 1.1), 22),
        (Fleet(3, 1.5), 18),
        (Fleet(1, 2.5), 30),
    ],
)
def test_each_instance_has_its_share_of_what_is_free(fleet: Fleet, share: int) -> None:
    assert fleet.share_of(Slots(90)) == share


def test_a_share_is_not_lost_to_rounding() -> None:
    assert 100 * 1.1 > 110  # as floats have it
    assert Fleet(100, 1.1).share_of(Slots(330)) == 3


@given(st.integers(1, 500), st.integers(1, 50), st.floats(1, 3), st.integers(0, 50))
def test_all_shares_fit_even_during_a_deployment(free: int, instances: int, surge: float, reserve: int) -> None:
    fleet = Fleet(instances, surge, reserve)
    assert instances * surge <= fleet.most + 1e-6 < instances * surge + 1 + 1e-6  # there is no half an instance
    share = fleet.share_of(Slots(free))
    assert share * fleet.most <= max(0, free - reserve)
    assert (share + 1) * fleet.most > free - reserve


@pytest.mark.parametrize("values", [(0, 1.0, 0), (1, 0.5, 0), (1, 1.0, -1), (1, float("nan"), 0)])
def test_a_fleet_that_cannot_be_is_refused(values: tuple[int, float, int]) -> None:
    with pytest.raises(SettingsError):
        Fleet(*values)


def test_one_more_than_all_but_one_each_cannot_deadlock() -> None:
    assert [deadlock_minimum(*each) for each in ((1, 1), (8, 1), (1, 4), (8, 3))] == [1, 1, 4, 17]


def test_the_rule_of_thumb_is_that_of_hikaricp() -> None:
    assert rule_of_thumb(4) == 9


def test_what_binds_is_named_with_its_number() -> None:
    assert Slots(100).binding == "max_connections (100)"
    assert Slots(100, 3, 2).binding == "max_connections less the reserved slots (95)"
    assert Slots(100, role_limit=20, database_limit=30).binding == "the role's connection limit (20)"
    assert Slots(100, role_limit=20, database_limit=30, others_of_database=15).binding.startswith("the database's")
