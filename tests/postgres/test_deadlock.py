"""Who waits for a connection that only they could give back is told; whoever can be helped is not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from dbpool import DatabasePool, PoolDeadlock
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, witness_of

pytestmark = [pytest.mark.every_loop, pytest.mark.filterwarnings("ignore::dbpool.NestedAcquire")]

Connection = Any  # what acquire gives; tests of asyncpg's interface use all of it


async def take(db: DatabasePool) -> Connection:
    return await db.acquire()


async def nested(db: DatabasePool) -> None:
    connection = await db.acquire()
    try:
        await db.acquire()
    finally:
        await db.release(connection)


async def nested_in_a_transaction(db: DatabasePool) -> None:
    connection = await db.acquire()
    try:
        async with connection.transaction():
            await db.acquire()
    finally:
        await db.release(connection)


@pytest.mark.parametrize("work", [nested, nested_in_a_transaction])
async def test_a_task_that_waits_for_its_own_connection_is_told_at_once(
    database: Database, work: Callable[[DatabasePool], Any]
) -> None:
    async with pool_of(database, 1) as db:
        with pytest.raises(PoolDeadlock):
            await asyncio.create_task(work(db))


async def test_a_connection_that_another_task_will_release_is_no_deadlock(database: Database) -> None:
    may_go = asyncio.Event()

    async def release(db: DatabasePool, connection: Connection) -> None:
        await may_go.wait()
        await db.release(connection)

    async with pool_of(database, 1) as db:
        connection = await db.acquire()
        releasing = asyncio.create_task(release(db, connection))
        del connection
        asking = asyncio.create_task(take(db))
        await becomes(lambda: db.stats().waiting)
        for _ in range(5):  # turns of the loop, in which a deadlock would be found
            await asyncio.sleep(0)
        assert not asking.done()
        may_go.set()
        await db.release(await asking)
        await releasing


async def test_a_connection_that_a_callback_can_release_is_no_deadlock(database: Database) -> None:
    async def release(connection: Connection, pid: int, channel: str, payload: object) -> None:
        await connection.remove_listener("go", release)
        await db.release(connection)

    async with pool_of(database, 1) as db, witness_of(database) as witness:
        connection = await db.acquire()
        await connection.add_listener("go", release)
        asking = asyncio.create_task(take(db))
        await becomes(lambda: db.stats().waiting)
        for _ in range(5):
            await asyncio.sleep(0)
        await witness.run("notify go")
        await db.release(await asking)
        del connection
