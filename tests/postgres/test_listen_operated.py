"""The connection that listens, while its pool is paused, drained and closed, and while nobody wants it any more."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from dbpool import DatabasePool, Gap, LeasesRemain, Notification, ServerUnavailable, Subscription
from dbpool.embedded import EmbeddedPostgres
from tests.support.databases import Database
from tests.support.pools import Witness, pool_of, until, witness_of

SOON_S = 10.0


async def following(events: Subscription) -> Notification | Gap:
    async with asyncio.timeout(SOON_S):
        return await anext(events)


async def hears(db: DatabasePool, events: Subscription, text: str) -> bool:
    """Whether what is sent now is the next to come."""
    await db.execute("select pg_notify('a', $1)", text)
    event = await following(events)
    return isinstance(event, Notification) and event.payload == text


async def listeners(witness: Witness) -> list[int]:
    """The pids of the sessions that listen, and are not merely about to."""
    backends = await witness.backends()
    return [row["pid"] for row in backends if row["query"].startswith("LISTEN") and row["state"] == "idle"]


async def nobody_listens(witness: Witness) -> bool:
    return not await listeners(witness)


@asynccontextmanager
async def frozen(pid: int) -> AsyncIterator[None]:
    """The process does nothing for the length of the block."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose processes we may stop and go on."""
    with EmbeddedPostgres() as server:
        yield server


async def test_a_pause_that_disconnects_closes_it_too_and_it_listens_again_with_a_gap(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, db.listen("a") as events:
        await db.pause(disconnect=True)
        for _ in range(20):
            assert await witness.pids() == set()
            await asyncio.sleep(0.005)
        db.resume()
        assert await following(events) == Gap(None)
        assert await hears(db, events, "after")


async def test_a_pause_that_keeps_the_connections_keeps_it_listening(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, db.listen("a") as events:
        await db.pause()
        await witness.run("notify a, 'heard'")
        assert isinstance(await following(events), Notification)
        db.resume()


async def test_a_pause_that_failed_lets_it_listen_on(database: Database) -> None:
    async with pool_of(database, 1) as db, db.listen("a") as events, db.acquire() as connection:
        with pytest.raises(LeasesRemain, match=r"1 lease had not ended after 0\.004 s"):
            await db.pause(disconnect=True, timeout=0.004)
        await connection.execute("notify a, 'heard'")
        assert isinstance(await following(events), Notification)


async def test_who_subscribes_in_such_a_pause_listens_when_it_is_over(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1, connect_timeout=0.1, reset_timeout=0.1) as db:
        await db.pause(disconnect=True)
        with pytest.raises(ServerUnavailable, match=r"does not listen after .*: it is paused"):
            async with db.listen("a"):
                pass
        events = db.listen("a")
        step = asyncio.create_task(following(events))
        await asyncio.sleep(0.05)
        assert await witness.pids() == set()
        db.resume()
        await until(lambda: listeners(witness))
        await db.execute("notify a")
        assert isinstance(await step, Notification)


async def test_a_drain_replaces_it_with_a_gap(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db, db.listen("a") as events:
        (old,) = await listeners(witness)
        db.drain()
        db.drain()  # in the same instant: once is enough
        assert await following(events) == Gap(None)
        (new,) = await until(lambda: listeners(witness))
        assert new != old
        assert await hears(db, events, "after")


async def test_it_is_closed_soon_after_a_loop_without_a_block_was_left(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db:

        async def follow() -> None:
            async for _ in db.listen("a"):
                break

        task = asyncio.create_task(follow())
        await until(lambda: listeners(witness))
        await db.execute("notify a")
        await task
        await until(lambda: nobody_listens(witness))


async def test_cancelling_the_first_step_of_a_loop_loses_nothing(database: Database) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db:
        for after_s in (0, 0.001, 0.005, 0.05):
            events = db.listen("a")
            step = asyncio.ensure_future(anext(events))
            await asyncio.sleep(after_s)
            step.cancel()
            await asyncio.wait([step])
            assert step.cancelled()
            step = asyncio.ensure_future(anext(events))
            await until(lambda: listeners(witness))
            await db.execute("notify a, 'here'")
            event = await step
            assert isinstance(event, Notification)
            events.end(StopAsyncIteration())
            await until(lambda: nobody_listens(witness))


@pytest.mark.parametrize("by", ["close", "pause"])
async def test_a_frozen_one_is_cut_off_in_time(own: EmbeddedPostgres, by: str) -> None:
    async with witness_of(own.dsn()) as witness, pool_of(own.dsn(), 1) as db, db.listen("a"):
        (pid,) = await listeners(witness)
        async with frozen(pid), asyncio.timeout(3):
            await (db.close(timeout=0.5) if by == "close" else db.pause(timeout=0.5, disconnect=True))


async def test_frozen_idle_connections_are_cut_off_in_the_time_of_the_pause(own: EmbeddedPostgres) -> None:
    async with witness_of(own.dsn()) as witness, pool_of(own.dsn(), 1) as db:
        pid = await db.fetchval("select pg_backend_pid()")
        async with frozen(pid):
            async with asyncio.timeout(3):
                await db.pause(timeout=0.5, disconnect=True)
            assert db.stats().connections == 0
            assert db.stats().zombies == 1
        db.resume()
        assert await db.fetchval("select 1") == 1
        assert pid not in await witness.pids()
