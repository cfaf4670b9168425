"""What a bystander felt, from the seconds of a load that never ran."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dbpool.core.histogram import Histogram
from dbpool.loadtest.recording.tally import Outcome, Second, Series, Tally
from dbpool.loadtest.recording.window import SECOND_NS
from dbpool.loadtest.stages.bystander import Bystander, Felt

MS = 1_000_000
ALONE = Felt(Histogram([MS] * 50), 0)


def second_of(*responses_ms: int) -> Second:
    tally = Tally()
    tally.add(Series.RESPONSE, [each * MS for each in responses_ms])
    tally.counts[Outcome.OK] += len(responses_ms)
    return tally.second()


CALM, SLOW, SILENT = second_of(*[1] * 10), second_of(1, 500), second_of()


@pytest.mark.parametrize(
    ("rest", "recovery_s"),
    [
        ([CALM, CALM, CALM], 0.0),
        ([SLOW, CALM, CALM], 1.0),
        ([SILENT, SLOW, CALM], 2.0),
        ([CALM, CALM, SILENT], 0.0),
        ([SILENT, SILENT, SILENT], None),
        ([CALM, SILENT, SILENT], None),
        ([SILENT], None),
        ([], None),
    ],
)
def test_who_hears_nothing_is_not_as_before(rest: list[Second], recovery_s: float | None) -> None:
    bystander = Bystander.__new__(Bystander)
    bystander._point = SimpleNamespace(anchor_ns=0, seconds=[CALM, CALM, *rest])  # type: ignore[assignment]  # noqa: SLF001 - in the place of a real one
    found = bystander.recovery_s(ALONE, 2 * SECOND_NS, (2 + len(rest)) * SECOND_NS)
    assert found == recovery_s
