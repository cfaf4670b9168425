"""Soak: what creeps, and who stays behind. On a real server."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from dbpool.loadtest.events import Event
from dbpool.loadtest.load import Part, Workload
from dbpool.loadtest.scripts.client import Client
from dbpool.loadtest.server.connecting import application_name, close, connect
from dbpool.loadtest.stages import soak as module
from dbpool.loadtest.stages.soak import soak
from tests.support.databases import Database
from tests.support.loads import SHORT
from tests.support.pools import becomes
from tests.support.stands import check_section, stand_on

LOAD = replace(SHORT, warmup_s=0.0)
_kept: list[bytes] = []


async def leaking(connection: object, client: Client) -> None:
    """A transaction that keeps some memory each time."""
    await connection.fetchval("select 1")  # type: ignore[attr-defined]
    _kept.append(b"x" * 100_000)


@pytest.mark.slow
async def test_memory_that_grows_and_connections_that_do_not_are_seen(database: Database) -> None:
    leak = Workload((Part("leak", target=f"{__name__}:leaking"),))
    async with stand_on(database.dsn, leak, LOAD) as stand:
        section = await soak(stand, size=2, rate=150.0, minutes=10.5 / 60)
        (point,) = stand.run.points
    check_section("soak", section)
    trends = {trend["name"]: trend for trend in section["trends"]}
    assert {"tps", "rss_mb", "connections"} <= trends.keys()  # 1,500 responses have one p99, which is no trend
    assert "response_p99_ms" not in trends
    assert trends["rss_mb"]["low"] > 3600  # of ten an hour that would be 51,000
    assert (trends["connections"]["per_hour"], trends["connections"]["shown"]) == (0.0, False)
    assert trends["tps"]["low"] < trends["tps"]["per_hour"] < trends["tps"]["high"]
    assert (section["point"], point["stage"], section["leaked_sessions"]) == (0, "soak", 0)
    assert section["text"].startswith("0.17 min at 150 a second; ")
    assert section["text"].endswith("nothing can be told of response p99; no sessions stayed behind")


async def test_a_session_that_stays_is_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAVE_S", 0.1)
    async with stand_on(database.dsn, "select 1", LOAD) as stand:
        stays = await connect(database.dsn, application_name(stand.run_id, "load"))
        try:
            section = await soak(stand, size=2, rate=50.0, minutes=0.01)
        finally:
            await close(stays)
    assert section["leaked_sessions"] == 1
    assert "1 session stayed behind" in section["text"]


@pytest.mark.slow
async def test_a_stopped_soak_has_what_there_was(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, "select 1", LOAD, told=told) as stand:
        soaking = asyncio.create_task(soak(stand, size=2, rate=50.0, minutes=600.0))
        await becomes(lambda: sum(event["type"] == "tick" for event in told) > 1)
        stand.stop()
        section = await soaking
    check_section("soak", section)
    assert (section["trends"], section["leaked_sessions"]) == ([], 0)
    assert 0 < section["minutes"] < 1


async def test_a_cancelled_soak_leaves_nothing(database: Database) -> None:
    told: list[Event] = []
    async with stand_on(database.dsn, "select 1", LOAD, told=told) as stand:
        soaking = asyncio.create_task(soak(stand, size=2, rate=50.0, minutes=600.0))
        await becomes(lambda: any(event["type"] == "tick" for event in told))
        soaking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await soaking
