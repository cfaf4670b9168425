"""Many who connect at the same moment, on a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack

import pytest

from dbpool.loadtest.server import crowd as module
from dbpool.loadtest.server.connecting import PREFIX, Session, all_gone, close, close_all, lifeline
from dbpool.loadtest.server.crowd import Door
from tests.support.databases import Database
from tests.support.pools import role_in, until, witness_of

NAME = f"{PREFIX}run/storm"


@pytest.fixture
async def few(database: Database) -> AsyncIterator[str]:
    """The address of a role that may have four connections."""
    async with role_in(database, limit=4) as dsn:
        yield dsn


async def test_all_who_rush_in_are_there_at_the_same_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    async with witness_of(database) as witness:
        seen: list[int] = []

        async def look_then_close(sessions: Sequence[Session]) -> None:
            seen.append(len(await witness.pids()))
            await close_all(sessions)

        monkeypatch.setattr(module, "close_all", look_then_close)
        crowd = await Door(database.dsn, NAME).rush(12)
        await witness.until_alone()
    assert seen == [12]
    assert (len(crowd.took_ns), crowd.missing, crowd.failures, crowd.retries) == (12, 0, {}, 0)
    assert crowd.took_ns == sorted(crowd.took_ns)
    assert crowd.took_s == crowd.took_ns[-1] / 1e9


async def test_who_is_refused_in_a_rush_is_told_by_which_limit(few: str) -> None:
    crowd = await Door(few, NAME).rush(10)
    assert set(crowd.failures) == {"53300.role_limit"}
    assert crowd.missing == crowd.failures.total() >= 6  # two that come at once may refuse each other
    assert crowd.retries == 0


async def test_who_comes_again_after_a_while_is_served(few: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HOLD_S", 0.0)  # they stay until all have had an answer all the same
    crowd = await Door(few, NAME).serve(10, patience_s=30.0)
    assert (crowd.missing, len(crowd.took_ns)) == (0, 10)
    assert set(crowd.failures) == {"53300.role_limit"}
    assert crowd.failures.total() == crowd.retries >= 6


async def test_patience_has_an_end(few: str) -> None:
    async with AsyncExitStack() as held:
        for _ in range(4):
            await held.enter_async_context(witness_of(few))
        crowd = await Door(few, NAME).serve(3, patience_s=0.3, chance=lambda: 1.0)
    # waits of 0.1 s, then of 0.2 s, which would end after 0.3 s
    assert (crowd.missing, crowd.failures) == (3, {"53300.role_limit": 6})


async def test_who_is_denied_does_not_come_again(few: str) -> None:
    crowd = await Door(few.replace(":pw@", ":wrong@"), NAME).serve(3, patience_s=30.0)
    assert (crowd.missing, crowd.failures, crowd.retries) == (3, {"28P01.denied": 3}, 0)


@pytest.mark.parametrize("how", ["rush", "serve"])
async def test_a_crowd_that_is_sent_away_leaves_no_session(database: Database, how: str) -> None:
    door = Door(database.dsn, NAME)
    session = await lifeline(database.dsn, "run")
    try:
        coming = asyncio.create_task(door.rush(40) if how == "rush" else door.serve(40, patience_s=60.0))
        await until(lambda: session.fetchval("select count(*) from pg_stat_activity where application_name = $1", NAME))
        coming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await coming
        assert await all_gone(session, NAME)
    finally:
        await close(session)
