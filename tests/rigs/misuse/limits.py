"""Faults of section B: time limits that are none, that are shared, and that a reset does not keep."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any

from dbpool import AcquireTimeout, DatabasePool, SettingsError
from tests.rigs.misuse.cases import case, expect, expect_same, made, refused, refused_untaken
from tests.rigs.misuse.kinds import ASKED, CROWD, HOOKED, LONE
from tests.rigs.misuse.stage import Stage

NONE: tuple[Any, ...] = (0, -1, math.nan, math.inf, -math.inf, True, "5")
USES: tuple[Callable[[DatabasePool, Any], Awaitable[object]], ...] = (
    lambda db, timeout: db.fetch("select 1", timeout=timeout),
    lambda db, timeout: db.execute("select 1", timeout=timeout),
    lambda db, timeout: db.executemany("select $1::int", [(1,)], timeout=timeout),
    lambda db, timeout: db.acquire(timeout=timeout).__aenter__(),
    lambda db, timeout: db.transaction(timeout=timeout).__aenter__(),
    lambda db, timeout: db.close(timeout),
)
SHARED_S = 0.04
RESET_S = 0.02


@case(17, CROWD)
@case(17, LONE)
async def that_is_none(stage: Stage) -> int:
    for use in USES:
        await refused_untaken(stage.db, made(use, stage.db, stage.rng.choice(NONE)), SettingsError)
    return len(USES)


@case(18, ASKED, is_harmless=False)
async def line_then_connect(stage: Stage) -> int:
    """A caller stands in line for some of its time; then it gets a permit, and its connect hangs."""
    clock = asyncio.get_running_loop().time
    holder = await stage.db.acquire()
    stage.password.asked_in_vain = 0
    began = clock()
    waiting = asyncio.create_task(stage.db.acquire(timeout=SHARED_S).__aenter__())
    stage.password.hang()
    try:
        await asyncio.sleep(stage.rng.uniform(0.001, 0.012))
        stood_in_line = stage.db.stats().waiting == 1
        holder.terminate()
        await stage.db.release(holder)
        error = await refused(waiting, AcquireTimeout)
        over_s = stage.over_s(began, SHARED_S)
    finally:
        was_asked = stage.password.asked_in_vain
        stage.password.heal()
        await stage.until_served()
    assert isinstance(error, AcquireTimeout)
    expect(holds=over_s <= 0, goal="M6", text=f"line and connect took {over_s:.3f} s more than they have together")
    expect(
        holds=error.waited_s >= SHARED_S / 2, goal="M6", text=f"it tells of {error.waited_s:.3f} s of {SHARED_S} only"
    )
    return int(stood_in_line and was_asked > 0)


@case(20, HOOKED, is_harmless=False)
async def reset_that_does_not_end(stage: Stage) -> int:
    began = asyncio.get_running_loop().time()
    held = await stage.db.acquire()
    before = stage.db.get_size()
    stage.hooks.arm("reset")
    try:
        await refused(stage.db.release(held, timeout=RESET_S), TimeoutError)
        over_s = stage.over_s(began, RESET_S)
        was_met = stage.hooks.entered.is_set()
    finally:
        stage.hooks.disarm()
    expect(holds=over_s <= 0, goal="M6", text=f"a release ended {over_s:.3f} s behind its time")
    expect_same(stage.db.get_size(), before - 1, "M10", "connections, of which one's reset did not end")
    return int(was_met)
