"""Chunks that one transaction stores."""

from __future__ import annotations

from dbpool.core.grouping import LONG_S, MOST, SHORT_S, Grouping


def test_it_doubles_while_transactions_are_short_up_to_the_most() -> None:
    grouping = Grouping()
    seen = []
    for _ in range(6):
        seen.append(grouping.now)
        grouping.stored(grouping.now, SHORT_S / 2)
    assert seen == [1, 2, 4, 8, 8, 8]
    assert MOST == 8


def test_it_stays_where_they_are_neither_short_nor_long_and_shrinks_where_they_are_long() -> None:
    grouping = Grouping()
    for _ in range(3):
        grouping.stored(grouping.now, 0.001)
    grouping.stored(8, (SHORT_S + LONG_S) / 2)
    assert grouping.now == 8
    grouping.stored(8, LONG_S * 2)
    assert grouping.now == 4
    grouping.stored(1, LONG_S * 2)
    assert grouping.now == 1


def test_fewer_chunks_than_were_allowed_prove_nothing_about_more() -> None:
    grouping = Grouping()
    grouping.stored(1, 0.001)
    grouping.stored(1, 0.001)
    assert grouping.now == 2


def test_after_a_failure_it_begins_anew() -> None:
    grouping = Grouping()
    for _ in range(3):
        grouping.stored(grouping.now, 0.001)
    grouping.failed()
    assert grouping.now == 1
