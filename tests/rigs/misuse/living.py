"""Faults of section E: other loops, other threads, other processes, and another time of day."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any

from dbpool import DatabasePool, UsageError
from tests.rigs.misuse.cases import case, expect_same, made, refused
from tests.rigs.misuse.kinds import CROWD, LONE
from tests.rigs.misuse.stage import Stage

USES: tuple[Callable[[DatabasePool], Awaitable[object]], ...] = (
    lambda db: db.fetch("select 1"),
    lambda db: db.acquire().__aenter__(),
    lambda db: db.transaction().__aenter__(),
    lambda db: db.open(),
    lambda db: db.close(),
)
REFUSED, TAKEN = 7, 8  # exit codes of a child
DAY_S = 86400.0


@case(68, CROWD)
async def in_another_loop(stage: Stage) -> int:
    async def elsewhere() -> None:
        for use in USES:
            await refused(made(use, stage.db), UsageError)

    await asyncio.to_thread(asyncio.run, elsewhere())
    return len(USES)


@case(70, LONE)
async def after_fork(stage: Stage) -> int:
    """The child is refused, and ends without a word to the server; the parent goes on."""
    before = await stage.db.fetchval("select pg_backend_pid()")
    child = os.fork()
    if child == 0:
        os._exit(_in_the_child(stage.db))
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    expect_same(os.waitstatus_to_exitcode(status), REFUSED, "M6", "how a child ended that used its parent's pool")
    expect_same(await stage.db.fetchval("select pg_backend_pid()"), before, "M1", "the parent's session")
    return 1


def _in_the_child(db: Any) -> int:  # noqa: ANN401 - a coroutine of it is driven by hand, for there is no loop
    try:
        db.fetchval("select 1").send(None)
    except UsageError:
        return REFUSED
    except BaseException:
        return TAKEN
    return TAKEN


@case(74, CROWD)
async def another_time_of_day(stage: Stage) -> int:
    """None of those in line or under way is out of time, and no connection too old."""
    right = time.time
    jump_s = stage.rng.choice([DAY_S, -DAY_S, 3 * DAY_S])
    calls = [asyncio.ensure_future(stage.db.fetchval("select 74 from pg_sleep(0.002)")) for _ in range(6)]
    await asyncio.sleep(0)
    time.time = lambda: right() + jump_s
    try:
        got = await asyncio.gather(*calls)
    finally:
        time.time = right
    expect_same(got, [74] * 6, "M3", "answers while the clock jumped")
    return 1
