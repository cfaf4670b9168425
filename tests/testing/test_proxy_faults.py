"""Faults that a proxy makes between a pool and its server."""

from __future__ import annotations

import asyncio
import gc
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from dbpool import (
    CommitOutcomeUnknown,
    ConnectionLost,
    DatabasePool,
    QueryTimeout,
    ServerUnavailable,
    SettingsError,
    UsageError,
)
from dbpool.embedded import EmbeddedPostgres
from dbpool.testing import FaultProxy, Way, proxy_before
from dbpool.testing.proxying.proxy import proxy_to
from dbpool.testing.proxying.session import cut
from tests.support.pools import dsn_with, pool_of, settled, until

SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
SHORT = {"reset_timeout": 0.5, "quarantine_timeout": 0.5, "outage_patience": 0.2}


@pytest.fixture
async def db(dbpool_proxy: FaultProxy) -> AsyncIterator[DatabasePool]:
    async with pool_of(dbpool_proxy.dsn(), 2, **SHORT) as db:  # type: ignore[arg-type] # a mapping of several types
        await db.execute("create table t (a int)")
        yield db


@pytest.mark.parametrize("reset", [True, False])
async def test_a_cut_behind_the_answer_to_commit_leaves_what_was_stored(
    dbpool_proxy: FaultProxy, db: DatabasePool, reset: bool
) -> None:
    cut = dbpool_proxy.cut(after="CommandComplete", says="COMMIT", reset=reset)
    with pytest.raises(CommitOutcomeUnknown) as failure:
        async with db.transaction(traceable=True) as tx:
            await tx.execute("insert into t values (1)")
    await cut.wait()
    assert cut.session == 1
    assert await db.fetchval("select count(*) from t") == 1
    assert (await db.outcome(failure.value)).value == "committed"


