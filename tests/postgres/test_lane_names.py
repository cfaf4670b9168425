"""Whoever comes by a lane is told so in every message."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable

import pytest

from dbpool import NestedAcquire, PoolClosed
from dbpool.events import LeaseReclaimed
from dbpool.lane import Lane
from tests.support.databases import Database
from tests.support.pools import pool_of, settled

pytestmark = pytest.mark.every_loop


async def test_a_warning_of_a_second_connection_names_the_lane_and_claims_only_who_asked(database: Database) -> None:
    async with pool_of(database, 2, warn_nested=True) as db:
        lane = db.lane("web")
        async with db.acquire():
            with pytest.warns(NestedAcquire, match=r"lane 'web' of pool .* that the same task.*asked for from") as told:
                await lane.fetchval("select 1")
        assert "if it still has that" in str(told[0].message)


async def test_a_connection_that_is_taken_back_is_told_with_its_lane(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with pool_of(database, 1) as db:
        told: list[object] = []
        db.on_event(told.append)
        with caplog.at_level(logging.WARNING, "dbpool"):
            await db.lane("web").acquire()
            gc.collect()
            await settled(db)
        assert [event.lane for event in told if isinstance(event, LeaseReclaimed)] == ["web"]
        assert "lane 'web' of pool" in caplog.text


ASKS: list[Callable[[Lane], object]] = [
    lambda lane: lane.fetchval("select 1"),
    lambda lane: lane.executemany("select $1::int", [(1,)]),
    lambda lane: lane.acquire().__aenter__(),
]


@pytest.mark.parametrize("ask", ASKS)
async def test_a_closed_pool_says_by_which_lane_it_was_asked(database: Database, ask: Callable[[Lane], object]) -> None:
    async with pool_of(database, 1) as db:
        lane = db.lane("web")
    for asked, named in ((lane, "^lane 'web' of pool"), (db, "^pool")):
        with pytest.raises(PoolClosed, match=f"{named} .*is closed"):
            await ask(asked)  # type: ignore[misc]
