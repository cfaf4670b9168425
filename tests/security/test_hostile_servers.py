"""A server that asks for more than it may gets nothing that is worth anything, and is told of in one sentence."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest

from dbpool import DatabasePool, Dsn, InsecureConnection, PoolSettings, ServerUnavailable, driver
from dbpool.driver import Driver
from tests.support.databases import Database
from tests.support.hostile import READY, Client, Script, asks, hostile_server
from tests.support.pools import dsn_with, pool_of

pytestmark = pytest.mark.every_loop

CANARY = "Zk7Qx9-canary"


@asynccontextmanager
async def pool_for(script: Script, heard: bytearray, more: str = "") -> AsyncIterator[DatabasePool]:
    async with hostile_server(script, heard) as port:
        db = DatabasePool(f"postgresql://app:{CANARY}@127.0.0.1:{port}/shop{more}", connect_timeout=5.0)
        try:
            yield db
        finally:
            await db.close(timeout=1.0)


async def refusal(script: Script, more: str = "") -> tuple[ServerUnavailable, bytearray]:
    """What a caller is told, and every byte that the server got."""
    heard = bytearray()
    async with pool_for(script, heard, more) as db:
        with pytest.raises(ServerUnavailable) as caught:
            await db.open()
    assert isinstance(caught.value.__cause__, InsecureConnection)
    assert b"app" in heard, "it got to the script"
    assert CANARY.encode() not in heard
    assert CANARY not in f"{caught.value} {caught.value.__cause__!r}"
    return caught.value, heard


async def scram_begun(client: Client) -> str:
    client.say(asks(10, b"SCRAM-SHA-256\0\0"))
    return (await client.message()).rpartition(b",r=")[2].decode()


def scram_goes_on(nonce: str, rounds: str) -> bytes:
    salt = base64.b64encode(b"salt").decode()
    return asks(11, f"r={nonce}more,s={salt},i={rounds}".encode())


@pytest.mark.parametrize("more", ["", "?sslmode=disable", "?sslmode=prefer", "?sslmode=allow"])
async def test_no_password_goes_in_clear_text_over_a_connection_without_tls(more: str) -> None:
    async def script(client: Client) -> None:
        client.say(asks(3))
        await client.message()

    error, _ = await refusal(script, more)
    assert "asks for the password in clear text on a connection without TLS: it was not sent" in str(error)


@pytest.mark.parametrize("size", [1, 2, 8])
async def test_nor_when_it_is_asked_for_in_pieces(size: int) -> None:
    async def script(client: Client) -> None:
        message = asks(3)
        for at in range(0, len(message), size):
            client.say(message[at : at + size])
            await asyncio.sleep(0.01)
        await client.message()

    await refusal(script)


async def test_nor_when_it_is_asked_for_behind_something_else() -> None:
    async def script(client: Client) -> None:
        client.say(asks(0) + b"S\0\0\0\x08a\0b\0" + asks(3))
        await client.message()

    await refusal(script)


async def test_nor_before_the_startup_message_was_read() -> None:
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"N")
        await writer.drain()
        await asyncio.sleep(0.01)
        writer.write(asks(3))  # perhaps while the driver changes its protocol
        with suppress(OSError):
            while data := await reader.read(65536):
                heard.extend(data)
        writer.transport.abort()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        db = DatabasePool(f"postgresql://app:{CANARY}@127.0.0.1:{port}/shop", connect_timeout=5.0)
        with pytest.raises(ServerUnavailable):
            await db.open()
        await db.close(timeout=1.0)
    assert CANARY.encode() not in heard


async def test_a_connection_beside_the_pools_gives_nothing_away_either() -> None:
    async def script(client: Client) -> None:
        client.say(asks(3))

    heard = bytearray()
    async with hostile_server(script, heard) as port:
        address = Dsn(f"postgresql://app:{CANARY}@127.0.0.1:{port}/shop")
        with pytest.raises(InsecureConnection):
            await Driver(PoolSettings(dsn=address)).connect_apart()
        with pytest.raises(InsecureConnection):
            await driver.connect(address)
    assert CANARY.encode() not in heard


@pytest.mark.parametrize("rounds", ["100001", "2147483647", "9" * 5000])
async def test_no_proof_is_computed_that_takes_long(rounds: str) -> None:
    async def script(client: Client) -> None:
        client.say(scram_goes_on(await scram_begun(client), rounds))
        await client.message()

    began = time.process_time()
    error, _ = await refusal(script)
    assert "would stop this program for as long as they take: at most 100,000" in str(error)
    assert time.process_time() - began < 30  # 2^31 rounds take ten minutes


async def test_nor_one_after_the_other() -> None:
    async def script(client: Client) -> None:
        nonce = await scram_begun(client)
        client.say(scram_goes_on(nonce, "4096") * 100_000)
        await client.message()

    error, _ = await refusal(script)
    assert "asks the same twice" in str(error)


async def test_a_server_that_does_not_show_that_it_knows_the_password_is_not_believed() -> None:
    async def script(client: Client) -> None:
        client.say(scram_goes_on(await scram_begun(client), "4096"))
        await client.message()
        client.say(asks(0) + READY)

    error, _ = await refusal(script)
    assert "without having shown that it knows the password" in str(error)


@pytest.mark.parametrize("said", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"R\0\0\0\0", b"E\x7f\xff\xff\xff"])
async def test_what_speaks_another_protocol_is_told_as_that(said: bytes) -> None:
    async def script(client: Client) -> None:
        client.say(said)

    error, _ = await refusal(script)
    assert "does not speak PostgreSQL's protocol: check the host and the port" in str(error)


async def test_one_of_several_servers_that_asks_for_what_it_must_not_get_is_passed_over(database: Database) -> None:
    async def script(client: Client) -> None:
        client.say(asks(3))
        await client.message()

    heard = bytearray()
    async with hostile_server(script, heard) as port:
        dsn = dsn_with(database.dsn, address=f"127.0.0.1:{port},{urlsplit(database.dsn).netloc.rpartition('@')[2]}")
        async with pool_of(dsn, 1, connect_timeout=5.0) as db:
            assert await db.fetchval("select 1") == 1
    assert heard


async def test_where_none_of_several_servers_can_be_trusted_each_is_told_at_once() -> None:
    async def script(client: Client) -> None:
        client.say(asks(3))
        await client.message()

    heard = bytearray()
    async with hostile_server(script, heard) as one, hostile_server(script, heard) as other:
        hosts = f"127.0.0.1:{one},127.0.0.1:{other}"
        db = DatabasePool(f"postgresql://app:{CANARY}@{hosts}/shop", connect_timeout=5.0)
        with pytest.raises(ServerUnavailable, match="Check that it is the server that is meant") as caught:
            await db.open()
        await db.close(timeout=1.0)
    for port in (one, other):
        assert f"127.0.0.1:{port}: InsecureConnection: " in str(caught.value)
    assert CANARY.encode() not in heard