async def test_a_cut_before_a_commit_arrives_stores_nothing(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    dbpool_proxy.cut(before="Query", says="COMMIT")
    with pytest.raises(CommitOutcomeUnknown):
        async with db.transaction() as tx:
            await tx.execute("insert into t values (1)")
    assert await db.fetchval("select count(*) from t") == 0


async def test_the_nth_message_is_cut(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    cut = dbpool_proxy.cut(before="DataRow", nth=3)
    assert len(await db.fetch("select generate_series(1, 2)")) == 2
    assert not cut.has_happened
    with pytest.raises(ConnectionLost):
        await db.fetch("select generate_series(1, 2)")
    assert cut.has_happened
    assert len(await db.fetch("select generate_series(1, 2)")) == 2


@pytest.mark.parametrize("way", list(Way))
async def test_a_connection_is_cut_at_a_byte(dbpool_proxy: FaultProxy, db: DatabasePool, way: Way) -> None:
    session = dbpool_proxy.sessions[-1]
    at = session.bytes_out[way] + 9  # within a message
    cut = dbpool_proxy.cut_at_byte(at, way)
    with pytest.raises(ConnectionLost):
        await db.fetch("select 1")
    assert cut.has_happened
    assert session.bytes_out[way] == at
    assert await db.fetchval("select 1") == 1


async def test_a_server_that_refuses_heals(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    await dbpool_proxy.refuse()
    dbpool_proxy.end_all()
    with pytest.raises((ServerUnavailable, ConnectionLost)):
        await db.fetch("select 1")
    with pytest.raises(ServerUnavailable):
        await db.fetch("select 1")
    await dbpool_proxy.heal()

    async def serves_again() -> bool:
        with suppress(ServerUnavailable):
            return bool(await db.fetchval("select true"))
        return False

    await until(serves_again)


@pytest.mark.parametrize("way", [None, *Way])
async def test_a_stall_in_any_direction_is_survived(
    dbpool_proxy: FaultProxy, db: DatabasePool, way: Way | None
) -> None:
    dbpool_proxy.stall(way)
    assert dbpool_proxy.is_stalled
    with pytest.raises(QueryTimeout):
        await db.fetch("select 1", timeout=0.1)
    await dbpool_proxy.heal()
    assert not dbpool_proxy.is_stalled
    await settled(db)
    assert await db.fetchval("select 1") == 1


async def test_what_is_delayed_arrives_later_once_for_all_that_came_together(
    dbpool_proxy: FaultProxy, db: DatabasePool
) -> None:
    clock = asyncio.get_running_loop().time
    await db.fetch("select generate_series(1, 100)")
    dbpool_proxy.delay(0.1)
    began = clock()
    await db.fetch("select generate_series(1, 100)")
    took_s = clock() - began
    dbpool_proxy.delay(0)
    assert took_s >= 0.2
    assert took_s < 0.1 * 100


async def test_what_is_throttled_arrives_slowly_and_whole(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    clock = asyncio.get_running_loop().time
    dbpool_proxy.throttle(100_000, Way.TO_CLIENT)
    began = clock()
    assert len(await db.fetchval("select repeat('x', 30000)")) == 30_000
    assert clock() - began >= 0.25
    dbpool_proxy.throttle(None)


async def test_a_cut_that_cannot_be_is_refused(dbpool_proxy: FaultProxy) -> None:
    with pytest.raises(UsageError, match="no message is called 'Commit'; there are Authentication, "):
        dbpool_proxy.cut(after="Commit")
    with pytest.raises(UsageError, match="no message to the server is called 'DataRow'"):
        dbpool_proxy.cut(after="DataRow", way=Way.TO_SERVER)
    with pytest.raises(UsageError, match="before= or after="):
        dbpool_proxy.cut(before="Query", after="Query")
    word: Any = "to the client"
    with pytest.raises(UsageError, match=r"way must be one of Way.TO_SERVER, Way.TO_CLIENT, not 'to the client'"):
        dbpool_proxy.cut(after="Query", way=word)
    with pytest.raises(UsageError, match="way must be one of"):
        dbpool_proxy.cut_at_byte(1, word)
    with pytest.raises(UsageError, match=r"standing must be one of Standing.STARTING, .* not 'to the client'"):
        dbpool_proxy.cut(after="Query", standing=word)
    with pytest.raises(UsageError, match=r"by must be one of Damage.LOST, .* not 'to the client'"):
        dbpool_proxy.damage("DataRow", word)
    with pytest.raises(SettingsError, match="count must be"):
        dbpool_proxy.lose_at_byte(1, Way.TO_CLIENT, count=0)


async def test_a_client_that_asks_for_tls_and_gets_none_is_understood(
    dbpool_proxy: FaultProxy, dbpool_database: str
) -> None:
    dsn = dsn_with(dbpool_database.partition("?")[0], address=dbpool_proxy.address)
    connection = await asyncpg.connect(dsn, ssl="prefer")
    cut = dbpool_proxy.cut(before="DataRow")
    assert [kind for _, kind in dbpool_proxy.sessions[-1].messages][:3] == ["ssl", "ssl answer", "startup"]
    with pytest.raises((asyncpg.PostgresConnectionError, ConnectionError)):
        await connection.fetch("select 1")
    assert cut.has_happened
    connection.terminate()


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A server's, with a certificate that nobody trusts."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl to make a certificate")
    key, certificate = str(tmp_path / "key"), str(tmp_path / "certificate")
    options = ("-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", key, "-out", certificate)
    subprocess.run([openssl, "req", *options], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


async def test_what_is_encrypted_passes_and_can_be_cut(tls: ssl.SSLContext) -> None:
    """Behind the proxy stands a server that takes TLS and says each line again."""
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.readexactly(8) == SSL_REQUEST
        writer.write(b"S")
        await writer.drain()
        try:
            await writer.start_tls(tls)
            while line := await reader.readline():
                writer.write(line)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        proxy = FaultProxy(("127.0.0.1", server.sockets[0].getsockname()[1]))
        await proxy.listen()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        writer.write(SSL_REQUEST)
        assert await reader.readexactly(1) == b"S"
        await writer.start_tls(trust, server_hostname="localhost")
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        assert {kind for _, kind in proxy.sessions[0].messages} == {"ssl", "ssl answer", "encrypted"}
        cut = proxy.cut_at_byte(proxy.sessions[0].bytes_out[Way.TO_CLIENT] + 3, Way.TO_CLIENT)
        writer.write(b"again\n")
        with pytest.raises((ConnectionError, ssl.SSLError)):
            assert not await reader.readline()
            raise ConnectionResetError
        assert cut.has_happened
        writer.close()
        await proxy.close()


async def test_a_server_at_a_unix_socket_is_reached() -> None:
    with EmbeddedPostgres() as server:
        async with proxy_before(server.dsn()) as proxy, pool_of(proxy.dsn(), 1) as db:
            assert await db.fetchval("select 1") == 1
            assert proxy.round_trips() > 0


@pytest.mark.every_loop
async def test_what_a_client_says_after_its_server_is_gone_is_lost_without_a_word() -> None:
    heard: list[str] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: heard.append(str(context)))

    async def leave(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        cut(writer, reset=True)

    async def is_over() -> bool:
        return proxy.sessions[0].is_over

    async with await asyncio.start_server(leave, "127.0.0.1", 0) as server:
        async with proxy_to(server.sockets[0].getsockname()) as proxy:
            from_proxy, to_proxy = await asyncio.open_connection("127.0.0.1", proxy.port)
            to_proxy.write((8).to_bytes(4) + (3 << 16).to_bytes(4))
            assert await from_proxy.read() == b""  # the proxy has seen the end of its server
            to_proxy.write(b"Q" + (4).to_bytes(4))
            to_proxy.write_eof()
            await until(is_over)
            to_proxy.close()
    gc.collect()
    assert heard == []
