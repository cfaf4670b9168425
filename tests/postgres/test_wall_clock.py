"""The wall clock may jump: no time limit goes by it."""

from __future__ import annotations

import asyncio
import time

import pytest

from dbpool import AcquireTimeout, QueryTimeout
from tests.support.databases import Database
from tests.support.pools import held, pool_of, settled

DAY_S = 86400.0


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
async def test_a_pool_goes_on_as_before(database: Database, monkeypatch: pytest.MonkeyPatch, jump_s: float) -> None:
    right = time.time
    async with pool_of(database, 1) as db:
        pid = await db.fetchval("select pg_backend_pid()")
        calls = [asyncio.ensure_future(db.fetchval("select pg_sleep(0.05)")) for _ in range(5)]
        await asyncio.sleep(0.02)
        monkeypatch.setattr(time, "time", lambda: right() + jump_s)
        await asyncio.gather(*calls)  # in line and under way: none is out of time, none forgotten
        with pytest.raises(QueryTimeout):
            await db.fetch("select pg_sleep(20)", timeout=0.1)
        await settled(db)
        async with held(db.lane("other")):
            with pytest.raises(AcquireTimeout):
                await db.fetchval("select 1", timeout=0.05)
        assert await db.fetchval("select pg_backend_pid()") == pid  # nor is its connection too old
