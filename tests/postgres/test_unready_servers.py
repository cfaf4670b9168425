"""Servers that are starting up, that reset a handshake, and whose names lead here and there."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from dbpool import DatabasePool, ServerUnavailable
from dbpool.testing.addresses import dsn_with
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of
from tests.support.proxy import proxy_before
from tests.support.sockets import open_sockets

STARTING = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0\0"


@asynccontextmanager
async def serving(serve: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]) -> AsyncIterator[str]:
    """A server of the test's own; its address."""
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def starting_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read(1000)
    writer.write(b"E" + struct.pack("!i", 4 + len(STARTING)) + STARTING)
    writer.close()


@pytest.mark.every_loop
async def test_a_server_that_is_starting_up_is_waited_for(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy:
        async with pool_of(proxy.dsn(database.dsn), 2, outage_patience=60.0) as db:
            await proxy.refuse()
            proxy.end_all()
            await becomes(lambda: db.stats().connections == 0)
            server = await asyncio.start_server(starting_up, "127.0.0.1", proxy.port)
            calls = [asyncio.ensure_future(db.fetchval("select $1::int", n)) for n in range(5)]
            await becomes(lambda: "CannotConnectNow" in str(db.stats().last_connect_error))
            server.close()
            await proxy.listen()
            assert await asyncio.gather(*calls) == list(range(5))


@pytest.mark.every_loop
async def test_a_server_that_goes_on_starting_up_is_the_cause(database: Database) -> None:
    async with serving(starting_up) as address:
        db = DatabasePool(dsn_with(database.dsn, address=address), 1, outage_patience=0.1)
        with pytest.raises(ServerUnavailable, match="the database system is starting up") as caught:
            await db.open()
        assert isinstance(caught.value.__cause__, asyncpg.CannotConnectNowError)


@pytest.mark.every_loop
@pytest.mark.parametrize("ends", ["resets", "says nothing"])
async def test_a_connect_that_ends_within_its_handshake_leaves_nothing(database: Database, ends: str) -> None:
    before = open_sockets()

    async def half_a_handshake(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)  # the request for TLS
        writer.write(b"S")
        await reader.read(10)  # of the client's hello
        if ends == "resets":
            sock = writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        else:
            await reader.read()
            writer.close()

    async with serving(half_a_handshake) as address:
        dsn = dsn_with(database.dsn.split("?")[0], address=address)
        db = DatabasePool(f"{dsn}?sslmode=require", 1, connect_timeout=0.3, outage_patience=0.1)
        with pytest.raises(ServerUnavailable):
            await db.open()
        await becomes(lambda: db.stats().zombies == 0)
        await db.close()
    await becomes(lambda: open_sockets() == before)


async def test_a_name_that_leads_elsewhere_is_followed_by_the_next_connect(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxy_before(database.dsn) as first, proxy_before(database.dsn) as second:
        known = socket.getaddrinfo
        leads_to = first

        def look_up(host: str, port: int, *more: int, **options: int) -> object:
            if host != "db.example":
                return known(host, port, *more, **options)
            return known("127.0.0.1", leads_to.port, *more, **options)

        monkeypatch.setattr(socket, "getaddrinfo", look_up)
        dsn = dsn_with(first.dsn(database.dsn), address="db.example:5432")
        async with pool_of(dsn, 1) as db:
            assert await db.fetchval("select 1") == 1
            assert (len(first.sessions), len(second.sessions)) == (1, 0)
            leads_to = second
            db.drain(spread_over=0.0)
            await becomes(lambda: db.stats().connections == 0)
            assert await db.fetchval("select 2") == 2
            assert (len(first.sessions), len(second.sessions)) == (1, 1)


async def test_a_slow_look_up_of_the_name_has_no_more_time_than_the_connect(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, clock = socket.getaddrinfo, asyncio.get_running_loop().time

    def look_up(host: str, port: int, *more: int, **options: int) -> object:
        if host == "db.example":
            time.sleep(1.0)
        return known("127.0.0.1", port, *more, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    dsn = dsn_with(database.dsn.split("?")[0] + "?sslmode=disable", address="db.example:5432")
    db = DatabasePool(dsn, 1, connect_timeout=0.1, outage_patience=0.1)
    told: list[float] = []
    db.on_event(lambda _: told.append(clock()))
    with pytest.raises(ServerUnavailable, match="TimeoutError"):
        await db.open()
    assert told


async def test_a_setting_that_the_server_has_not_is_told_at_once(database: Database) -> None:
    """Trying again would change nothing."""
    db = DatabasePool(f"{database.dsn}&no_such_setting=1", outage_patience=60)
    async with asyncio.timeout(20):
        with pytest.raises(ServerUnavailable, match=r"no_such_setting.*leave it out"):
            await db.open()
    await db.close()
