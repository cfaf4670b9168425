"""A connection that nobody has any more comes back to its pool, and not before."""

from __future__ import annotations

import asyncio
import gc
import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from dbpool import DatabasePool, UsageError
from dbpool.events import LeaseReclaimed
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled, witness_of

pytestmark = pytest.mark.every_loop

Connection = Any  # what acquire gives; tests of asyncpg's interface use all of it


@asynccontextmanager
async def reclaiming(database: Database, max_connections: int = 1) -> AsyncIterator[tuple[DatabasePool, list[str]]]:
    """A pool, and the places whose connections it took back."""
    places: list[str] = []

    def note(event: object) -> None:
        if isinstance(event, LeaseReclaimed):
            places.append(event.where)

    async with pool_of(database, max_connections) as db:
        db.on_event(note)
        yield db, places


async def take(db: DatabasePool) -> Connection:
    return await db.acquire()


async def test_a_connection_dropped_at_once_comes_back_and_is_told_once_with_its_line(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    async with reclaiming(database) as (db, places):
        pid = await db.fetchval("select pg_backend_pid()")
        line = take.__code__.co_firstlineno + 1
        await take(db)
        assert await db.fetchval("select pg_backend_pid()", timeout=5) == pid
        assert len(places) == len(caplog.records) == db.stats().resets_total == 1
        assert places[0].endswith(f"test_reclaim.py:{line} in take")
        assert places[0] in caplog.text


async def test_the_session_of_a_dropped_connection_is_reset(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        connection = await take(db)
        await connection.execute("set application_name = 'forgotten'")
        del connection
        assert await db.fetchval("show application_name") != "forgotten"
        assert len(places) == 1


async def test_a_connection_held_by_an_exceptions_traceback_comes_back_with_its_end(database: Database) -> None:
    async def fail(db: DatabasePool) -> None:
        connection = await db.acquire()
        raise ValueError(await connection.fetchval("select 'on purpose'"))

    async with reclaiming(database) as (db, places):
        failing = asyncio.create_task(fail(db))
        await asyncio.wait([failing])
        assert isinstance(failing.exception(), ValueError)
        await asyncio.sleep(0)
        assert (db.stats().held, places) == (1, [])  # who reads the traceback can still get at it
        del failing
        await settled(db)
        assert len(places) == 1


async def test_a_connection_in_a_reference_cycle_comes_back_when_it_is_collected(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        cycle: list[object] = [await take(db)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        await settled(db)
        assert len(places) == 1


async def test_a_connection_collected_in_another_thread_comes_back(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        asyncio.get_running_loop().set_debug(True)  # it then refuses what is not safe for threads
        kept = [await take(db)]
        thread = threading.Thread(target=kept.clear)
        thread.start()
        await asyncio.to_thread(thread.join)
        await settled(db)
        assert len(places) == 1


async def test_a_connection_whose_acquire_nobody_waits_for_any_more_comes_back(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        acquiring = asyncio.create_task(take(db))
        await asyncio.wait([acquiring])
        acquiring.cancel()  # too late, and nobody looks at its result
        del acquiring
        await settled(db)
        assert len(places) == 1


@pytest.mark.parametrize("begun", [True, False])
async def test_a_statement_under_way_keeps_its_connection_until_it_ends(database: Database, begun: bool) -> None:
    async with reclaiming(database) as (db, places), witness_of(database) as witness:
        async with witness.holding():
            call = (await take(db)).fetchval("select pg_advisory_xact_lock(1)")
            if not begun:  # a call that is not awaited yet refers to the connection, too
                await asyncio.sleep(0)
                assert db.stats().held == 1
            calling = asyncio.ensure_future(call)
            del call
            await witness.until_blocked()
            gc.collect()
            assert (db.stats().held, places) == (1, [])
        await calling
        await settled(db)
        assert len(places) == 1


async def test_a_statement_that_is_cancelled_gives_its_dropped_connection_back(database: Database) -> None:
    async with reclaiming(database) as (db, places), witness_of(database) as witness, witness.holding():
        calling = asyncio.ensure_future((await take(db)).fetchval("select pg_advisory_xact_lock(1)"))
        await witness.until_blocked()
        calling.cancel()
        await asyncio.wait([calling])
        del calling
        assert await db.fetchval("select 1", timeout=5) == 1
        assert len(places) == 1


async def test_a_prepared_statement_keeps_its_connection(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        statement = await (await take(db)).prepare("select $1::int")
        gc.collect()
        assert await statement.fetchval(7) == 7
        assert (db.stats().held, places) == (1, [])
        del statement
        await settled(db)
        assert len(places) == 1


async def test_a_cursor_keeps_its_connection(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        connection = await take(db)
        await connection.execute("begin")
        rows = aiter(connection.cursor("select generate_series(1, 100)", prefetch=10))
        cursor = await (await connection.prepare("select generate_series(1, 100)")).cursor()
        del connection
        assert [row[0] async for row in rows] == list(range(1, 101))
        del rows
        assert len(await cursor.fetch(50)) == 50
        assert (db.stats().held, places) == (1, [])
        del cursor
        await settled(db)
        assert len(places) == 1


async def test_a_transaction_keeps_its_connection_until_it_ends(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        await db.execute("create table t (n int)")
        async with (await take(db)).transaction() as tx:
            await tx.execute("insert into t values (1)")
            async with tx.transaction():
                gc.collect()
                await tx.execute("insert into t values (2)")
            assert (db.stats().held, places) == (1, [])
        await settled(db)
        assert len(places) == 1
        assert await db.fetchval("select count(*) from t") == 2


async def test_a_savepoint_alone_keeps_its_connection(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        outer = (await take(db)).transaction()
        await outer.start()
        inner = outer.transaction()
        del outer
        await inner.start()
        assert await inner.fetchval("select 1") == 1
        assert (db.stats().held, places) == (1, [])
        del inner
        await settled(db)
        assert len(places) == 1


async def test_a_connection_dropped_in_a_transaction_is_rolled_back(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        await db.execute("create table t (n int)")
        connection = await take(db)
        outer = connection.transaction()
        await outer.start()
        await connection.execute("insert into t values (1)")
        await outer.transaction().start()  # which nobody has, and yet it is under way
        await connection.execute("insert into t values (2)")
        del outer, connection
        assert await db.fetchval("select count(*) from t", timeout=5) == 0
        assert len(places) == 1


async def test_callbacks_that_listen_get_the_very_connection_and_keep_it(database: Database) -> None:
    heard: list[Connection] = []

    def hear(connection: Connection, pid: int, channel: str, payload: object) -> None:
        heard.append(connection)

    def note(connection: Connection, message: object) -> None:
        heard.append(connection)

    async with reclaiming(database, 2) as (db, places):
        connection = await take(db)
        await connection.add_listener("news", hear)
        connection.add_log_listener(note)
        await db.execute("notify news")
        await becomes(lambda: heard)
        await connection.execute("do $$ begin raise notice 'x'; end $$")
        await becomes(lambda: len(heard) == 2)
        assert all(one is connection for one in heard)
        heard.clear()
        del connection
        gc.collect()
        await db.execute("notify news")
        await becomes(lambda: heard)
        assert (db.stats().held, places) == (1, [])
        connection = heard.pop()
        await connection.remove_listener("news", hear)
        connection.remove_log_listener(note)
        del connection
        await settled(db)
        assert len(places) == 1


async def test_a_dropped_listener_whose_connection_is_lost_gives_its_permit_back(database: Database) -> None:
    async with reclaiming(database) as (db, places), witness_of(database) as witness:
        connection = await take(db)
        await connection.add_listener("news", print)
        pid = connection.get_server_pid()
        del connection
        await witness.terminate(pid)
        assert await db.fetchval("select 1", timeout=5) == 1
        assert len(places) == 1


async def test_a_block_keeps_a_connection_that_it_gives_no_name(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        async with db.acquire():
            gc.collect()
            await asyncio.sleep(0)
            assert db.stats().held == 1
        assert (db.stats().held, places) == (0, [])


async def test_a_block_that_is_begun_by_hand_and_forgotten_gives_its_connection_back(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        await db.acquire().__aenter__()
        await settled(db)
        assert len(places) == 1


async def test_a_connection_released_in_time_is_not_taken_back(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        connection = await take(db)
        statement = await connection.prepare("select 1")
        await db.release(connection)
        with pytest.raises(UsageError):
            await db.release(connection)
        with pytest.raises(asyncpg.InterfaceError, match="released back"):
            await connection.fetchval("select 1")
        with pytest.raises(asyncpg.InterfaceError, match="released back"):
            await statement.fetchval()
        async with db.acquire() as another:
            del connection, statement
            gc.collect()
            assert await another.fetchval("select 1") == 1
            with pytest.raises(UsageError):  # its block will
                await db.release(another)
        assert (db.stats().held, places) == (0, [])


async def test_a_call_made_before_a_release_does_not_run_after_it(database: Database) -> None:
    async with pool_of(database, 1) as db:
        connection = await take(db)
        call = connection.fetchval("select 1")
        await db.release(connection)
        with pytest.raises(asyncpg.InterfaceError, match="released back"):
            await call


async def test_a_connection_is_released_to_its_own_pool_only(database: Database) -> None:
    async with pool_of(database, 1) as db, pool_of(database, 1) as other:
        connection = await take(db)
        with pytest.raises(UsageError):
            await other.release(connection)
        await db.lane("any").release(connection)
        assert db.stats().held == 0


async def test_a_connection_whose_task_has_ended_stays_with_who_has_it(database: Database) -> None:
    async with reclaiming(database) as (db, places):
        taking = asyncio.create_task(take(db))
        connection = await taking
        del taking
        gc.collect()
        assert await connection.fetchval("select 1") == 1
        await db.release(connection)
        assert places == []


async def test_a_thousand_dropped_connections_of_five_all_come_back(database: Database) -> None:
    async with reclaiming(database, 5) as (db, places):
        taken = [asyncio.create_task(take(db)) for _ in range(1000)]
        while taken:
            await taken.pop(0)
        await settled(db)
        assert len(places) == 1000
        assert db.stats().connects_total <= 5


@pytest.mark.parametrize("when", ["meanwhile", "after"])
async def test_connections_dropped_around_the_pools_close_say_nothing(
    database: Database, caplog: pytest.LogCaptureFixture, when: str
) -> None:
    caplog.set_level(logging.WARNING)
    async with reclaiming(database, 3) as (db, places):
        taken = [await take(db) for _ in range(3)]
        closing = asyncio.create_task(db.close(timeout=0.2 if when == "after" else 30))
        if when == "meanwhile":
            await becomes(lambda: "closed" in repr(db))
            taken.clear()
        await closing
        taken.clear()
        await settled(db)
        assert places == []
        assert ["cut off" in record.message for record in caplog.records] == [True] * (when == "after")


def test_connections_dropped_after_the_loops_end_disturb_nobody(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def forget() -> tuple[DatabasePool, Connection]:
        db = DatabasePool(database.dsn, 1)
        await db.open()
        return db, await take(db)

    async def cut(connection: Connection) -> None:
        connection.terminate()

    loop = asyncio.new_event_loop()
    kept: list[object] = list(loop.run_until_complete(forget()))
    loop.run_until_complete(cut(kept[1]))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    kept.clear()
    gc.collect()
    assert caplog.records == []
