"""How far behind a standby is, and which ones may answer a read."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.replaying import Lsn, Progress, Seen, may_read

PLACES = st.integers(0, 2**64 - 1)


@given(PLACES)
def test_a_place_is_read_as_it_is_written(number: int) -> None:
    assert Lsn.parse(str(Lsn(number))) == number


@pytest.mark.parametrize("text", ["", "0", "0/", "/0", "0/x", "0/123456789", "-1/0", "0/0/0", " 0/0"])
def test_what_is_no_place_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"0/16B3748|invalid literal"):
        Lsn.parse(text)


def test_the_place_of_the_next_record_is_behind_a_page_s_header_where_nobody_has_replayed_to() -> None:
    assert str(Lsn.of_insert("0/3000028")) == "0/3000000"  # a segment's first page
    assert str(Lsn.of_insert("0/3002018")) == "0/3002000"
    assert str(Lsn.of_insert("0/3002028")) == "0/3002000"
    assert str(Lsn.of_insert("0/3002050")) == "0/3002050"


def test_the_lag_is_the_time_since_the_primary_was_where_a_standby_is_now() -> None:
    progress = Progress()
    assert progress.lag_s(5) is None
    for at, place in enumerate([10, 20, 20, 20, 30]):
        progress.saw(place, float(at))
    assert progress.lag_s(30) == progress.lag_s(99) == 0.0
    assert progress.lag_s(29) == progress.lag_s(20) == 1.0  # it was at 20 until the third second
    assert progress.lag_s(19) == 4.0
    assert progress.lag_s(9) is None


def test_a_primary_that_is_idle_makes_nobody_lag() -> None:
    progress = Progress()
    for at in range(1000):
        progress.saw(7, float(at))
    assert progress.lag_s(7) == 0.0


def test_a_new_primary_that_has_less_begins_anew() -> None:
    progress = Progress()
    progress.saw(100, 1.0)
    progress.saw(50, 2.0)
    assert progress.lag_s(50) == 0.0


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 200))
def test_no_lag_is_told_that_is_shorter_than_the_truth(steps: list[int], replayed: int) -> None:
    progress, place, ends = Progress(), 0, []
    for at, step in enumerate(steps):
        place += step
        ends.append(place)
        progress.saw(place, float(at))
    told = progress.lag_s(replayed)
    missing = [at for at, end in enumerate(ends) if end > replayed]
    if told is None:
        assert missing[0] == 0
    else:  # all that was there so long ago is replayed
        assert all(at > len(steps) - 1 - told or told == 0.0 for at in missing) or told >= len(steps) - missing[0]
        assert not missing or told >= len(steps) - missing[0]


def test_the_least_busy_of_those_near_enough_reads() -> None:
    progress = Progress()
    progress.saw(10, 0.0)
    progress.saw(20, 5.0)
    servers = [Seen(0, None, 0, 0), Seen(1, 20, 1, 9), Seen(2, 20, 1, 8), Seen(3, 10, 0, 7), Seen(4, 5, 0, 6)]
    assert may_read(servers, progress, max_lag_s=1.0, after=None) == ([2, 1], [])
    assert may_read(servers, progress, max_lag_s=9.0, after=None) == ([3, 2, 1], [])
    assert may_read(servers, progress, max_lag_s=9.0, after=15) == ([2, 1], [3])
    assert may_read(servers, progress, max_lag_s=9.0, after=25) == ([], [1, 2, 3])
