"""What a server's answer means that may have crashed since it was asked for a transaction's id."""

from __future__ import annotations

import pytest

from dbpool import Outcome
from dbpool.core.outcomes import after_a_crash, checkpoints


@pytest.mark.parametrize(
    ("is_behind", "count", "outcome"),
    [
        (True, 1, Outcome.ABORTED),  # the log was kept less far than the transaction had come
        (False, 1, Outcome.COMMITTED),  # farther
        (True, 0, Outcome.COMMITTED),  # no crash at all: the counters were set back by hand
        (False, 0, Outcome.COMMITTED),
        (False, 2, Outcome.UNKNOWN),  # how far it had been kept is no longer told
    ],
)
def test_what_committed_means_of_a_server_that_counts_anew(is_behind: bool, count: int, outcome: Outcome) -> None:
    assert after_a_crash(is_behind=is_behind, count=count) is outcome


def test_checkpoints_are_counted_where_the_version_has_them() -> None:
    assert "pg_stat_bgwriter" in checkpoints(160009)
    assert "pg_stat_checkpointer" in checkpoints(170000)
