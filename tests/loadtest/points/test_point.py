"""What follows from a measured point: throughput, flags, thresholds, the document."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from dbpool.core.stages import Stage
from dbpool.loadtest.document import shown_line
from dbpool.loadtest.generating.health import Health
from dbpool.loadtest.load import DriverName, Load, Target
from dbpool.loadtest.metrics import measured
from dbpool.loadtest.point import Point
from dbpool.loadtest.pointjson import point_json, timeline_json
from dbpool.loadtest.recording.tally import Outcome, Series, Tally, merged

MS = 1_000_000
LOAD = Load(clients=4, warmup_s=1.0, time_s=10.0)


def tally(per_tenth: int = 10, *, first: int, response_ms: int = 40, lag_ms: int | None = None) -> Tally:
    """A second in which each tenth brings as much as the others."""
    made, n = Tally(), per_tenth * 10
    made.counts[Outcome.OK] = n
    made.completions.update({first + tenth: per_tenth for tenth in range(10)})
    for series, took in ((Series.RESPONSE, response_ms), (Series.SERVICE, response_ms), (Series.RELEASE, 0)):
        made.add(series, [took * MS] * n)
    if lag_ms is not None:
        made.add(Series.LAG, [lag_ms * MS] * n)
    return made


def point(load: Load = LOAD, *, in_flight: float | None = 4.0, **changes: Any) -> Point:  # noqa: ANN401 - Point's own fields
    lag = changes.pop("lag_ms", None)
    ticks = [Tally(completions=tally(first=0).completions), *(tally(first=10 * n, lag_ms=lag) for n in range(1, 11))]
    ticks = changes.pop("ticks", ticks)
    brought = {"total": merged(ticks), "seconds": [tick.second() for tick in ticks]}
    fields = {**brought, "healths": [Health(cpu=0.5, in_flight=in_flight)], **changes}
    return Point(target=Target("", DriverName.DBPOOL, 4), load=load, workers=1, **fields)


def test_throughput_is_of_the_window_only() -> None:
    seen = point()
    assert seen.tps is not None
    assert (seen.tps.value, seen.window_s, seen.total.counts[Outcome.OK]) == (100.0, 10.0, 1000)


def test_a_window_that_is_no_whole_tenths_counts_as_long_as_it_is() -> None:
    odd = point(replace(LOAD, warmup_s=0.75, time_s=1.25))
    assert (len(odd.per_tenth), odd.window_s) == (12, 1.25)
    made = Tally(completions=Counter(dict.fromkeys(range(17), 100) | {17: 50}))  # 1,000 a second for 1.75 s
    even = point(replace(LOAD, warmup_s=0.5, time_s=1.25), ticks=[made])
    assert even.tps is not None
    assert even.tps.value == 1000.0


def test_of_a_point_that_was_stopped_whole_seconds_count() -> None:
    whole = point()
    stopped = replace(whole, seconds=whole.seconds[:4], is_complete=False)
    assert (stopped.window_s, stopped.flags) == (2.0, ["incomplete"])
    never_begun = replace(whole, seconds=whole.seconds[:1], is_complete=False)
    assert (never_begun.tps, never_begun.window_s) == (None, 0.0)


def test_a_point_that_fits_together_has_no_flags() -> None:
    assert point().flags == []  # 4 clients = 100 tps x 40 ms


def test_a_point_that_breaks_littles_law_is_suspect() -> None:
    assert point(in_flight=4.5).flags == ["suspect"]
    noop = Target("", DriverName.NOOP, 4)
    assert replace(point(in_flight=4.5), target=noop).flags == []
    assert point(in_flight=None).flags == []
    short = replace(LOAD, time_s=4.0)
    assert point(short, in_flight=4.5).flags == []


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"healths": [Health(cpu=0.5), Health(cpu=0.95)]}, "processor"),
        ({"ceiling_tps": 120.0}, "without a server"),
        ({"load": replace(LOAD, stages=(Stage(10.0, 100, 100),)), "lag_ms": 5}, "late at p99"),
    ],
)
def test_a_slow_generator_is_said_to_be_the_bottleneck(changes: dict[str, Any], why: str) -> None:
    seen = point(**changes)
    assert "generator_bound" in seen.flags
    assert why in seen.bound_by_generator[0]


def test_more_workers_than_one_split_the_pool() -> None:
    assert replace(point(), workers=2).flags == ["pool_sharded"]


def test_thresholds_find_what_was_measured_and_nothing_else() -> None:
    value = measured(point())
    assert value("tps", "avg") == value("tps", "min") == value("tps", "max") == 100.0
    assert value("tps", "p(99)") is None  # of ten seconds
    assert value("response_ms", "p(99)") == pytest.approx(40.0, rel=0.001)
    assert value("response_ms", "p(99.9)") is None  # of a thousand
    assert value("service_ms", "max") == 40.0
    assert value("error_rate", "value") == 0.0
    for name, aggregate in (
        ("connect_ms", "avg"),
        ("wait_ms", "avg"),
        ("late_rate", "value"),
        ("dropped_rate", "value"),
        ("recovery_s", "value"),
    ):
        assert value(name, aggregate) is None, name


def test_time_outs_are_errors_for_a_threshold() -> None:
    ticks = [tally(first=10 * n) for n in range(11)]
    ticks[3].counts.update({Outcome.TIMEOUT: 100, Outcome.ERROR: 175})
    assert measured(point(ticks=ticks))("error_rate", "value") == pytest.approx(0.2)


def test_the_document_is_json_with_null_for_the_unknown() -> None:
    found = json.loads(json.dumps(point_json(point(), number=0, stage="bench", seed=1)))
    assert found["response_ms"]["p99"] == pytest.approx(40.0, rel=0.001)
    assert (found["response_ms"]["p99_9"], found["lag_ms"], found["server"]) == (None, None, None)
    assert (found["counts"]["late"], found["counts"]["skipped"], found["counts"]["dropped"]) == (None, None, None)
    low, high = found["response_ci95_ms"]["p99"]
    assert low <= found["response_ms"]["p99"] <= high
    assert found["response_ci95_ms"]["p99_9"] is None
    lines = timeline_json(point())
    assert [line["completed"] for line in lines] == [100] * 11
    assert lines[0]["response_max_ms"] is None


def test_no_command_line_shows_an_address() -> None:
    argv = ["dbpool", "bench", "postgresql://a:secret@h/d?password=secret", "--url=postgres://a:secret@h", "-c", "1"]
    assert shown_line(argv) == ["dbpool", "bench", "URL", "--url=URL", "-c", "1"]


def test_no_command_line_shows_a_shells_command() -> None:
    argv = ["dbpool", "bench", "--server-cmd", "ssh db PGPASSWORD=secret top", "--server-cmd=a secret", "-c", "1"]
    assert shown_line(argv) == ["dbpool", "bench", "--server-cmd", "CMD", "--server-cmd=CMD", "-c", "1"]


def test_a_server_that_shares_the_machine_may_take_its_processors() -> None:
    healths = [Health(cpu=0.5, in_flight=1.0, starved=0.5)]
    assert point(healths=healths, is_local=True).bound_by_generator == []
    [why] = point(healths=healths, is_local=False).bound_by_generator
    assert "processors" in why
    assert "starved" in point(healths=healths, is_local=True).flags
