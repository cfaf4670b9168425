"""The canonical session in short: a few of every kind of fault."""

from __future__ import annotations

import os
import signal
from multiprocessing.connection import Connection
from typing import cast

import pytest

from dbpool.testing import Damage, Way
from tests.rigs.told import Told
from tests.rigs.wire.run import Wire, apart, run
from tests.rigs.wire.spots import AtByte, AtMessage, Delayed, End, Passed, Recorded, Sliced

RECORD = Recorded(
    [
        Passed(1, Way.TO_SERVER, 0, "StartupMessage", 0, 20, is_decisive=False),
        Passed(1, Way.TO_SERVER, 1, "Query", 20, 20, is_decisive=True),
        Passed(1, Way.TO_CLIENT, 0, "Authentication", 0, 20, is_decisive=False),
        Passed(2, Way.TO_SERVER, 0, "CancelRequest", 0, 16, is_decisive=False),
        Passed(2, Way.TO_CLIENT, 0, "CopyData", 0, 5, is_decisive=False),
    ]
)


def test_a_session_cut_anywhere_lies_to_nobody_and_leaves_a_pool_that_works() -> None:
    found = run(4.0, 20261128, print, of=lambda spot: not isinstance(spot, AtMessage))
    assert found.violations == []
    assert found.done["cuts"] >= 4
    assert found.done["writes told"] >= 20
    assert {28, 29, 31, 54} <= set(found.faults)


def test_a_session_with_spoilt_messages_lies_to_nobody_and_leaves_a_pool_that_works() -> None:
    found = run(2.0, 20261128, print, of=lambda spot: isinstance(spot, AtMessage))
    assert found.done["other faults"] >= 5
    assert {29, 30} <= set(found.faults)
    assert found.violations == []


class Spoilt:
    """A peer whose process ends in the middle of its second batch."""

    def figures(self) -> dict[str, int]:
        return {"sessions": 0}

    def tell_all(self, seconds: float, to: Connection) -> None:
        to.send({"sessions": int(seconds)})
        os.kill(os.getpid(), signal.SIGSEGV)


def test_what_a_peer_had_found_when_it_ended_its_process_is_kept_and_that_told() -> None:
    assert apart(cast("Wire", Spoilt()), 7.0) == {"sessions": 7, "ended the process": 1}


def test_every_byte_of_every_connection_is_a_spot_and_every_message() -> None:
    spots = RECORD.spots(1)
    cuts = {(each.session, each.way, each.byte, each.end) for each in spots if isinstance(each, AtByte)}
    assert len(cuts) == (41 + 21 + 17 + 6) * len(End)
    assert sum(isinstance(each, AtMessage) for each in spots) == 5 * len(Damage) - 1  # ENDS_THE_PROCESS
    assert len(spots) == len(set(spots))


def test_a_seed_chooses_the_order_and_the_first_spots_have_some_of_each_kind() -> None:
    assert RECORD.spots(1) == RECORD.spots(1) != RECORD.spots(2)
    first = RECORD.spots(3)[:12]
    assert {type(each) for each in first} == {AtByte, AtMessage, Sliced, Delayed}
    assert {each.row for each in first} == {28, 29, 30, 31, 54}


@pytest.mark.parametrize(
    ("told", "stored", "fits"),
    [
        (Told.DONE, 3, True),
        (Told.DONE, 2, False),
        (Told.DONE, 6, False),
        (Told.NOT_DONE, 0, True),
        (Told.NOT_DONE, 3, False),
        (Told.UNKNOWN, 3, True),
        (Told.UNKNOWN, 0, True),
        (Told.UNKNOWN, 1, False),
    ],
)
def test_what_is_told_fits_what_is_stored_all_or_nothing_and_once(told: Told, stored: int, fits: bool) -> None:
    assert told.fits(stored, 3) is fits
