"""A lease that both its holder and the pool would end, as Python collects what nobody has, ends once."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import asyncpg
import pytest

from dbpool import DatabasePool, upkeep
from dbpool.events import LeakReturned, LeakSuspected, LeaseReclaimed
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled

pytestmark = [
    pytest.mark.every_loop,
    # what a finaliser cannot wait for, Python says so
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]

Connection = Any  # what acquire gives; tests of asyncpg's interface use all of it


async def in_a_block_of_a_generator(db: DatabasePool) -> None:
    async def connections() -> AsyncIterator[Connection]:
        async with db.acquire() as connection:
            await connection.execute("set work_mem = '1MB'")
            yield connection

    generator = connections()
    await anext(generator)
    in_a_cycle(generator)


async def released_by_a_generator(db: DatabasePool) -> None:
    async def connections() -> AsyncIterator[Connection]:
        connection = await db.acquire()
        try:
            yield connection
        finally:
            await db.release(connection)

    generator = connections()
    await anext(generator)
    in_a_cycle(generator)


async def released_by_a_finaliser(db: DatabasePool) -> None:
    class Session:
        def __init__(self, connection: Connection) -> None:
            self.connection = connection

        def __del__(self) -> None:
            loop.call_soon_threadsafe(lambda: releasing.append(loop.create_task(db.release(self.connection))))

    loop = asyncio.get_running_loop()
    in_a_cycle(Session(await db.acquire()))


async def released_by_a_task_that_is_destroyed(db: DatabasePool) -> None:
    async def work(connection: Connection) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await db.release(connection)

    asyncio.get_running_loop().set_exception_handler(lambda _, told: errors.append(told.get("exception")))
    task = asyncio.create_task(work(await db.acquire()))  # the connection is older, so it is finalised first
    await asyncio.sleep(0)
    in_a_cycle(task)


def in_a_cycle(thing: object) -> None:
    cycle = [thing]
    cycle.append(cycle)


errors: list[Exception | None] = []  # that the loop tells of; None: that a task was destroyed
releasing: list[asyncio.Task[None]] = []

FORGOTTEN: list[Callable[[DatabasePool], Coroutine[Any, Any, None]]] = [
    in_a_block_of_a_generator,
    released_by_a_generator,
    released_by_a_finaliser,
    released_by_a_task_that_is_destroyed,
]


@pytest.mark.parametrize("forgotten", FORGOTTEN)
async def test_a_lease_that_is_taken_back_and_ended_by_what_its_collection_runs_ends_once(
    database: Database, forgotten: Callable[[DatabasePool], Coroutine[Any, Any, None]]
) -> None:
    errors.clear()
    async with pool_of(database, 1, acquire_timeout=5, min_connections=1) as db:
        for _ in range(2):
            await forgotten(db)
            gc.collect()
            await settled(db)
            while releasing:
                await releasing.pop()  # no error for whoever is late
            await asyncio.sleep(0)
        assert await db.fetchval("select 1") == 1
        assert db.stats().connects_total == 1
        assert not any(errors)


async def test_a_handle_that_outlives_its_lease_is_of_no_use(database: Database) -> None:
    revived: list[Connection] = []

    class Session:
        def __init__(self, connection: Connection) -> None:
            self.connection = connection

        def __del__(self) -> None:
            revived.append(self.connection)

    async with pool_of(database, 1) as db:
        in_a_cycle(Session(await db.acquire()))
        gc.collect()
        assert await db.fetchval("select 1") == 1
        with pytest.raises(asyncpg.InterfaceError, match="released back"):
            await revived[0].fetchval("select 1")


async def test_one_that_is_suspected_of_a_leak_and_taken_back_is_not_told_to_have_returned(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "LOOK_EVERY_S", 0.02)
    async with pool_of(database, 1, leak_after=0.05) as db:
        told: list[object] = []
        db.on_event(told.append)
        connection = await db.acquire()
        await becomes(lambda: LeakSuspected in map(type, told))
        del connection
        await becomes(lambda: LeaseReclaimed in map(type, told))
        await settled(db)
        await asyncio.sleep(0.1)  # another look
        assert LeakReturned not in map(type, told)
