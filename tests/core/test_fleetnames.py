"""How members of a fleet know each other's connections."""

from __future__ import annotations

import pytest

from dbpool.core.fleet import Member
from dbpool.core.fleetnames import LONGEST_NAME, Fleet


def member(name: str = "shop", budget: int = 20, places: int = 4, tag: str = "0000000a") -> Fleet:
    return Fleet(name, budget, places, tag)


def test_members_see_each_other_by_name_and_locks() -> None:
    a, b = member(), member(tag="0000000b")
    sight = a.seen_in(
        [
            ("psql", [1]),
            (a.application_name, []),
            (a.application_name, []),
            (a.announcement(3, 9), [0, 2, a.places[0], a.guard]),
            (b.announcement(1, 5), [1]),
            ("dbpool shop #" + a.mark + "-0000000c", []),
        ]
    )
    assert sight.slots == 20 - 4 - 1
    assert sight.members == [
        Member("0000000a", 3, 9, frozenset({0, 2}), has=2),
        Member("0000000b", 1, 5, frozenset({1})),
        Member("0000000c", has=1),
    ]


@pytest.mark.parametrize("other", [member("shops"), member(budget=21), member(places=5)])
def test_fleets_of_another_name_or_size_are_others(other: Fleet) -> None:
    assert member().key != other.key
    assert member().seen_in([(other.announcement(1, 1), [0]), (other.application_name, [])]).members == []


@pytest.mark.parametrize("name", ["x" * 100, "é" * 100, "a #b-c 7/8"])
def test_long_names_leave_room_for_what_must_be_read(name: str) -> None:
    fleet = member(name)
    assert len(fleet.announcement(10_000, 10_000).encode()) <= LONGEST_NAME
    assert fleet.seen_in([(fleet.announcement(10_000, 10_000), [])]).members == [Member(fleet.tag, 10_000, 10_000)]


@pytest.mark.parametrize("name", ["магазин", "магазин" * 20, "é" * 100, "shop 🛒", "a\tb\n" * 20])
def test_a_server_that_escapes_what_is_not_ascii_leaves_what_must_be_read(name: str) -> None:
    """As PostgreSQL 16 and later: ``\\xNN`` for each such byte, and then the first 63 bytes."""
    fleet = member(name)

    def kept(text: str) -> str:
        escaped = "".join(chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}" for byte in text.encode())
        return escaped[:LONGEST_NAME]

    sight = fleet.seen_in([(kept(fleet.announcement(10_000, 10_000)), []), (kept(fleet.application_name), [])])
    assert sight.members == [Member(fleet.tag, 10_000, 10_000, has=1)]


def test_places_are_beside_the_slots() -> None:
    assert list(member().places) == [15, 16, 17, 18]
