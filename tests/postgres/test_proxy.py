"""The proxy that the other tests believe in."""

from __future__ import annotations

import asyncio

import pytest

from dbpool import QueryTimeout
from tests.support.databases import Database
from tests.support.pools import dsn_with, pool_of, settled
from tests.support.proxy import Way, proxy_before


async def test_the_proxy_passes_every_byte_on_and_knows_every_message(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 3) as db:
        await db.execute("create table t (a text)")
        await db.executemany("insert into t values ($1)", [("x" * size,) for size in (0, 1, 8192, 300_000)])
        await asyncio.gather(*(db.fetch("select * from t") for _ in range(20)))
        with pytest.raises(QueryTimeout):
            await db.fetch("select pg_sleep(9)", timeout=0.05)
        await settled(db)
        await db.close()
        for session in proxy.sessions:
            assert session.bytes_in == session.bytes_out
            assert session.messages[0][1] in ("startup", "cancel")
        assert {way for session in proxy.sessions for way, _ in session.messages} == set(Way)
        assert sum(session.bytes_out[Way.TO_CLIENT] for session in proxy.sessions) > 20 * 300_000
        assert [kind for _, kind in proxy.sessions[0].messages][-1] == "X"


async def test_the_proxys_dsn_is_the_databases_by_another_address() -> None:
    assert dsn_with("postgresql://a:b%20@h:1/d?x=y", address="g:2") == "postgresql://a:b%20@g:2/d?x=y"
