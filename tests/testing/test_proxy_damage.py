"""Messages that a proxy spoils, slices, loses or keeps waiting, and one to which nothing was said."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest

from dbpool import DatabasePool, DbPoolError, ServerUnavailable, UsageError
from dbpool.testing import Damage, FaultProxy, Standing, Way
from dbpool.testing.proxying.damage import spoilt
from tests.support.pools import pool_of, settled, until
from tests.support.proxy import proxy_to

SHORT = {"reset_timeout": 0.3, "quarantine_timeout": 0.3, "outage_patience": 0.2, "query_timeout": 0.5}


@pytest.fixture
async def db(dbpool_proxy: FaultProxy) -> AsyncIterator[DatabasePool]:
    async with pool_of(dbpool_proxy.dsn(), 2, **SHORT) as db:  # type: ignore[arg-type] # a mapping of several types
        await db.execute("create table t (a int)")
        yield db


async def works(db: DatabasePool) -> bool:
    with suppress(DbPoolError):
        return bool(await db.fetchval("select 1") == 1)
    return False


async def test_bytes_in_are_bytes_out_when_nothing_is_said() -> None:
    """Whatever they are: what is no message of PostgreSQL's is not held back once it is as long as it says."""
    chance = random.Random(7)
    asked = startup() + b"".join(message(chance) for _ in range(40))
    answered = b"".join(message(chance) for _ in range(40))
    taken = bytearray()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.extend(await reader.readexactly(len(asked)))
        writer.write(answered)
        writer.write_eof()
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        async with proxy_to(server.sockets[0].getsockname()[:2]) as proxy:
            for piece in (None, 1, 1000):
                taken.clear()
                proxy.slice(piece)
                reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
                writer.write(asked)
                assert await reader.read(-1) == answered
                writer.close()
                assert taken == asked
                assert proxy.sessions[-1].bytes_out == proxy.sessions[-1].bytes_in
                assert proxy.sessions[-1].bytes_in == {Way.TO_SERVER: len(asked), Way.TO_CLIENT: len(answered)}


def startup() -> bytes:
    return (8).to_bytes(4) + (196608).to_bytes(4)


def message(chance: random.Random) -> bytes:
    body = chance.randbytes(chance.choice([0, 1, 7, 300, 900]))
    return bytes([chance.randrange(256)]) + (len(body) + 4).to_bytes(4) + body


def test_each_kind_of_damage_does_what_it_says() -> None:
    head, body = b"C\x00\x00\x00\x0a", b"COMMI\x00"
    spoiled = {each: spoilt(head, body, each) for each in Damage}
    assert spoiled == {
        Damage.LOST: b"",
        Damage.TWICE: 2 * (head + body),
        Damage.HALF: b"C\x00\x00\x00\x0aC",
        Damage.LETTER: b"\x01\x00\x00\x00\x0aCOMMI\x00",
        Damage.NEGATIVE: b"C\xff\xff\xff\xffCOMMI\x00",
        Damage.LONGER: b"C\x00\x00\x00\x12COMMI\x00",
        Damage.SHORTER: b"C\x00\x00\x00\x09COMMI\x00",
    }


async def test_a_message_is_spoilt_only_where_the_session_stands_as_said(
    dbpool_proxy: FaultProxy, db: DatabasePool
) -> None:
    again = dbpool_proxy.damage("CommandComplete", Damage.TWICE, standing=Standing.IN_TRANSACTION, says="COMMIT")
    cut = dbpool_proxy.cut(before="Query", says="ROLLBACK", standing=Standing.IDLE)
    async with db.transaction() as tx:
        await tx.execute("insert into t values (1)")
    with pytest.raises(ZeroDivisionError):
        async with db.transaction():
            raise ZeroDivisionError
    assert again.has_happened
    assert not cut.has_happened
    assert dbpool_proxy.sessions[0].standing is Standing.IDLE


async def test_what_is_no_message_cannot_be_spoilt(dbpool_proxy: FaultProxy) -> None:
    with pytest.raises(UsageError, match="no message is called 'Commit'"):
        dbpool_proxy.damage("Commit", Damage.TWICE)


async def test_a_rule_may_spoil_messages(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    dbpool_proxy.rule = lambda message: Damage.LONGER
    with pytest.raises(DbPoolError):
        await db.fetch("select 1")
    await dbpool_proxy.heal()
    await until(lambda: works(db))


@pytest.mark.parametrize("way", list(Way))
async def test_silence_from_a_byte_on_ends_with_resume_and_nothing_is_lost(
    dbpool_proxy: FaultProxy, db: DatabasePool, way: Way
) -> None:
    await db.fetch("select 1")
    session = dbpool_proxy.sessions[0]
    fault = dbpool_proxy.stall_at_byte(session.bytes_out[way] + 7, way, session=1)
    call = asyncio.create_task(db.fetchval("select 7", timeout=5))
    await fault.wait()
    assert dbpool_proxy.is_stalled
    assert not call.done()
    dbpool_proxy.resume()
    assert await call == 7


async def test_bytes_that_are_lost_are_lost_alone(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    await db.fetch("select 1")
    session = dbpool_proxy.sessions[0]
    before = session.bytes_in[Way.TO_CLIENT] - session.bytes_out[Way.TO_CLIENT]
    fault = dbpool_proxy.lose_at_byte(session.bytes_out[Way.TO_CLIENT] + 3, Way.TO_CLIENT, count=30)
    with pytest.raises(DbPoolError):
        await db.fetch("select generate_series(1, 20)")
    assert fault.has_happened
    assert before == 0
    assert session.bytes_in[Way.TO_CLIENT] - session.bytes_out[Way.TO_CLIENT] == 30
    await settled(db)
    await until(lambda: works(db))


async def test_a_fault_for_one_connection_leaves_the_others_alone(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    cut = dbpool_proxy.cut_at_byte(20, Way.TO_SERVER, session=2)
    assert await db.fetchval("select 1") == 1
    assert not cut.has_happened
    async with db.acquire(), db.acquire():
        await cut.wait()
    assert cut.session == 2


async def test_a_sliced_stream_arrives_whole(dbpool_proxy: FaultProxy, db: DatabasePool) -> None:
    dbpool_proxy.slice(1)
    assert await db.fetchval("select repeat('x', 3000)", timeout=10) == 3000 * "x"
    async with db.transaction() as tx:
        await tx.execute("insert into t values (1)", timeout=10)
    assert await db.fetchval("select count(*) from t", timeout=10) == 1


async def test_a_deaf_port_costs_a_caller_its_time_and_heals(dbpool_proxy: FaultProxy) -> None:
    db = DatabasePool(dbpool_proxy.dsn(), connect_timeout=0.2, outage_patience=0.1)
    await dbpool_proxy.deafen()
    with pytest.raises(ServerUnavailable):
        await db.open()
    await dbpool_proxy.heal()
    async with db:
        assert await db.fetchval("select 1") == 1
