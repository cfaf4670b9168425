"""Every event has a sentence, and times are said as people say them."""

from __future__ import annotations

from typing import get_args

import pytest

from dbpool.events import (
    Closed,
    Closing,
    ConnectFailed,
    ConnectionClosed,
    ConnectionOpened,
    DeadlockFound,
    Draining,
    Event,
    LeakReturned,
    LeakSuspected,
    LeaseReclaimed,
    OutageEnded,
    Paused,
    PoolerFound,
    Quarantined,
    QuarantineEnded,
    Reason,
    Resized,
    Resumed,
    SlowAcquire,
    SlowQuery,
)  # fmt: skip
from dbpool.web.telling import in_words, seconds
from tests.web.samples import HOLDER

EVENTS: list[Event] = [
    ConnectionOpened(0.012), ConnectionClosed(Reason.IDLE), ConnectFailed("OSError: refused", 3), OutageEnded(3, 4.0),
    PoolerFound("transaction", "PgBouncer", False, True), Quarantined(1), QuarantineEnded(True, 0),
    LeakSuspected(HOLDER), LeakReturned(HOLDER), LeaseReclaimed("a.py:1"),
    DeadlockFound("one\ntwo"), Paused(), Resumed(), Resized(5, 1), Draining(4, 0.0), Closing(), Closed((HOLDER,)),
]  # fmt: skip
OWN_TABLES = {SlowQuery, SlowAcquire}


def test_there_is_a_sentence_for_each_kind() -> None:
    assert {type(event) for event in EVENTS} == set(get_args(Event)) - OWN_TABLES


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_is_a_sentence(event: Event) -> None:
    words = in_words(event)
    assert "\n" not in words
    assert type(event).__name__ not in words


def test_an_address_in_an_error_is_not_told() -> None:
    event = ConnectFailed("OSError: no postgresql://app:canary@db/shop", 1)
    assert in_words(event) == "connecting failed, 1 time in a row: OSError: no URL"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0, "0 s"), (0.00035, "350 µs"), (0.0123, "12.3 ms"), (0.9999, "1.0 s"), (3.24, "3.2 s"),
        (59.99, "1 min 0 s"), (245, "4 min 5 s"), (7_800, "2 h 10 min"), (40_000_000, "11,111 h 6 min"),
    ],
)  # fmt: skip
def test_times_are_said_as_people_say_them(value: float, words: str) -> None:
    assert seconds(value) == words
