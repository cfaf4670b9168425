"""How members of a fleet divide their budget: max-min fair, never too many, and soon."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.fleet import Demand, Member, Sight, fair_shares


@pytest.mark.parametrize(
    ("wants", "slots", "shares"),
    [
        ([], 5, []),
        ([3], 5, [3]),
        ([9], 5, [5]),
        ([9, 9], 5, [3, 2]),
        ([1, 9, 9], 9, [1, 4, 4]),
        ([9, 1, 9], 10, [5, 1, 4]),
        ([2, 2, 2], 0, [0, 0, 0]),
        ([0, 4], 3, [0, 3]),
    ],
)
def test_shares(wants: list[int], slots: int, shares: list[int]) -> None:
    assert fair_shares(wants, slots) == shares


@given(wants=st.lists(st.integers(0, 30), max_size=12), slots=st.integers(0, 100))
def test_shares_are_max_min_fair(wants: list[int], slots: int) -> None:
    shares = fair_shares(wants, slots)
    assert sum(shares) == min(slots, sum(wants))
    assert all(share <= want for share, want in zip(shares, wants, strict=True))
    unsatisfied = [share for share, want in zip(shares, wants, strict=True) if share < want]
    if unsatisfied:  # who got less than it wants has at most one less than anybody
        assert max(shares) - min(unsatisfied) <= 1


def test_what_nobody_wants_is_shared_by_all_who_would_take_it() -> None:
    sight = Sight([Member("a", 1, 20), Member("b", 9, 20), Member("c", 1, 3), Member("dead", has=3)], slots=20)
    assert [sight.share(tag) for tag in ("a", "b", "c", "dead", "nobody")] == [5, 12, 3, 0, 0]


def test_free_slots_leave_room_for_connections_of_others_that_no_slot_stands_for() -> None:
    a, b = Member("a", 4, 4, frozenset({0, 3}), has=2), Member("b", 4, 4, frozenset({1}), has=1)
    assert Sight([a, b], slots=6).free("a") == [2, 4, 5]
    assert Sight([a, b, Member("dead", has=2)], slots=6).free("a") == [2]
    assert Sight([a, b, Member("dead", has=9)], slots=6).free("a") == []
    lost = Member("b", 4, 4, has=2)  # its slots: the connection by which it held them was cut
    assert Sight([a, lost], slots=6).free("a") == [1, 2]
    assert Sight([a, lost], slots=6).free("b") == [1, 2, 4, 5]


@given(seed=st.integers(0, 10_000))
def test_a_fleet_comes_to_fair_shares_and_never_holds_more_than_there_are(seed: int) -> None:
    rng = random.Random(seed)
    slots = rng.randint(8, 40)
    members = {f"m{n}": Member(f"m{n}", rng.randint(1, 20)) for n in range(rng.randint(1, 8))}

    def step(tag: str) -> None:
        sight = Sight([members[name] for name in sorted(members)], slots)
        me = members[tag]
        share = sight.share(tag)
        holds = set(me.holds)
        while len(holds) > share:
            holds.remove(max(holds))
        holds.update(sight.free(tag)[: max(0, share - len(holds))])
        members[tag] = Member(tag, me.wants, holds=frozenset(holds))
        held = [slot for member in members.values() for slot in member.holds]
        assert len(held) == len(set(held)) <= slots

    for _ in range(4):  # some change what they want, and some die
        for tag in rng.sample(sorted(members), len(members)):
            step(tag)
        if len(members) > 1 and rng.random() < 0.5:
            del members[rng.choice(sorted(members))]
        chosen = rng.choice(sorted(members))
        members[chosen] = Member(chosen, rng.randint(1, 20), holds=members[chosen].holds)
    for _ in range(2):  # everyone gives up what is too much, then everyone takes what is free
        for tag in rng.sample(sorted(members), len(members)):
            step(tag)
    order = sorted(members)
    assert [len(members[tag].holds) for tag in order] == fair_shares([members[tag].wants for tag in order], slots)


def test_demand_is_the_most_of_the_last_looks() -> None:
    demand = Demand(most=5, looks=3)
    assert [demand.look(used) for used in (0, 1, 3, 0, 0, 0)] == [5, 5, 3, 3, 3, 1]
    assert demand.look(105) == 5
