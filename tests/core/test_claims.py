"""Who may take a job that somebody else may still have; whose fault an error is."""

from __future__ import annotations

import pytest

from dbpool.core.blame import blames_item
from dbpool.core.claims import DEAD_GRACE_S, GRACE_S, Claim, Seen, claim, is_alive, lock_key

FREE = Seen(lock_is_free=True)
LOCKED = Seen(lock_is_free=False)
ALIVE_HERE = Seen(lock_is_free=False, has_owner=True, owner_had_lock=True, is_here=True)
ALIVE_ELSEWHERE = Seen(lock_is_free=False, has_owner=True, owner_had_lock=True)
DYING_HERE = Seen(lock_is_free=False, has_owner=True, owner_had_lock=True, is_here=True, is_dead=True)
GONE = Seen(lock_is_free=True, has_owner=True, owner_had_lock=True)
POOLED = Seen(lock_is_free=True, has_owner=True)
POOLED_EXPIRED = Seen(lock_is_free=True, has_owner=True, is_expired=True)
POOLED_DEAD = Seen(lock_is_free=True, has_owner=True, is_here=True, is_dead=True)
LOCKED_EXPIRED = Seen(lock_is_free=False, has_owner=True, owner_had_lock=True, is_expired=True)


@pytest.mark.parametrize(
    ("seen", "at_once", "after_grace", "alive"),
    [
        (FREE, Claim.TAKE, Claim.TAKE, False),
        (GONE, Claim.TAKE, Claim.TAKE, False),
        (POOLED_EXPIRED, Claim.TAKE, Claim.TAKE, False),
        (POOLED_DEAD, Claim.TAKE, Claim.TAKE, False),
        (POOLED, Claim.REFUSE, Claim.REFUSE, True),
        (ALIVE_HERE, Claim.REFUSE, Claim.REFUSE, True),
        (ALIVE_ELSEWHERE, Claim.WAIT, Claim.REFUSE, True),
        (LOCKED_EXPIRED, Claim.WAIT, Claim.REFUSE, True),
        (LOCKED, Claim.WAIT, Claim.REFUSE, False),
        (DYING_HERE, Claim.WAIT, Claim.WAIT, False),
    ],
)
def test_a_job_is_taken_only_from_whoever_is_gone(seen: Seen, at_once: Claim, after_grace: Claim, alive: bool) -> None:
    assert claim(seen, 0.0) is at_once
    assert claim(seen, GRACE_S) is after_grace
    assert claim(seen, DEAD_GRACE_S) is not Claim.WAIT
    assert is_alive(seen) is alive


def test_the_lock_of_a_job_depends_on_its_name_alone() -> None:
    keys = {lock_key(name) for name in ("prices", "Prices", "prices ", "ü")}
    assert len(keys) == 4
    assert all(-(2**63) <= key < 2**63 for key in keys)
    assert lock_key("prices") == -823132406200034551


@pytest.mark.parametrize("state", ["22012", "23505", "23514", "P0001", "42804", "21000", "44000", "54000"])
def test_an_items_data_is_to_blame(state: str) -> None:
    assert blames_item(state)


@pytest.mark.parametrize(
    "state", [None, "40001", "40P01", "57014", "08006", "53100", "53300", "42P01", "42501", "42601", "25006", "54001"]
)
def test_what_the_next_item_would_meet_too_is_no_items_fault(state: str | None) -> None:
    assert not blames_item(state)
