"""What is left of a connection that was cut off, as the server sees it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from dbpool.connection import PooledConnection, Want
from dbpool.driver import Driver
from dbpool.embedded import EmbeddedPostgres
from dbpool.remains import Remains
from dbpool.settings import PoolSettings
from tests.support.databases import Database
from tests.support.pools import Witness, becomes, role_in, until, witness_of
from tests.support.proxy import Do, proxy_before

pytestmark = pytest.mark.every_loop

PATIENCE_S = 10.0
PID = "select pg_backend_pid()"
BLOCKED = "select pg_advisory_xact_lock(1)"


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose processes we may stop and go on, through a unix socket."""
    with EmbeddedPostgres() as server:
        yield server


@asynccontextmanager
async def driver_of(dsn: str) -> AsyncIterator[Driver]:
    driver = Driver(PoolSettings.from_mapping({"dsn": dsn, "max_connections": 4}))
    await driver.open(1)
    try:
        yield driver
    finally:
        driver.terminate()


async def ask(connection: PooledConnection, sql: str) -> object:
    rows = await connection.run(sql, (), Want.ROWS, PATIENCE_S)
    return rows[0][0]


@asynccontextmanager
async def blocked(driver: Driver, witness: Witness) -> AsyncIterator[PooledConnection]:
    """A connection whose statement waits for a lock, for the length of the block."""
    async with witness.holding():
        connection = await driver.connect()
        asking = asyncio.create_task(ask(connection, BLOCKED))
        await witness.until_blocked()
        yield connection
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await asking


def remains_of(connection: PooledConnection) -> Remains:
    assert connection.remains is not None
    return connection.remains


@asynccontextmanager
async def frozen(connection: PooledConnection) -> AsyncIterator[None]:
    """The process that serves *connection* does nothing for the length of the block."""
    pid = await ask(connection, PID)
    assert isinstance(pid, int)
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# The proof


@pytest.mark.parametrize("how", ["idle", "busy", "with rows on their way", "stopped", "in a transaction"])
async def test_whoever_saw_the_server_end_one_session_may_begin_the_next(database: Database, how: str) -> None:
    statement = {
        "busy": "select pg_sleep(0.01)",
        "with rows on their way": "select repeat('x', 1000) from generate_series(1, 10000)",
        "stopped": "select pg_sleep(20)",
    }.get(how)
    async with role_in(database, limit=1) as dsn, driver_of(dsn) as driver:
        for _ in range(25):
            connection = await driver.connect()  # refused if the one before counts still
            if how == "in a transaction":
                await connection.run("begin", (), Want.STATUS, PATIENCE_S)
            asking = asyncio.create_task(ask(connection, statement)) if statement else None
            await asyncio.sleep(0)
            connection.terminate()
            if how == "stopped":
                await connection.stop_statement()
            assert await remains_of(connection).wait_gone(PATIENCE_S)
            if asking is not None:
                await asyncio.wait([asking])
                asking.exception()


async def test_a_busy_session_is_gone_only_when_its_statement_has_ended(database: Database) -> None:
    async with driver_of(database.dsn) as driver, witness_of(database) as witness:
        async with blocked(driver, witness) as connection:
            connection.terminate()
            waiting = asyncio.create_task(remains_of(connection).wait_gone(PATIENCE_S))
            await witness.until_blocked()
            assert not waiting.done()
        assert await waiting
        assert await witness.pids() == set()


async def test_a_statement_can_be_stopped_after_its_connection_was_cut_off(database: Database) -> None:
    async with driver_of(database.dsn) as driver, witness_of(database) as witness:
        async with blocked(driver, witness) as connection:
            connection.terminate()
            await connection.stop_statement()
            assert await remains_of(connection).wait_gone(PATIENCE_S)
            assert await witness.pids() == set()


