"""The screen of a run: all that fits and nothing that does not, at whatever moment it is drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dbpool.tool.loadtest.live.drawing import draw
from dbpool.tool.loadtest.live.seen import Seen
from tests.support.loadtestdocument import sample_document
from tests.support.loadtestevents import events_of

Json = dict[str, Any]
EVENTS = list(events_of(sample_document()))


def seen_until(holds: Callable[[Json, Seen], bool]) -> Seen:
    """What was seen when an event came of which this holds, that event included."""
    seen = Seen()
    for event in EVENTS:
        seen.take(event)
        if holds(event, seen):
            return seen
    raise AssertionError("there was no such event")


def is_tick(stage: str, points: int, second: int) -> Callable[[Json, Seen], bool]:
    """Whether a second of the point after so many of *stage* is over."""
    return lambda event, seen: (
        (event["type"], event.get("stage"), event.get("second"), seen.points_in_stage)
        == ("tick", stage, second, points)
    )


def lines_of(seen: Seen, width: int = 80, height: int = 24, **options: Any) -> list[str]:  # noqa: ANN401 - draw's
    return draw(seen, width=width, height=height, now_s=seen.t, **options).plain.split("\n")


@pytest.mark.parametrize(("width", "height"), [(80, 24), (120, 40), (40, 12), (20, 5), (200, 60), (1, 1)])
def test_it_fits_at_every_moment(width: int, height: int) -> None:
    seen = Seen()
    for number, event in enumerate(EVENTS):
        seen.take(event)
        if number % 7 == 0 or event["type"] not in ("tick", "sample"):
            lines = lines_of(seen, width, height)
            assert len(lines) <= height
            assert max(map(len, lines)) <= width


def test_before_anything_is_told_it_says_that_it_calibrates() -> None:
    assert "calibrating" in lines_of(Seen())[1]


def test_the_address_of_the_page_stays_to_be_seen() -> None:
    assert lines_of(Seen(), address="http://127.0.0.1:5665/")[1] == "http://127.0.0.1:5665/"


def test_the_stage_has_its_progress_and_the_time_left() -> None:
    lines = lines_of(seen_until(is_tick("sweep", 8, 5)))
    assert lines[0].startswith("dbpool loadtest run  PostgreSQL 18.1")
    assert lines[1].startswith("sweep  as many clients as connections")
    assert lines[1].endswith("point 9 of 18, 1:54 left")
    assert lines[2].endswith("47 %")


@pytest.mark.parametrize(
    ("second", "said"),
    [(0, "warm-up, 1 of 3 s"), (1, "warm-up, 2 of 3 s"), (2, " 0 of 9 s"), (7, " 5 of 9 s"), (11, " 9 of 9 s")],
)
def test_the_point_under_way_says_how_far_it_is(second: int, said: str) -> None:
    (line,) = (line for line in lines_of(seen_until(is_tick("queue", 1, second))) if "pool of 8, 64 clients" in line)
    assert line.startswith("dbpool, pool of 8, 64 clients")
    assert said in line


def test_the_last_minute_is_drawn_and_no_more() -> None:
    seen = seen_until(is_tick("sweep", 8, 5))
    (tps,) = (line for line in lines_of(seen, 120) if line.startswith("tps "))
    assert sum(letter in "▁▂▃▄▅▆▇█" for letter in tps) == 60
    assert f"most {max(value for value in seen.tps if value):,.0f}" in tps


def test_the_sizes_are_in_order_and_the_best_is_marked() -> None:
    lines = lines_of(seen_until(is_tick("sweep", 8, 5)))
    sizes = [line for line in lines if line.startswith("dbpool, pool of ") and " s " not in line]
    assert [int(line.split()[3]) for line in sizes] == [1, 2, 4, 8, 16, 32, 64]
    assert [line.split()[3] for line in sizes if "best so far" in line] == ["16"]
    assert [line.split()[3] for line in sizes if line.endswith("generator")] == ["64"]


def test_where_there_is_no_room_the_sizes_around_the_best_are_shown() -> None:
    lines = lines_of(seen_until(is_tick("sweep", 8, 5)), height=17)
    assert any("best so far" in line for line in lines)
    assert any("of 7 loads" in line for line in lines)


def test_of_an_open_loop_no_rate_is_best() -> None:
    lines = lines_of(seen_until(is_tick("overload", 3, 5)))
    assert sum("/s" in line for line in lines) == 4
    assert not any("best" in line for line in lines)


def test_when_the_knee_is_known_the_size_to_use_is_marked() -> None:
    seen = seen_until(is_tick("sweep", 17, 11))
    for event in EVENTS:
        if event["type"] in ("point", "verdict") and event.get("stage", "sweep") == "sweep":
            seen.take(event)
    assert [line.split()[3] for line in lines_of(seen, 120, 40) if "to use" in line] == ["14"]


def test_errors_are_told_by_class_when_those_are_known() -> None:
    seen = seen_until(is_tick("sweep", 1, 3))
    tick = next(event for event in EVENTS if event["type"] == "tick")
    seen.take(tick | {"errors": 7, "timeouts": 2})
    assert "errors       in this point: 7, timeouts: 2" in lines_of(seen)
    point = next(event for event in EVENTS if event["type"] == "point")
    seen.take(point | {"counts": point["counts"] | {"errors": {"40001": 7}}})
    assert "errors       40001: 7, timeouts: 2" in lines_of(seen)


def test_what_cannot_be_seen_is_said_and_not_taken_for_nothing() -> None:
    seen = Seen()
    assert "connections  not looked at yet" in lines_of(seen)
    sample = next(event for event in EVENTS if event["type"] == "sample")
    seen.take(sample | {"ours": None, "others": None, "waits": None, "cpu": None})
    assert "connections  not seen; of others not seen" in lines_of(seen)
    seen.take(sample | {"ours": {"active": 3, "idle": 0}, "others": {}, "waits": {"CPU": 2, "Lock": 1}, "cpu": None})
    assert "connections  3 active; of others 0" in lines_of(seen)
    assert "waiting for  2 CPU, 1 Lock" in lines_of(seen)


def test_without_drawing_characters_it_is_plain() -> None:
    text = "\n".join(lines_of(seen_until(is_tick("sweep", 8, 5)), plain=True))
    assert not any(letter in "▁▂▃▄▅▆▇█▏▎▍▌▋▊▉" for letter in text)
    assert "####" in text
