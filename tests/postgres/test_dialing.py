"""What a connect that failed has left behind, as the server sees it."""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from dbpool.connection import PooledConnection
from dbpool.dialing import dial
from dbpool.driver import Driver
from dbpool.dsn import Dsn
from dbpool.embedded import EmbeddedPostgres
from dbpool.remains import Remains
from dbpool.settings import PoolSettings
from tests.support.databases import Database
from tests.support.loops import cancel_at_suspension, count_suspensions
from tests.support.pools import becomes, role_in
from tests.support.proxy import Do, Message, Proxy, proxy_before
from tests.support.sockets import open_sockets

pytestmark = pytest.mark.every_loop

PATIENCE_S = 10.0


class Phone:
    """Dials a server and keeps what failed attempts have left."""

    def __init__(self, dsn: str) -> None:
        self.dsn = dsn
        self.left: list[Remains] = []

    async def dial(self, **options: Any) -> PooledConnection:  # noqa: ANN401 - asyncpg's
        def connect(loop: asyncio.AbstractEventLoop) -> Any:  # noqa: ANN401 - the stubs know no connection class here
            return asyncpg.connect(self.dsn, loop=loop, connection_class=PooledConnection, **options)

        connection: PooledConnection = await dial(connect, self.left.append)
        return connection

    async def wait_gone(self) -> list[bool]:
        """Wait for the end of all that was left, and forget it."""
        left, self.left = self.left, []
        return [await remains.wait_gone(PATIENCE_S) for remains in left]


@pytest.fixture(scope="module")
def own() -> Iterator[EmbeddedPostgres]:
    """A server whose processes we may stop and go on, through a unix socket."""
    with EmbeddedPostgres() as server:
        yield server


@asynccontextmanager
async def one_at_a_time(database: Database) -> AsyncIterator[tuple[Phone, Phone, Proxy]]:
    """For a role that may open one connection: by way of a proxy, straight, and the proxy."""
    async with role_in(database, limit=1) as dsn, proxy_before(dsn) as proxy:
        yield Phone(proxy.dsn(dsn)), Phone(dsn), proxy


def before_ready(message: Message) -> Do:
    """The client is never told that its session, which counts by now, is ready."""
    return Do.STALL if message.kind == "Z" else Do.PASS


async def test_a_connect_that_succeeds_leaves_nothing_and_is_as_any_other(database: Database) -> None:
    phone = Phone(database.dsn)
    before = len(open_sockets())
    connection = await phone.dial()
    assert phone.left == []
    assert connection.remains is None
    ask = functools.partial(asyncpg.Connection.fetchval, connection)
    assert await ask("select 7") == 7
    with pytest.raises(TimeoutError):
        await ask("select pg_sleep(20)", timeout=0.01)  # asyncpg sends a request to cancel
    assert await ask("select 8") == 8
    await becomes(lambda: len(open_sockets()) == before + 2)  # its own, held twice; not that of the request to cancel
    await connection.close(timeout=PATIENCE_S)
    assert connection.remains is None


async def test_a_connect_that_ran_out_of_time_counts_until_its_remains_are_gone(database: Database) -> None:
    async with one_at_a_time(database) as (phone, straight, proxy):
        proxy.rule = before_ready
        with pytest.raises(TimeoutError):
            await phone.dial(timeout=0.2)
        with pytest.raises(asyncpg.TooManyConnectionsError):
            await straight.dial()
        proxy.resume()
        assert await phone.wait_gone() == [True]
        await (await straight.dial()).close(timeout=PATIENCE_S)
        assert await straight.wait_gone() == [True]  # of the one that was refused


async def test_a_connect_that_is_cancelled_counts_until_its_remains_are_gone(database: Database) -> None:
    async with one_at_a_time(database) as (phone, straight, proxy):
        proxy.rule = before_ready
        dialing = asyncio.create_task(phone.dial())
        await becomes(lambda: proxy.is_stalled)
        dialing.cancel()
        await asyncio.wait([dialing])
        assert dialing.cancelled()
        proxy.resume()
        assert await phone.wait_gone() == [True]
        await (await straight.dial()).close(timeout=PATIENCE_S)


