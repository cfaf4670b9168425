"""Faults of section A: callers that are cancelled where no other rig cancels them."""

from __future__ import annotations

import asyncio
from typing import Any

from dbpool import DatabasePool
from dbpool.testing.cancelling import stack_of
from dbpool.testing.suspensions import awaited
from tests.rigs.misuse.cases import cancelled, case, expect, expect_same, refused
from tests.rigs.misuse.hooks import MOMENTS
from tests.rigs.misuse.kinds import CROWD, HOOKED, LONE
from tests.rigs.misuse.stage import Stage
from tests.rigs.sweep.kinds import Kind, rows_of

MOST_TURNS = 9  # of the loop, until a caller is cancelled


async def _work(db: DatabasePool) -> None:
    connection = await asyncio.wait_for(db.acquire(), 5)
    try:
        await connection.fetchval("select 1")
    finally:
        await db.release(connection)


async def _ask(db: DatabasePool) -> None:
    await asyncio.wait_for(db.fetchval("select 1"), 5)


@case(3, CROWD, is_harmless=False)
@case(3, LONE, is_harmless=False)
async def in_wait_for(stage: Stage) -> int:
    task = asyncio.create_task(stage.rng.choice([_work, _ask])(stage.db))
    return await cancelled(task, turns=stage.rng.randint(1, MOST_TURNS))


@case(3, LONE, is_harmless=False)
async def in_wait_for_in_line(stage: Stage) -> int:
    """It is cancelled while it stands there, or has just been granted what it waits for."""
    async with stage.db.acquire():
        task = asyncio.create_task(stage.rng.choice([_work, _ask])(stage.db))
        for _ in range(stage.rng.randint(1, 3)):
            await asyncio.sleep(0)
    return await cancelled(task, turns=stage.rng.randint(0, MOST_TURNS))


async def _used(pool: Any) -> int:  # noqa: ANN401 - as create_pool gives it
    async with pool.acquire() as connection:
        value: int = await connection.fetchval("select 1")
    return value


@case(5, HOOKED, is_harmless=False)
async def in_a_callback(stage: Stage) -> int:
    moment = stage.rng.choice(MOMENTS)
    if moment == "init":
        await stage.db.expire_connections()
    stage.hooks.arm(moment)
    task = asyncio.create_task(_used(stage.db))
    try:
        async with asyncio.timeout(1):
            await stage.hooks.entered.wait()
        task.cancel()
        await refused(task, asyncio.CancelledError)
    finally:
        stage.hooks.disarm()
    expect_same(await _used(stage.db), 1, "M1", "the next caller's answer")
    return 1


class _InRollback:
    """Cancels a task as soon as it stands in a ROLLBACK, one or several times."""

    def __init__(self, times: int) -> None:
        self.times, self.met = times, 0
        self.task: asyncio.Task[object] | None = None

    async def run(self, work: Any) -> BaseException | None:  # noqa: ANN401 - a coroutine
        self.task = asyncio.create_task(awaited(work, lambda: self._suspended(work)))
        await asyncio.wait([self.task])
        return asyncio.CancelledError() if self.task.cancelled() else self.task.exception()

    def _suspended(self, work: Any) -> None:  # noqa: ANN401
        if self.met < self.times and rows_of(Kind.CANCEL, stack_of(work)) == [10]:
            asyncio.get_running_loop().call_soon(self._cancel)

    def _cancel(self) -> None:
        assert self.task is not None
        if not self.task.done():
            self.met += 1
            self.task.cancel()


class OnPurpose(Exception):
    """What makes a transaction roll back."""


@case(10, CROWD)
@case(10, LONE)
async def in_rollback(stage: Stage) -> int:
    number = stage.number()

    async def work() -> None:
        async with stage.db.transaction() as tx:
            await tx.execute("insert into written values ($1)", number)
            raise OnPurpose

    cancelling = _InRollback(stage.rng.randint(1, 3))
    error = await cancelling.run(work())
    kind = asyncio.CancelledError if cancelling.met else OnPurpose
    expect(holds=isinstance(error, kind), goal="M6", text=f"{error!r} instead of {kind.__name__}")
    expect_same(await stage.stored(number), 0, "M5", "rows stored though they were rolled back")
    return int(cancelling.met > 0)
