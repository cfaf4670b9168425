"""Overload: goodput beyond the peak, and the way back. On a real server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dbpool.loadtest.events import Event
from dbpool.loadtest.load import Load
from dbpool.loadtest.stages.overload import overload
from tests.support.databases import Database
from tests.support.loads import SHORT, script
from tests.support.pools import becomes
from tests.support.stands import check_section, stand_on

TWENTY_MS = script("select pg_sleep(0.02)")  # so that two connections do less than 100 a second, whatever the machine
LOAD = replace(SHORT, warmup_s=0.2, time_s=3.0)


@pytest.mark.slow
async def test_beyond_the_peak_work_is_shed_and_what_is_begun_is_in_time(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, TWENTY_MS, LOAD, told=told) as stand:
        section = await overload(stand, size=2, peak_tps=80.0, limit_ms=400.0, shares=(2.5,), overloaded_s=1.0)
        points, falling = stand.run.points, stand.measured[-1].point.load
    check_section("overload", section)
    (step,) = section["steps"]
    counts = points[step["point"]]["counts"]
    assert step["offered_rate"] == 200.0
    assert step["skipped"] == counts["skipped"] > counts["due"] / 4
    assert (step["dropped"], step["timeouts"], step["errors"]) == (0, 0, 0)
    assert step["goodput_tps"] == (counts["ok"] - counts["late"]) / 3.0 > 0
    assert section["recovery"]["recovery_s"] is not None
    assert section["recovery"]["limit_ms"] == 400.0  # without a step at 70 % nothing better is known
    assert section["behaviour"].startswith("at 250% of its peak it gets ")
    assert "back to normal" in section["behaviour"]
    assert [point["stage"] for point in points] == ["overload", "recovery"]
    assert (falling.warmup_s, falling.warmup_rate) == (1.0, 200.0)  # it falls from the highest rate within one load
    assert points[section["recovery"]["point"]]["offered_rate"] == pytest.approx(56.0)
    (stage,) = [event for event in told if event["type"] == "stage"]
    assert (stage["stage"], stage["points"]) == ("overload", 2)


@pytest.mark.slow
async def test_normal_is_what_the_load_was_that_it_returns_to(database: Database) -> None:
    load = replace(LOAD, time_s=1.5, warmup_s=0.1)
    async with stand_on(database.dsn, "select 1", load) as stand:
        section = await overload(stand, size=2, peak_tps=1500.0, limit_ms=900.0, shares=(0.7,), overloaded_s=0.5)
    (step,) = section["steps"]
    assert step["response_p99_ms"] is not None
    assert section["recovery"]["limit_ms"] == 2 * step["response_p99_ms"]
    assert section["recovery"]["recovery_s"] is None  # a second and a half cannot tell


@pytest.mark.slow
async def test_a_stopped_overload_has_what_there_was(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, TWENTY_MS, Load(warmup_s=0.0, time_s=60.0), told=told) as stand:
        loading = asyncio.create_task(overload(stand, size=2, peak_tps=50.0, limit_ms=500.0, shares=(0.7, 1.5)))
        await becomes(lambda: sum(event["type"] == "tick" for event in told) > 1)
        stand.stop()
        section = await loading
    check_section("overload", section)
    (step,) = section["steps"]
    assert step["goodput_tps"] > 0
    assert section["recovery"] is None


async def test_a_cancelled_overload_leaves_nothing(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, TWENTY_MS, Load(warmup_s=0.0, time_s=60.0), told=told) as stand:
        loading = asyncio.create_task(overload(stand, size=2, peak_tps=50.0, limit_ms=500.0))
        await becomes(lambda: any(event["type"] == "tick" for event in told))
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