async def test_a_frozen_session_is_gone_when_it_has_gone_on(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver, witness_of(own.dsn()) as witness:
        connection = await driver.connect()
        async with frozen(connection):
            connection.terminate()
            waiting = asyncio.create_task(remains_of(connection).wait_gone(PATIENCE_S))
            assert len(await witness.pids()) == 1
            assert not waiting.done()
        assert await waiting
        assert await witness.pids() == set()


async def test_a_session_cut_off_in_the_middle_of_a_long_message_ends(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver, witness_of(own.dsn()) as witness:
        connection = await driver.connect()
        async with frozen(connection):
            asking = asyncio.create_task(ask(connection, f"select '{'x' * 20_000_000}'"))
            await asyncio.sleep(0)
            connection.terminate()  # no farewell of the driver's gets through behind that
            await asyncio.wait([asking])
            asking.exception()
        assert await remains_of(connection).wait_gone(PATIENCE_S)
        assert await witness.pids() == set()


async def test_a_session_that_outlives_our_patience_is_given_up(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver, witness_of(own.dsn()) as witness:
        connection = await driver.connect()
        async with frozen(connection):
            connection.terminate()
            assert not await remains_of(connection).wait_gone(0.01)
            assert len(await witness.pids()) == 1
        await until(lambda: none_is_left(witness))


async def none_is_left(witness: Witness) -> bool:
    return not await witness.pids()


async def test_a_stalled_network_keeps_the_news_back_until_it_flows_again(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, witness_of(database) as witness:
        async with driver_of(proxy.dsn(database.dsn)) as driver:
            connection = await driver.connect()
            proxy.stall()
            connection.terminate()
            waiting = asyncio.create_task(remains_of(connection).wait_gone(PATIENCE_S))
            assert len(await witness.pids()) == 1
            assert not waiting.done()
            proxy.resume()
            assert await waiting
            assert await witness.pids() == set()


# What leaves remains


async def test_a_connection_that_lives_has_none(database: Database) -> None:
    async with driver_of(database.dsn) as driver:
        connection = await driver.connect()
        assert connection.remains is None
        await connection.close(timeout=PATIENCE_S)


async def test_an_orderly_close_leaves_none(database: Database) -> None:
    async with driver_of(database.dsn) as driver:
        connection = await driver.connect()
        await connection.close(timeout=PATIENCE_S)
        assert connection.remains is None
        connection.terminate()
        await connection.close()
        assert connection.remains is None


async def test_a_session_that_the_server_ended_leaves_none(database: Database) -> None:
    async with driver_of(database.dsn) as driver, witness_of(database) as witness:
        connection = await driver.connect()
        await witness.terminate(*await witness.pids())
        await becomes(connection.is_closed)
        connection.terminate()
        assert connection.remains is None


async def test_a_close_that_ran_out_of_time_leaves_some(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver:
        connection = await driver.connect()
        async with frozen(connection):
            with pytest.raises(TimeoutError):
                await connection.close(timeout=0.01)
        assert await remains_of(connection).wait_gone(PATIENCE_S)


async def test_closing_twice_at_once_loses_nothing_of_what_the_first_leaves(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver:
        connection = await driver.connect()
        async with frozen(connection):
            closing = asyncio.create_task(connection.close(timeout=0.01))
            await asyncio.sleep(0)
            await connection.close()
            with pytest.raises(TimeoutError):
                await closing
        assert await remains_of(connection).wait_gone(PATIENCE_S)


async def test_a_close_that_was_cancelled_leaves_some(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver:
        connection = await driver.connect()
        async with frozen(connection):
            closing = asyncio.create_task(connection.close())
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.wait([closing])
            assert closing.cancelled()
        assert await remains_of(connection).wait_gone(PATIENCE_S)


async def test_a_cut_while_it_is_being_closed_leaves_some(own: EmbeddedPostgres) -> None:
    async with driver_of(own.dsn()) as driver:
        connection = await driver.connect()
        async with frozen(connection):
            closing = asyncio.create_task(connection.close(timeout=PATIENCE_S))
            await asyncio.sleep(0)
            connection.terminate()
            await closing
        assert await remains_of(connection).wait_gone(PATIENCE_S)


async def test_a_discard_whose_statement_cannot_be_stopped_leaves_some(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, witness_of(database) as witness:
        async with driver_of(proxy.dsn(database.dsn)) as driver, blocked(driver, witness) as connection:
            proxy.rule = lambda message: Do.STALL if message.kind == "cancel" else Do.PASS
            await connection.discard(0.05)
            remains = remains_of(connection)
        assert await remains.wait_gone(PATIENCE_S)


async def test_the_drivers_own_cut_after_a_cancel_that_failed_leaves_some(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, witness_of(database) as witness:
        async with driver_of(proxy.dsn(database.dsn)) as driver, witness.holding():
            connection = await driver.connect()
            await proxy.refuse()  # and with it every request to cancel
            with pytest.raises(TimeoutError):
                await connection.run(BLOCKED, (), Want.ROWS, 0.05)
            await becomes(connection.is_closed)
            remains = remains_of(connection)
        assert await remains.wait_gone(PATIENCE_S)
        assert await witness.pids() == set()


async def test_a_second_cut_leaves_what_the_first_has_left(database: Database) -> None:
    async with driver_of(database.dsn) as driver:
        connection = await driver.connect()
        connection.terminate()
        remains = remains_of(connection)
        connection.terminate()
        await connection.close()
        assert connection.remains is remains
        assert await remains.wait_gone(PATIENCE_S)
