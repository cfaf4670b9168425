"""When a bystander is as it was before, from the seconds of a load that never ran."""

from __future__ import annotations

import pytest

from dbpool.loadtest.recording.tally import Outcome, Second, Series, Tally
from dbpool.loadtest.stages.bystander import calm_from, rate_for

MS = 1_000_000


def second_of(*responses_ms: int) -> Second:
    tally = Tally()
    tally.add(Series.RESPONSE, [each * MS for each in responses_ms])
    tally.counts[Outcome.OK] += len(responses_ms)
    return tally.second()


CALM, SLOW, SILENT = second_of(*[1] * 10), second_of(1, 500), second_of()


@pytest.mark.parametrize(
    ("rest", "first"),
    [
        ([CALM, CALM, CALM], 0),
        ([SLOW, CALM, CALM], 1),
        ([SILENT, SLOW, CALM], 2),
        ([CALM, CALM, SILENT], 0),
        ([SILENT, SILENT, SILENT], None),
        ([CALM, SILENT, SILENT], None),
        ([SILENT], None),
        ([], None),
    ],
)
def test_who_hears_nothing_is_not_as_before(rest: list[Second], first: int | None) -> None:
    assert calm_from(rest, 6 * MS) == first


def test_it_leaves_its_connection_most_of_the_time() -> None:
    assert rate_for(None) == rate_for(1.0) == 10.0
    assert rate_for(150.0) == 2.0
