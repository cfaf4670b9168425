"""What the sockets of a pool's connections are told, so that a network that swallows all is noticed."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest

from dbpool import AcquireTimeout
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of
from tests.support.proxy import proxy_before

pytestmark = pytest.mark.every_loop


@pytest.mark.skipif(sys.platform != "linux", reason="which options there are is the platform's")
async def test_a_peer_that_vanished_is_noticed_while_nothing_is_sent_and_while_something_is(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        async with db.acquire() as connection:
            sock = connection._con._transport.get_extra_info("socket")  # type: ignore[attr-defined] # noqa: SLF001
            assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            seconds = [
                sock.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            ]
            assert seconds == [30, 10, 3]
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 600_000


async def test_a_connection_that_rests_and_is_swallowed_is_found_out_by_the_pool_itself(database: Database) -> None:
    options = {"keepalive": 0.1, "reset_timeout": 0.1, "quarantine_timeout": 0.2, "connect_timeout": 0.5}
    async with proxy_before(database.dsn) as proxy:
        async with pool_of(proxy.dsn(database.dsn), 1, outage_patience=60.0, **options) as db:  # type: ignore[arg-type]
            assert await db.fetchval("select 1") == 1
            proxy.stall()  # the network takes all, and gives nothing
            await becomes(lambda: db.stats().connections == 0)
            with pytest.raises(AcquireTimeout):
                await db.fetchval("select 2", timeout=0.3)
            proxy.resume()
            async with asyncio.timeout(10):
                assert await db.fetchval("select 3") == 3
