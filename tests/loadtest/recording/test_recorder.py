"""The recorder: which transaction counts, in which histogram, as what."""

from __future__ import annotations

from itertools import accumulate

from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.histogram import Histogram
from dbpool.loadtest.recording.recorder import BLOCK, Recorder, Splits
from dbpool.loadtest.recording.tally import BESIDES, Outcome, Series, Tally, merged
from dbpool.loadtest.recording.window import SECOND_NS, Window

WINDOW = Window.of(1000, warmup_s=1.0, time_s=2.0)
ALL = Splits(gate=True, schedule=True)
steps = st.integers(0, 10**9)


def recorder(splits: Splits = ALL, *, limit_ns: int | None = None, window: Window = WINDOW) -> Recorder:
    return Recorder(window, splits, limit_ns=limit_ns)


def record(it: Recorder, due: int, *steps: int) -> None:
    a, b, c, d, e, f = accumulate((due, *(steps or (1, 2, 3, 4, 5))))
    it.ok((a, b, c, d, e, f))


def test_each_series_goes_from_one_stamp_to_another() -> None:
    it = recorder()
    record(it, WINDOW.begins_ns, 10, 200, 3_000, 40_000, 500_000)
    tally = it.take()
    assert {name: histogram.max for name, histogram in tally.durations.items()} == {
        Series.LAG: 10,
        Series.GATE_WAIT: 200,
        Series.ACQUIRE: 3_000,
        Series.SERVICE: 40_000,
        Series.RELEASE: 500_000,
        Series.RESPONSE: 43_210,
    }


def test_what_a_driver_does_not_tell_apart_is_in_no_histogram() -> None:
    it = recorder(Splits())
    record(it, WINDOW.begins_ns)
    assert set(it.take().durations) == {Series.RESPONSE, Series.ACQUIRE, Series.SERVICE, Series.RELEASE}


def test_only_what_was_due_in_the_window_counts_whenever_it_ends() -> None:
    it = recorder()
    for due in (WINDOW.begins_ns - 1, WINDOW.begins_ns, WINDOW.ends_ns - 1, WINDOW.ends_ns):
        record(it, due, 0, 0, 0, 10 * SECOND_NS, 0)
        it.timed_out(due, due, 7)
        it.failed(due, "40001")
        it.retried(due, 1)
        it.retried(due, 4)
        it.left_out(due, Outcome.SKIPPED)
        it.left_out(due, Outcome.DROPPED)
    tally = it.take()
    besides = {Outcome.RETRIED: 2, Outcome.RETRIES: 6}
    assert tally.counts == {outcome: 2 for outcome in Outcome if outcome not in BESIDES} | besides
    assert tally.errors == {"40001": 2}
    assert tally.of(Series.SERVICE).n == 2


def test_completions_count_by_the_tenth_of_a_second_also_outside_the_window() -> None:
    it = recorder()
    record(it, WINDOW.anchor_ns, 0, 0, 0, SECOND_NS // 10, 0)
    record(it, WINDOW.ends_ns, 0, 0, 0, SECOND_NS // 10 - 1, 0)
    assert it.take().completions == {1: 1, 30: 1}


def test_a_time_out_enters_the_response_as_long_as_it_was_waited_for() -> None:
    it = recorder()
    it.timed_out(WINDOW.begins_ns, WINDOW.begins_ns + 5, 100)
    tally = it.take()
    assert tally.of(Series.RESPONSE).max == 105
    assert tally.of(Series.SERVICE).n == 0


def test_late_is_what_took_longer_than_the_limit_time_outs_included() -> None:
    it = recorder(limit_ns=100)
    for took in (99, 100, 101):
        record(it, WINDOW.begins_ns, 0, 0, 0, took, 0)
    it.timed_out(WINDOW.begins_ns, WINDOW.begins_ns, 100)
    it.timed_out(WINDOW.begins_ns, WINDOW.begins_ns + 1, 100)
    tally = it.take()
    assert (tally.counts[Outcome.OK], tally.counts[Outcome.TIMEOUT], tally.counts[Outcome.LATE]) == (3, 2, 2)
    assert (tally.due, tally.rate(Outcome.LATE)) == (5, 0.4)


def test_nothing_due_has_no_rate() -> None:
    assert Tally().rate(Outcome.OK) is None


def test_taken_is_what_came_since_the_last_time() -> None:
    it = recorder()
    record(it, WINDOW.begins_ns)
    assert it.take().due == 1
    assert it.take() == Tally()


@given(st.lists(st.tuples(st.integers(-2, 6), steps, steps, steps, steps, steps), max_size=30), st.integers(0, 30))
def test_taken_in_parts_and_merged_is_as_taken_at_once(rows: list[tuple[int, ...]], cut: int) -> None:
    whole, parts = recorder(limit_ns=10**9), recorder(limit_ns=10**9)
    taken = []
    for number, (half_s, *rest) in enumerate(rows):
        for it in (whole, parts):
            record(it, WINDOW.anchor_ns + half_s * SECOND_NS // 2, *rest)
        if number == cut:
            taken.append(parts.take())
    at_once, together = whole.take(), merged([*taken, parts.take()])
    assert at_once == together
    counted = [row for row in rows if 2 <= row[0] < 6]
    assert at_once.of(Series.RESPONSE) == Histogram([sum(row[1:5]) for row in counted])


def test_a_block_that_is_full_is_sorted_without_being_asked() -> None:
    it = recorder()
    for _ in range(BLOCK + 1):
        record(it, WINDOW.begins_ns)
    assert it.take().counts[Outcome.OK] == BLOCK + 1


def test_of_a_second_its_responses_are_kept() -> None:
    it = recorder()
    for took in (5, 70_000, 3_000_000):
        record(it, WINDOW.begins_ns, 0, 0, 0, took, 0)
    it.failed(WINDOW.begins_ns, "40001")
    tally = it.take()
    second = tally.second()
    assert (second.completed, second.response_max, second.counts) == (3, 3_000_000, tally.counts)
    assert second.response.columns() == tally.of(Series.RESPONSE).columns()
