"""What is between a pool and its server is found out by trying, once, and told."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import urlsplit

import asyncpg
import pytest

from dbpool import DatabasePool, ServerUnavailable
from dbpool.core.route import HIGHEST_PID
from dbpool.events import Event, PoolerFound
from dbpool.testing.addresses import address_of
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAM, PROGRAMS, bouncer
from tests.support.pools import pool_of
from tests.support.proxy import Do, proxy_before, proxy_to
from tests.support.server import Server

BEGUN = "ReadyForQuery", b"T"
NO_PREPARED = {"max_prepared_statements": 0}
POOLERS = [
    (OLD_PROGRAM, {}, "a pooler in transaction mode, which does not follow prepared statements"),
    (PROGRAM, {}, "a pooler in transaction mode, which follows prepared statements"),
    (PROGRAM, NO_PREPARED, "a pooler in transaction mode, which does not follow prepared statements"),
    (OLD_PROGRAM, {"server_round_robin": 1}, "a pooler in transaction mode, which does not follow prepared statements"),
    (OLD_PROGRAM, {"pool_mode": "session"}, "a pooler in session mode"),
    (PROGRAM, {"pool_mode": "session"}, "a pooler in session mode"),
]


def told_of(db: DatabasePool) -> list[PoolerFound]:
    told: list[PoolerFound] = []

    def listen(event: Event) -> None:
        if isinstance(event, PoolerFound):
            told.append(event)

    db.on_event(listen)
    return told


@pytest.mark.parametrize(("program", "settings", "route"), POOLERS)
async def test_a_pooler_is_found_and_told(
    program: str, settings: dict[str, object], route: str, server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "dbpool")
    async with bouncer(server.dsn(), program, **settings) as pooler:
        db = DatabasePool(pooler.address, 3, name="shop")
        told = told_of(db)
        async with db:
            assert [event.route for event in told] == [route]
            assert db.stats().pooler == told[0].pooler
            assert f"through {route}" in db.report().notes
            assert f"pool 'shop' goes through {route}" in caplog.text
            await asyncio.gather(*(db.fetchval("select pg_sleep(0.01)") for _ in range(9)))
        assert len(told) == 1  # though three connections were opened


@pytest.mark.parametrize("program", PROGRAMS)
async def test_without_room_for_a_second_connection_the_mode_is_taken_for_the_one_that_asks_for_most_care(
    program: str, server: Server
) -> None:
    async with (
        bouncer(server.dsn(), program, pool_mode="session", default_pool_size=1) as pooler,
        pool_of(pooler.address, 1) as db,
    ):
        assert db.stats().pooler == "transaction"
        with pytest.raises(Exception, match=r"\(or in session mode: then say pooler='session'\)"):
            await db.execute("set work_mem = '65kB'")


async def test_a_full_pooler_in_session_mode_is_no_reason_to_wait_for_ever(server: Server) -> None:
    async with (
        bouncer(server.dsn(), OLD_PROGRAM, pool_mode="session", default_pool_size=1) as pooler,
        pool_of(pooler.address, 2) as db,
    ):
        assert db.stats().pooler == "transaction"
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("pooler", ["transaction", "session", "none"])
async def test_what_the_setting_says_is_not_asked_for(pooler: str, program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as between, pool_of(between.address, 2, pooler=pooler) as db:
        assert db.stats().pooler == pooler


async def test_a_server_is_asked_once_and_never_taken_for_a_pooler(server: Server) -> None:
    trips = {}
    for pooler in None, "none":
        async with proxy_before(server.dsn()) as proxy, pool_of(proxy.dsn(), 3, min_connections=3, pooler=pooler) as db:
            trips[pooler] = proxy.round_trips()
            assert db.stats().pooler == "none"
            assert len(proxy.sessions) == 3
    assert trips[None] == trips["none"] + 1


@pytest.mark.parametrize("program", PROGRAMS)
async def test_what_is_recognised_without_asking_is_recognised(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler:
        seen = []
        for _ in range(8):
            connection = await asyncpg.connect(pooler.address)
            seen.append(0 < connection.get_server_pid() <= HIGHEST_PID)
            await connection.close()
    assert sum(seen) <= 2  # one of 500 or 1,000 looks like a process


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_pooler_in_statement_mode_is_refused_in_a_sentence(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program, pool_mode="statement") as pooler:
        with pytest.raises(ServerUnavailable, match="statement mode, where no transaction can be: set pool_mode"):
            await DatabasePool(pooler.address, 2, outage_patience=0.05).open()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_parameter_that_the_pooler_refuses_is_told_in_a_sentence(program: str, server: Server) -> None:
    async with bouncer(server.dsn(), program) as pooler:
        with pytest.raises(ServerUnavailable, match=r"statement_timeout .*PgBouncer takes no such setting.*ALTER ROLE"):
            await DatabasePool(pooler.address, server_settings={"statement_timeout": "5s"}, outage_patience=0.05).open()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_parameter_that_the_pooler_drops_without_a_word_is_told(program: str, server: Server) -> None:
    asked = {"statement_timeout": "5000", "timezone": "Asia/Kolkata"}
    async with (
        bouncer(server.dsn(), program, ignore_startup_parameters="statement_timeout") as pooler,
        pool_of(pooler.address, 2, server_settings=asked) as db,
    ):
        assert "which ignores server_settings: statement_timeout" in "".join(db.report().notes)
        assert await db.fetchval("show timezone") == "Asia/Kolkata"


@pytest.mark.parametrize(("before", "after"), [(PROGRAM, OLD_PROGRAM), (OLD_PROGRAM, PROGRAM)])
async def test_another_pooler_at_the_same_address_is_looked_at_anew(before: str, after: str, server: Server) -> None:
    async with bouncer(server.dsn(), before) as pooler, bouncer(server.dsn(), after) as other:
        db = DatabasePool(pooler.address, 3)
        told = told_of(db)
        async with db:
            pooler.kill()
            pooler.command = (other.command[0], *pooler.command[1:])
            await pooler.start()
            while len(told) < 2:
                try:
                    await db.fetchval("select 1")
                except ConnectionError:
                    await asyncio.sleep(0.01)
            assert [event.keeps_prepared for event in told] == [before == PROGRAM, after == PROGRAM]


@pytest.mark.parametrize("pooler", [None, "transaction"])
async def test_a_pooler_that_falls_silent_while_it_is_looked_at_takes_no_longer_than_a_connect(
    pooler: str | None, server: Server
) -> None:
    """Least of all for a ROLLBACK, which would have all of the 60 s that a statement may take."""
    async with (
        bouncer(server.dsn(), OLD_PROGRAM) as between,
        proxy_to(address_of(urlsplit(between.address))) as proxy,
        asyncio.timeout(20),
    ):
        proxy.rule = lambda message: Do.LAST if (message.name, message.body) == BEGUN else Do.PASS
        db = DatabasePool(proxy.dsn(between.address), 2, pooler=pooler, connect_timeout=0.5, outage_patience=0.05)
        with pytest.raises(ServerUnavailable, match="answered no query within connect_timeout"):
            await db.open()
        await db.close()


async def test_a_slow_way_to_a_pooler_makes_its_mode_no_less_certain(server: Server) -> None:
    async with (
        bouncer(server.dsn(), OLD_PROGRAM, pool_mode="session") as between,
        proxy_to(address_of(urlsplit(between.address))) as proxy,
    ):
        proxy.delay(0.03)
        async with pool_of(proxy.dsn(between.address), 3) as db:
            assert db.stats().pooler == "session"
