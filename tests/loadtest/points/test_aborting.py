"""When a run ends early."""

from __future__ import annotations

from collections import Counter

from dbpool.core.loadtest.thresholds import Threshold, threshold_of
from dbpool.core.stages import Stage
from dbpool.loadtest.aborting import Abort
from dbpool.loadtest.load import Load
from dbpool.loadtest.recording.tally import Outcome, Series, Tally

LOAD = Load(stages=(Stage(10.0, 100.0, 100.0),), time_s=10.0, limit_s=0.05)
MS = 1_000_000


def second(ok: int = 2000, response_ms: float = 1.0, errors: int = 0) -> Tally:
    tally = Tally(counts=Counter({Outcome.OK: ok, Outcome.ERROR: errors}), completions=Counter({0: ok}))
    tally.add(Series.RESPONSE, [round(response_ms * MS)] * ok)
    return tally


def stopped_after(text: str, *seconds: Tally) -> list[int]:
    """In which seconds it was stopped."""
    taken: list[Tally] = []
    stops: list[int] = []

    def stop(threshold: Threshold) -> None:
        assert threshold.text == text
        stops.append(len(taken))

    abort = Abort([threshold_of(text)], stop)
    for tally in seconds:
        taken.append(tally)
        abort.take(LOAD, tally)
    return stops


def test_two_bad_seconds_in_a_row_end_it_once() -> None:
    slow = second(response_ms=80.0)
    assert stopped_after("response_ms:p(99)<50", second(), slow, slow, slow, slow) == [3]
    assert stopped_after("response_ms:p(99)<50", slow, second(), slow, second()) == []


def test_errors_and_throughput_are_judged_too() -> None:
    assert stopped_after("error_rate<1%", second(errors=100), second(errors=100)) == [2]
    assert stopped_after("tps>=1000", second(ok=900), second(ok=900)) == [2]
    assert stopped_after("tps>=1000", second(ok=1100), second(ok=1100)) == []


def test_a_second_with_too_few_to_tell_is_no_miss() -> None:
    few = second(ok=20, response_ms=80.0)
    assert stopped_after("response_ms:p(99)<50", few, few, few) == []
    assert stopped_after("recommended_size>=4", few, few) == []