async def test_a_connect_cancelled_at_any_instant_leaves_no_session_unknown(database: Database) -> None:
    async with role_in(database, limit=1) as dsn:
        phone = Phone(dsn)

        async def dial_and_close() -> None:
            await (await phone.dial()).close(timeout=PATIENCE_S)

        instants = await count_suspensions(dial_and_close())
        assert instants >= 3  # the socket is connected, the session is ready, it has ended
        for at in range(1, instants + 1):
            connection = None

            async def dial_only() -> None:
                nonlocal connection
                connection = await phone.dial()  # refused if the one before counts still

            task = await cancel_at_suspension(dial_only(), at)
            assert task.cancelled() or task.exception() is None
            if connection is not None:
                await connection.close(timeout=PATIENCE_S)
            assert all(await phone.wait_gone())


async def test_a_server_that_is_frozen_serves_what_was_given_up_when_it_goes_on(own: EmbeddedPostgres) -> None:
    phone = Phone(own.dsn())
    os.kill(own.pid, signal.SIGSTOP)
    try:
        with pytest.raises(TimeoutError):
            await phone.dial(timeout=0.05)
        (remains,) = phone.left
        waiting = asyncio.create_task(remains.wait_gone(PATIENCE_S))
        await asyncio.sleep(0)
        assert not waiting.done()
    finally:
        os.kill(own.pid, signal.SIGCONT)
    assert await waiting


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"password": "wrong"}, asyncpg.InvalidPasswordError),
        ({"database": "nobodys"}, asyncpg.InvalidCatalogNameError),
        ({"server_settings": {"work_mem": "much"}}, asyncpg.InvalidParameterValueError),
    ],
)
async def test_a_connect_that_the_server_refused_is_over_when_its_remains_are_gone(
    database: Database, options: dict[str, Any], error: type[Exception]
) -> None:
    async with role_in(database, limit=1) as dsn:
        phone = Phone(dsn)
        for _ in range(10):
            with pytest.raises(error):
                await phone.dial(**options)
            assert await phone.wait_gone() == [True]
            await (await phone.dial()).close(timeout=PATIENCE_S)


async def test_a_session_that_does_not_suit_is_left(database: Database) -> None:
    phone = Phone(database.dsn)
    with pytest.raises(asyncpg.TargetServerAttributeNotMatched):
        await phone.dial(target_session_attrs="standby")
    assert await phone.wait_gone() == [True]


async def test_a_connect_that_reached_no_server_leaves_nothing(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        await proxy.refuse()
        phone = Phone(proxy.dsn(database.dsn))
        with pytest.raises(OSError, match="Connect"):
            await phone.dial()
        assert phone.left == []


async def test_an_asyncpg_pool_can_dial(database: Database) -> None:
    left: list[Remains] = []

    async def connect(*args: Any, loop: Any, **options: Any) -> Any:  # noqa: ANN401 - asyncpg's
        return await dial(lambda dialing: asyncpg.connect(*args, loop=dialing, **options), left.append)

    async with proxy_before(database.dsn) as proxy:
        create_pool: Any = asyncpg.create_pool
        pool = create_pool(proxy.dsn(database.dsn), min_size=0, max_size=2, timeout=0.2, connect=connect)
        async with pool, pool.acquire() as connection:
            before = len(open_sockets())
            with pytest.raises(TimeoutError):
                await connection.execute("select pg_sleep(20)", timeout=0.01)
            assert await connection.fetchval("select 1") == 1
            await becomes(lambda: len(open_sockets()) == before)  # nobody holds that of the request to cancel
            proxy.rule = before_ready
            with pytest.raises(TimeoutError):
                await pool.acquire()
            (remains,) = left
            proxy.rule = lambda _: Do.PASS
            proxy.resume()
            assert await remains.wait_gone(PATIENCE_S)


async def test_no_socket_stays_open(database: Database) -> None:
    phone = Phone(database.dsn)
    before = open_sockets()
    for _ in range(5):
        await (await phone.dial()).close(timeout=PATIENCE_S)
        with pytest.raises(asyncpg.InvalidCatalogNameError):
            await phone.dial(database="nobodys")
        assert await phone.wait_gone() == [True]
        connection = await phone.dial()
        connection.terminate()
        assert connection.remains is not None
        assert await connection.remains.wait_gone(PATIENCE_S)
    await becomes(lambda: open_sockets() == before)


async def test_a_connect_that_ends_with_what_is_no_exception_leaves_the_driver_room_for_another(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def give_up(*_: object) -> None:
        raise GeneratorExit

    driver = Driver(PoolSettings(dsn=Dsn(database.dsn)))
    await driver.open(1)
    with monkeypatch.context() as patch:
        patch.setattr("dbpool.driver.dial", give_up)
        with pytest.raises(GeneratorExit):
            await driver.connect()
    async with asyncio.timeout(PATIENCE_S):
        connection = await driver.connect()
    await connection.close()
