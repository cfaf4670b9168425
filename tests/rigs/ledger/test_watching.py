"""An await that ends too late is told, unless it was the loop that was away when it should have ended."""

from __future__ import annotations

import asyncio
import time

from tests.rigs.ledger.records import Kind
from tests.rigs.ledger.writes import LATE_S, Batch, Told
from tests.rigs.looplag import LoopLag, watched_lag

TOO_LATE_S = 3 * LATE_S


async def told_of(lag: LoopLag, awaited: asyncio.Future[None], limit_s: float) -> list[str]:
    batch = Batch(0, Kind.ONE, 0, 1, limit_s, lag, Told())
    await batch.within(limit_s, awaited)
    return batch.told.late


async def test_a_loop_that_was_away_before_the_deadline_is_no_excuse() -> None:
    lag = LoopLag()
    now = asyncio.get_running_loop().time()
    lag._due = now + 10.0  # noqa: SLF001 - it is not watched
    lag._seen.extend([(now + 0.001 * turn, 0.05) for turn in range(20)])  # noqa: SLF001 - away early on, often
    (late,) = await told_of(lag, asyncio.ensure_future(asyncio.sleep(0.2 + TOO_LATE_S)), 0.2)
    assert "after its deadline of 0.200 s" in late


async def test_a_loop_that_is_away_at_the_deadline_is_one() -> None:
    async with watched_lag() as lag:
        asyncio.get_running_loop().call_later(0.05, time.sleep, TOO_LATE_S)
        assert await told_of(lag, asyncio.ensure_future(asyncio.sleep(0.06)), 0.06) == []
