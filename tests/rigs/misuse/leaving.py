"""Faults of section E: loops that end while a pool is open."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from dbpool import DatabasePool
from tests.rigs.misuse.cases import Wrong, case
from tests.rigs.misuse.kinds import WATCHED
from tests.rigs.misuse.stage import PATIENCE_S, SOON_S, Stage

LEFT = "left behind"
OTHERS = f"select count(*) from pg_stat_activity where usename = current_user and application_name = '{LEFT}'"


def _opened(dsn: str) -> Awaitable[DatabasePool]:
    return DatabasePool(dsn, 1, server_settings={"application_name": LEFT}).open()


async def _resting(dsn: str) -> object:
    db = await _opened(dsn)
    await db.fetchval("select 1")
    return db


async def _held(dsn: str) -> object:
    db = await _opened(dsn)
    return db, await db.acquire()


async def _in_a_statement(dsn: str) -> object:
    db = await _opened(dsn)
    asking = asyncio.create_task(db.fetch("select pg_sleep(0.01)"))
    await asyncio.sleep(0)
    return db, asking


WAYS: tuple[Callable[[str], Coroutine[Any, Any, object]], ...] = (_resting, _held, _in_a_statement)


@case(69, WATCHED)
async def loop_that_ends(stage: Stage) -> int:
    """In a thread of its own; its sockets are let go, and so its session."""
    way = stage.rng.choice(WAYS)

    def live() -> None:
        asyncio.run(way(stage.dsn))

    await asyncio.to_thread(live)
    clock = asyncio.get_running_loop().time
    began = clock()
    while await stage.db.fetchval(OTHERS):
        if clock() > began + PATIENCE_S:
            raise Wrong("M2", f"the session of a loop that ended {PATIENCE_S:.0f} s ago is still there")
        await asyncio.sleep(0.002)
        if clock() > began + SOON_S:
            gc.collect()
    return 1
