"""Storm: what it does, who suffers, and that nothing stays. On a real server."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dbpool.loadtest.events import Event
from dbpool.loadtest.scripts.sqltemplate import QueryMode
from dbpool.loadtest.stages.storm import storm
from dbpool.loadtest.workers.fleet import WorkerFailed
from tests.support.databases import Database
from tests.support.loads import SHORT, script
from tests.support.pgbouncer import pgbouncer
from tests.support.pools import becomes, role_in, until, witness_of
from tests.support.server import Server
from tests.support.stands import check_section, stand_on

FIVE_MS = script("select pg_sleep(0.005)")
LOAD = replace(SHORT, warmup_s=0.2)
QUICK: Mapping[str, Any] = {"alone_s": 1.0, "rest_s": 0.5, "rounds_s": 0.0, "load_s": 1.8}


@pytest.mark.slow
async def test_a_storm_has_four_parts_and_its_sessions_come_back(database: Database) -> None:
    async with role_in(database, limit=12) as dsn, stand_on(dsn, FIVE_MS, LOAD) as stand:
        section = await storm(stand, size=4, connections=6, **{**QUICK, "load_s": 2.4})
        points, measured = stand.run.points, stand.measured
    check_section("storm", section)
    parts = {part["name"]: part for part in section["parts"]}
    assert list(parts) == ["barrier", "cold", "kill", "beyond"]
    assert section["alone"]["n"] >= 10
    for part in parts.values():
        assert part["bystander"]["n"] > 0
        assert part["bystander_by"] == "max"  # ten a second are too few for a p99
        assert part["bystander_ratio"] == pytest.approx(part["bystander"]["max"] / section["alone"]["max"])
        assert "n is too small for p99" in part["text"]
    barrier = parts["barrier"]
    assert (barrier["connections"], barrier["failures"], barrier["retries"]) == (6, {}, None)
    assert (barrier["connect_ms"]["n"], barrier["connect_ms"]["p99"]) == (18, None)  # three rounds
    assert barrier["connect_ms"]["cdf"][-1] == [barrier["connect_ms"]["max"], 1.0]
    assert parts["cold"]["ready_s"] is not None
    assert measured[parts["cold"]["point"]].point.target.min_connections == 0
    assert parts["cold"]["failures"] == {}
    kill = parts["kill"]
    assert kill["text"].startswith("4 sessions ended under load; all 4 were open again after ")
    assert kill["recovery_s"] is not None
    assert kill["ready_s"] >= kill["recovery_s"]
    assert 0 < sum(kill["failures"].values()) <= 4  # each of them failed what it was at
    assert points[kill["point"]]["counts"]["ok"] > 0
    beyond = parts["beyond"]
    assert beyond["connections"] == 9 + 5  # twelve less the lifeline, the bystander and the census
    assert set(beyond["failures"]) == {"53300.role_limit"}
    assert beyond["retries"] == sum(beyond["failures"].values()) >= 5
    assert beyond["connect_ms"]["n"] == 14
    assert "14 connections at once; all were there after " in beyond["text"]


@pytest.mark.slow
async def test_others_are_not_refused_unless_it_is_forced(database: Database) -> None:
    told: list[Event] = []
    async with (
        witness_of(database),
        role_in(database, limit=24) as dsn,
        stand_on(dsn, FIVE_MS, LOAD, told=told) as stand,
    ):
        section = await storm(stand, size=2, connections=10_000, alone_s=0.0, rest_s=0.0, rounds_s=0.0, load_s=0.5)
        assert stand.limits.others > 0
    names = [part["name"] for part in section["parts"]]
    assert names == ["barrier", "cold", "kill"]
    assert section["parts"][0]["connections"] == stand.limits.cap - 3
    notes = " ".join(event["text"] for event in told if event.get("kind") == "note")
    assert "instead of 10000: " in notes
    assert "others use this server" in notes


@pytest.mark.slow
async def test_a_bystander_that_suffers_is_told(database: Database) -> None:
    block = script("select pg_advisory_xact_lock_shared(1)")
    async with witness_of(database) as witness:
        told: list[Event] = []
        async with stand_on(database.dsn, block, LOAD, told=told) as stand:
            storming = asyncio.create_task(storm(stand, size=1, connections=2, **QUICK))
            await becomes(lambda: any(event["type"] == "load" for event in told))  # the cold pool begins
            async with witness.holding():
                await witness.until_blocked(2)  # the pool's connection, and the bystander's
                await asyncio.sleep(1.5)  # what is tested: somebody who has to wait so long
            section = await storming
    barrier, cold, kill = section["parts"]
    assert cold["bystander"]["max"] > 1000.0
    assert cold["bystander_ratio"] > 2
    assert barrier["bystander"]["max"] < 1000.0
    assert kill["bystander"]["max"] < 1000.0


async def test_a_stopped_storm_has_the_parts_that_were_over(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, FIVE_MS, LOAD, told=told) as stand:
        storming = asyncio.create_task(storm(stand, size=2, connections=2, **{**QUICK, "load_s": 60.0}))
        await becomes(lambda: any(event["type"] == "tick" for event in told))
        stand.stop()
        section = await storming
    assert [part["name"] for part in section["parts"]] == ["barrier"]


@pytest.mark.slow
@pytest.mark.parametrize("when", ["alone", "rush", "load"])
async def test_a_cancelled_storm_leaves_nothing(database: Database, when: str) -> None:
    told: list[Event] = []
    patient = {
        **QUICK,
        "alone_s": 60.0 if when == "alone" else 0.0,
        "load_s": 60.0,
        "rounds_s": 60.0 if when == "rush" else 0.0,
    }
    async with stand_on(database.dsn, FIVE_MS, LOAD, told=told) as stand:
        storming = asyncio.create_task(storm(stand, size=2, connections=20, **patient))
        if when == "load":
            await becomes(lambda: any(event["type"] == "tick" for event in told))
        else:
            name = "bystander" if when == "alone" else "storm"
            await until(lambda: _sessions(stand.lifeline.fetchval, name))
        storming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await storming


async def test_a_storm_through_a_pooler_has_what_can_be_told(server: Server) -> None:
    async with pgbouncer(server.admin, max_client_conn=40) as dsn:
        async with stand_on(dsn, script("select 1", QueryMode.EXTENDED), LOAD) as stand:
            section = await storm(stand, size=2, connections=8, **QUICK)
            notes = [event["text"] for event in stand.run.events if event["kind"] == "note"]
    assert [part["name"] for part in section["parts"]] == ["barrier"]
    assert all(part["failures"] == {} for part in section["parts"])
    assert "what a pooler allows is not known" in notes[-1]


async def _sessions(value: object, name: str) -> bool:
    sql = f"select count(*) from pg_stat_activity where application_name like 'dbpool-loadtest/%/{name}'"
    return bool(await value(sql))  # type: ignore[operator]


async def test_a_bystander_that_is_not_let_in_ends_the_storm(database: Database) -> None:
    async with role_in(database, limit=1) as dsn, stand_on(dsn, FIVE_MS, LOAD) as stand:
        with pytest.raises(WorkerFailed, match="too many connections for role"):
            await storm(stand, size=1, **QUICK)


@pytest.mark.slow
async def test_beyond_the_most_that_may_be_taken_nobody_goes(database: Database) -> None:
    async with stand_on(database.dsn, FIVE_MS, LOAD) as stand:
        section = await storm(stand, size=2, connections=4, most=9, **QUICK)
        notes = [event["text"] for event in stand.run.events if event["kind"] == "note"]
    assert [part["name"] for part in section["parts"]] == ["barrier", "cold", "kill"]
    assert "no more than the limit connect: " in notes[-1]
