"""Fleet: many pools, a limit that they outgrow, and who gets how much. On a real server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dbpool.errors import SettingsError
from dbpool.loadtest.events import Event
from dbpool.loadtest.load import DriverName
from dbpool.loadtest.server.safety import Refused
from dbpool.loadtest.stages.fleet import fleet
from tests.support.databases import Database
from tests.support.loads import SHORT, script
from tests.support.pools import becomes, role_in, witness_of
from tests.support.stands import check_section, stand_on

TEN_MS = script("select pg_sleep(0.01)")


@pytest.mark.slow
async def test_a_fleet_that_outgrows_a_limit_during_a_deployment_goes_on(database: Database) -> None:
    told: list[Event] = []
    async with role_in(database, limit=6) as dsn, stand_on(dsn, TEN_MS, SHORT, told=told) as stand:
        section = await fleet(stand, size_per_process=2, instances=2, surge=2.0)
        points, measured = stand.run.points, stand.measured
    check_section("fleet", section)
    before, during = section["steps"]
    assert (before["processes"], before["per_process"], before["connections"]) == (2, 2, 4)
    assert before["refusals"] == {}
    assert 0.5 <= before["fairness"] <= 1
    assert (during["processes"], during["connections"]) == (4, 8)
    assert set(during["refusals"]) == {"53300.role_limit"}
    assert during["tps"] > 0
    done = [health.done for health in measured[1].point.healths]
    assert len(done) == 4
    assert during["fairness"] == pytest.approx(sum(done) ** 2 / (4 * sum(each * each for each in done)))
    assert [(point["stage"], point["workers"], point["pool_size"]) for point in points] == [
        ("fleet", 2, 4),
        ("fleet", 4, 8),
    ]
    (refused,) = [event["text"] for event in told if event.get("kind") == "refused"]
    assert refused.startswith("4 processes were refused connections: ")


async def test_refusals_are_counted_by_a_driver_that_tells_its_transactions(database: Database) -> None:
    async with role_in(database, limit=3) as dsn, stand_on(dsn, TEN_MS, driver=DriverName.ASYNCPG) as stand:
        section = await fleet(stand, size_per_process=2, instances=2)
    (step,) = section["steps"]
    assert set(step["refusals"]) == {"53300.role_limit"}
    assert step["tps"] > 0


async def test_a_fleet_leaves_connections_to_others_unless_it_is_forced(database: Database) -> None:
    async with witness_of(database), stand_on(database.dsn, TEN_MS) as stand:
        with pytest.raises(Refused, match="a fleet of 2 pools of 10000 leaves no connection to others"):
            await fleet(stand, size_per_process=10_000, instances=1, surge=2.0)
        with pytest.raises(Refused, match="--max-connections allows 4"):
            await fleet(stand, size_per_process=2, instances=2, most=4)
        with pytest.raises(SettingsError):
            await fleet(stand, size_per_process=2, instances=2, surge=0.5)
        assert not stand.run.points


@pytest.mark.slow
async def test_a_stopped_fleet_has_what_there_was(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, TEN_MS, replace(SHORT, time_s=60.0), told=told) as stand:
        loading = asyncio.create_task(fleet(stand, size_per_process=1, instances=2, surge=2.0))
        await becomes(lambda: sum(event["type"] == "tick" for event in told) > 1)
        stand.stop()
        section = await loading
    check_section("fleet", section)
    assert [step["processes"] for step in section["steps"]] == [2]


async def test_a_cancelled_fleet_leaves_nothing(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, TEN_MS, replace(SHORT, time_s=60.0), told=told) as stand:
        loading = asyncio.create_task(fleet(stand, size_per_process=1, instances=2))
        await becomes(lambda: any(event["type"] == "tick" for event in told))
        loading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await loading
