"""pgbench's log becomes the same figures as what is recorded here."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dbpool.core.stages import Stage
from dbpool.loadtest.load import Load
from dbpool.loadtest.pgbench.log import Line, anchor_of, line_of, lines_of, seconds_of
from dbpool.loadtest.pgbench.said import Progress, aborted_by, complaint_of, progress_of
from dbpool.loadtest.recording.tally import Outcome, Series, Tally, merged
from dbpool.loadtest.recording.window import Window

MS = 1_000_000
CLOCK_S = 1_000_000  # the system's clock, when the monotonic one shows 0
WINDOW = Window.of(0, warmup_s=1.0, time_s=2.0)
LOAD = Load(clients=2, warmup_s=1.0, time_s=2.0, limit_s=0.1)
OPEN = replace(LOAD, stages=(Stage(2.0, 9, 9),))


def log(*lines: tuple[float, str, str]) -> list[str]:
    """Lines of a file, from (seconds since the anchor, time column, what follows)."""
    return [
        f"0 {number} {took} 0 {CLOCK_S + int(at)} {round(at % 1 * 1e6):06}{rest}\n"
        for number, (at, took, rest) in enumerate(lines)
    ]


def read(*files: list[str], load: Load = LOAD) -> dict[int, Tally]:
    lines = [lines_of(file, load) for file in files]
    return dict(seconds_of(lines, load, WINDOW, clock_ns=CLOCK_S * 1_000_000_000))


def test_what_was_due_in_the_window_counts_and_completions_count_when_they_end() -> None:
    first = log((0.5, "1000", ""), (1.0005, "1000", ""), (1.2, "50000", ""), (3.05, "100000", ""))
    second = log((1.25, "200000", ""), (3.2, "1000", ""))
    seconds = read(first, second)
    assert {number: sum(tally.completions.values()) for number, tally in seconds.items()} == {0: 1, 1: 3, 3: 2}
    assert seconds[1].counts == {Outcome.OK: 2, Outcome.LATE: 1}  # one ended in it that began before
    assert seconds[3].counts == {Outcome.OK: 1}
    total = merged(seconds.values())
    response = total.of(Series.RESPONSE)
    assert (response.n, response.min, response.max, response.total) == (3, 50 * MS, 200 * MS, 350 * MS)
    assert total.of(Series.SERVICE).total == response.total
    assert set(total.durations) == {Series.RESPONSE, Series.SERVICE}
    assert total.completions == {5: 1, 10: 1, 12: 2, 30: 1, 32: 1}


def test_an_open_load_tells_how_late_transactions_began() -> None:
    total = read(log((1.5, "30000", " 10000"), (1.6, "skipped", " 0")), load=OPEN)[1]
    assert [total.of(series).total // MS for series in (Series.RESPONSE, Series.LAG, Series.SERVICE)] == [30, 10, 20]
    assert total.counts == {Outcome.OK: 1, Outcome.SKIPPED: 1}


def test_failures_are_errors_by_sqlstate() -> None:
    total = read(log((1.5, "serialization", ""), (1.6, "deadlock", ""), (1.7, "failed", ""), (0.5, "failed", "")))
    assert merged(total.values()).errors == {"40001": 1, "40P01": 1, "failed": 1}
    assert merged(total.values()).counts == {Outcome.ERROR: 3}
    assert not merged(total.values()).completions


def test_retries_are_counted_besides() -> None:
    load = replace(LOAD, max_tries=5)
    total = read(
        log((1.5, "1000", " 0"), (1.6, "1000", " 3"), (1.7, "serialization", " 4"), (0.5, "1", " 2")), load=load
    )
    assert total[1].counts == {Outcome.OK: 2, Outcome.ERROR: 1, Outcome.RETRIED: 2, Outcome.RETRIES: 7}
    assert total[1].due == 3
    lag = replace(OPEN, max_tries=0)
    assert line_of("1 7 250 0 12 34 56 7", lag) == Line(12_000_034, 250, 56, "", 7)


def test_a_line_that_was_not_finished_is_left_out() -> None:
    assert len(list(lines_of(["0 1 5 0 1 2\n", "0 2 5 0 1"], LOAD))) == 1
    assert line_of("1 7 250 0 12 34", LOAD) == Line(12_000_034, 250, 0, "")


@pytest.mark.parametrize(
    ("first", "reported", "rate", "expected"),
    [
        (None, 5, None, 5),
        (1000, 5, None, 1000),  # a closed load begins with its first transaction
        (3_000_000_000, 5, 1.0, 2_000_000_000),
        (3_000_000_000, 2_500_000_000, 1.0, 2_500_000_000),
        (3_000_000_000, 3_500_000_000, 1.0, 3_000_000_000),
    ],
)
def test_the_begin_is_what_log_and_reports_agree_on(
    first: int | None, reported: int, rate: float | None, expected: int
) -> None:
    assert anchor_of(first, reported_ns=reported, rate=rate) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("progress: 17.5 s, 100.4 tps, lat 0.020 ms stddev 0.137, 0 failed\n", Progress(17.5, 100, 0, 0)),
        (
            "progress: 9.0 s, 16.0 tps, lat 1.1 ms, 2 failed, lag 8.4 ms, 3 skipped\n",
            Progress(9.0, 16, 2, 3),
        ),
        (
            "progress: 9.0 s, 6.1 tps, lat 0.1 ms, 749 failed, 84 retried, 109 retries\n",
            Progress(9.0, 6, 749, 0),
        ),
        ("pgbench: error: nothing\n", None),
    ],
)
def test_reports_are_read(line: str, expected: Progress | None) -> None:
    assert progress_of(line) == expected


@pytest.mark.parametrize(
    ("line", "complaint", "label"),
    [
        (
            "pgbench: error: client 2 script 0 aborted in command 1 query 0: ERROR:  division by zero\n",
            "client 2 script 0 aborted in command 1 query 0: ERROR:  division by zero",
            "client aborted: division by zero",
        ),
        (
            "pgbench: error: client 0 aborted in command 1 (SQL) of script 0; perhaps the backend died\n",
            "client 0 aborted in command 1 (SQL) of script 0; perhaps the backend died",
            "client aborted: connection lost",
        ),
        ("pgbench: error: Run was aborted; the above\n", "Run was aborted; the above", None),
        ("LINE 1: select\n", None, None),
    ],
)
def test_complaints_are_read(line: str, complaint: str | None, label: str | None) -> None:
    assert complaint_of(line) == complaint
    assert aborted_by(complaint or "") == label
