"""What PgBouncer does to its clients is told in a sentence, and is got over."""

from __future__ import annotations

import asyncio

import pytest

from dbpool import ConnectionLost, DatabasePool, ServerUnavailable
from tests.support.pgbouncer import PROGRAMS, bouncer
from tests.support.pools import pool_of
from tests.support.proxy import proxy_before
from tests.support.server import Server

every_program = pytest.mark.parametrize("program", PROGRAMS)


async def answers_again(db: DatabasePool) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                assert await db.fetchval("select 1") == 1
                return
            except ConnectionError:
                await asyncio.sleep(0.01)


@every_program
async def test_one_that_was_restarted_is_used_again(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler, pool_of(pooler.address, 4) as db:
        under_way = asyncio.ensure_future(db.fetchval("select pg_sleep(30)"))
        while not db.stats().held:
            await asyncio.sleep(0)
        await asyncio.sleep(0.05)
        pooler.kill()
        with pytest.raises(ConnectionLost, match="may or may not have been applied"):
            await under_way
        await pooler.start()
        await answers_again(db)


@every_program
async def test_while_it_is_paused_statements_wait_and_then_go_on(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler, pool_of(pooler.address, 3) as db:
        await pooler.say("PAUSE")
        asked = asyncio.gather(*(db.fetchval("select $1::int", n) for n in range(6)))
        done, _ = await asyncio.wait([asked], timeout=0.1)
        assert not done
        await pooler.say("RESUME")
        assert await asked == list(range(6))
        assert db.stats().discarded_total == 0


@every_program
async def test_no_server_connection_in_time_is_told_as_nothing_sent(program: str, server: Server) -> None:
    async with (
        bouncer(server.dsn(), program, default_pool_size=1, query_wait_timeout=1) as pooler,
        pool_of(pooler.address, 3, name="shop") as db,
    ):
        async with db.transaction() as tx:
            await tx.execute("select 1")
            with pytest.raises(
                ServerUnavailable, match=r"was not sent to the server, so nothing of it is applied"
            ) as e:
                await db.execute("select 1")
            assert "query_wait_timeout" in str(e.value)
            assert "default_pool_size" in str(e.value)
        await answers_again(db)


@every_program
async def test_more_clients_than_it_takes_are_told_with_the_remedy(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program, max_client_conn=2) as pooler, pool_of(pooler.address, 2) as db:
        async with db.acquire(), db.acquire():
            with pytest.raises(ServerUnavailable, match=r"no more connections allowed.*raise its max_client_conn"):
                await DatabasePool(pooler.address, 2, outage_patience=0.05).open()


@every_program
async def test_a_server_that_ended_a_session_is_told_as_a_lost_connection(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler, pool_of(pooler.address, 3) as db:
        with pytest.raises(ConnectionLost, match="may or may not"):
            await db.fetchval("select pg_terminate_backend(pg_backend_pid())")
        await answers_again(db)


@every_program
async def test_a_server_that_is_gone_is_told_as_that(program: str, server: Server) -> None:
    async with (
        proxy_before(server.dsn()) as proxy,
        bouncer(proxy.dsn(), program, query_wait_timeout=1, server_login_retry=1) as pooler,
        pool_of(pooler.address, 2) as db,
    ):
        await proxy.refuse()
        proxy.end_all()
        told = set()
        for _ in range(3):
            with pytest.raises(ConnectionError) as caught:
                await db.fetchval("select 1")
            told.add(str(caught.value))
        assert any("Check the server, and its address" in text or "query_wait_timeout" in text for text in told), told
        await proxy.listen()
        await answers_again(db)


@every_program
async def test_reload_and_old_server_connections_are_not_noticed(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program, server_lifetime=0) as pooler, pool_of(pooler.address, 3) as db:
        for n in range(20):
            assert await db.fetchval("select $1::int", n) == n
            await pooler.say("RELOAD" if n % 2 else "RECONNECT")
        assert db.stats().discarded_total == 0
