"""PgBouncer's console, in an old version and a new one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncpg
import pytest

from dbpool.loadtest.server.connecting import CONNECT_ERRORS, Unreachable, close, connect, lifeline
from dbpool.loadtest.server.console import Console, PoolerPool, console_at, pool_of
from dbpool.loadtest.server.sampler import Sampler
from dbpool.loadtest.server.simplequery import simple_rows
from tests.support.databases import Database
from tests.support.pgbouncer import PROGRAMS, console_of, pgbouncer
from tests.support.pools import dsn_with, until, witness_of
from tests.support.server import Server


@dataclass(frozen=True, slots=True)
class Pooler:
    dsn: str
    console: Console


@pytest.fixture(params=PROGRAMS)
async def pooler(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[Pooler]:
    async with pgbouncer(server.admin, max_client_conn=20, program=request.param, pool_size=2) as dsn:
        async with console_at(console_of(dsn), "run") as console:
            assert console is not None
            yield Pooler(dsn, console)


async def test_clients_that_wait_for_a_server_connection_are_seen(pooler: Pooler) -> None:
    assert pooler.console.version.startswith("1.")
    clients = [await connect(pooler.dsn, "client") for _ in range(3)]
    holders = [client.transaction() for client in clients[:2]]
    for holder in holders:
        await holder.start()
    waiting = asyncio.create_task(clients[2].execute("select 1"))

    async def seen() -> list[PoolerPool]:
        return [pool for pool in await pooler.console.pools() if pool.cl_waiting and pool.maxwait_ms]

    [pool] = await until(seen)
    assert (pool.database, pool.cl_active, pool.cl_waiting, pool.sv_active, pool.sv_idle) == ("postgres", 2, 1, 2, 0)
    assert not waiting.done()
    for holder in holders:
        await holder.rollback()
    await waiting
    for client in clients:
        await close(client)


async def test_a_sample_has_the_pools(pooler: Pooler) -> None:
    session = await lifeline(pooler.dsn, "run")
    sampler = Sampler(session, is_local=False, console=pooler.console)
    sample = await sampler.look()
    await close(session)
    assert sample.pools is not None
    assert [pool.database for pool in sample.pools] == ["postgres"]


async def test_a_console_that_was_lost_is_told_once_and_pools_are_unknown(pooler: Pooler) -> None:
    session = await lifeline(pooler.dsn, "run")
    told: list[str] = []
    sampler = Sampler(session, is_local=False, console=pooler.console, warn=lambda code, _: told.append(code))
    assert (await sampler.look()).pools is not None
    with pytest.raises(CONNECT_ERRORS):
        await pooler.console.show("NOTHING_OF_THAT_NAME")
    assert (await sampler.look()).pools is not None  # an error of the console's is no loss
    async with console_at(console_of(pooler.dsn), "other") as other:
        assert other is not None
        rows = await other.show("CLIENTS")
        assert len([row for row in rows if row["database"] == "pgbouncer"]) == 2
    pooler.console._session.terminate()  # noqa: SLF001 - nothing else ends this one connection
    assert (await sampler.look()).pools is None
    assert (await sampler.look()).pools is None
    assert told == ["console_lost"]
    await close(session)


async def test_who_may_not_use_the_console_is_told_so(pooler: Pooler) -> None:
    with pytest.raises(Unreachable, match="console") as caught:
        async with console_at(dsn_with(console_of(pooler.dsn), user="nobody", password="not-the-secret"), "run"):
            pass
    assert "not-the-secret" not in str(caught.value)


async def test_a_server_is_no_console(database: Database) -> None:
    with pytest.raises(Unreachable, match="whose address ends in /pgbouncer"):
        async with console_at(database.dsn, "run"):
            pass


async def test_no_address_is_no_console() -> None:
    async with console_at(None, "run") as console:
        assert console is None


async def test_simple_rows_are_those_that_the_server_sends(database: Database) -> None:
    session = await lifeline(database.dsn, "run")
    sql = "select n, nullif(n, 2) as maybe, repeat('é', 30000 * n) as long, '' as empty from generate_series(1, 3) n"
    expected = [
        {"n": str(n), "maybe": None if n == 2 else str(n), "long": "é" * 30000 * n, "empty": ""} for n in (1, 2, 3)
    ]
    assert await simple_rows(session, sql, timeout_s=10) == expected
    with pytest.raises(asyncpg.PostgresError, match="division by zero") as caught:
        await simple_rows(session, "select 1 / 0", timeout_s=10)
    assert caught.value.sqlstate == "22012"
    assert await simple_rows(session, "set application_name to 'x'", timeout_s=10) == []
    assert await session.fetchval("select 1") == 1  # the driver goes on as if nothing had been
    with pytest.raises(TimeoutError):
        await simple_rows(session, "select pg_sleep(60)", timeout_s=0.05)
    assert session.is_closed()
    async with witness_of(database) as witness:
        await witness.terminate(*await witness.pids())  # the server goes on with what nobody waits for


async def test_a_connection_lost_during_a_simple_query_is_an_error_and_closed(database: Database) -> None:
    session = await lifeline(database.dsn, "run")
    with pytest.raises((ConnectionError, asyncpg.PostgresError)):
        await simple_rows(session, "select pg_terminate_backend(pg_backend_pid())", timeout_s=10)

    async def is_closed() -> bool:
        return session.is_closed()

    await until(is_closed)
    with pytest.raises(ConnectionError):
        await simple_rows(session, "select 1", timeout_s=10)


def test_a_column_that_a_version_does_not_have_is_unknown() -> None:
    pool = pool_of({"database": "d", "user": "u", "cl_active": "1", "maxwait": "2"})
    assert pool == PoolerPool("d", "u", 1, None, None, None, 2000.0)
    assert pool_of({"database": "d", "user": "u", "maxwait": "2", "maxwait_us": "500"}).maxwait_ms == 2000.5
