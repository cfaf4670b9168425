"""Ordinary callers, who use a pool while somebody else's faults are made on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.rigs.misuse.cases import Wrong, expect_same
from tests.rigs.misuse.stage import Stage

MOST_CALLS = 3


@asynccontextmanager
async def company(stage: Stage) -> AsyncIterator[None]:
    """A few of them for the block, each with one call to three; the block's end waits for them.

    Raises:
        Wrong: one of them got another's answer, or an error.
    """
    calls = [stage.rng.randint(1, MOST_CALLS) for _ in range(stage.rng.randint(0, stage.kind.callers))]
    callers = [asyncio.create_task(_calls(stage, number), name="ordinary caller") for number in calls]
    try:
        yield
    finally:
        ends = await asyncio.gather(*callers, return_exceptions=True)
    for end in ends:
        if isinstance(end, Wrong):
            raise end
        if isinstance(end, Exception):
            raise Wrong("M6", f"an ordinary caller got {type(end).__name__}: {end}") from end


async def _calls(stage: Stage, calls: int) -> None:
    for _ in range(calls):
        number = stage.number()
        if number % 4:
            got = await stage.db.fetchval("select $1::int", number)
        else:
            async with stage.db.transaction() as tx:
                await tx.execute("insert into ordinary values ($1)", number)
                got = await tx.fetchval("select number from ordinary where number = $1", number)
        expect_same(got, number, "M3", "an ordinary caller's answer")
