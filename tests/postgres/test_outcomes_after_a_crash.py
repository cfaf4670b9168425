"""A server that crashes gives the ids of what it has forgotten out again: no outcome is told of another transaction."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import asyncpg
import pytest

from dbpool import CommitOutcomeUnknown, DatabasePool, Outcome
from dbpool.embedded import EmbeddedPostgres
from tests.support.pools import until
from tests.support.proxy import Proxy, proxy_to

# The log is not written but at a COMMIT, for long enough.
SETTINGS = {"synchronous_commit": "on", "wal_writer_delay": "10s", "autovacuum": "off"}


@pytest.fixture(scope="module")
def server() -> Iterator[EmbeddedPostgres]:
    with EmbeddedPostgres(settings=SETTINGS) as server:
        yield server


@pytest.fixture
async def proxy(server: EmbeddedPostgres) -> AsyncIterator[Proxy]:
    async with proxy_to(server.socket_dir / ".s.PGSQL.5432") as proxy:
        yield proxy


async def query(server: EmbeddedPostgres, sql: str) -> object:
    connection = await asyncpg.connect(server.dsn())
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


async def crash(server: EmbeddedPostgres) -> None:
    """End it as a fault in one of its processes does; return when it takes connections again."""
    connection = await asyncpg.connect(server.dsn())
    os.kill(connection.get_server_pid(), signal.SIGKILL)

    async def is_back() -> bool:
        with suppress(OSError, asyncpg.PostgresError):
            return await query(server, "select 1") == 1
        return False

    await until(lambda: _is_gone(connection), 30)
    await until(is_back, 30)


async def _is_gone(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        await connection.fetchval("select 1")
        return False
    return True


async def in_doubt(server: EmbeddedPostgres, proxy: Proxy, *, arrives: bool) -> CommitOutcomeUnknown:
    """Of a COMMIT that has arrived, or has not; then the server crashes."""
    dsn = f"postgresql://postgres@{proxy.address}/postgres?sslmode=disable"
    await query(server, "create table if not exists t (n int)")
    async with DatabasePool(dsn, 1) as db:
        await query(server, "create temp table other ()")  # a COMMIT: the log is kept up to here
        if arrives:
            proxy.cut(before="CommandComplete", says="COMMIT")
        else:
            proxy.cut(before="Query", says="COMMIT")
        with pytest.raises(CommitOutcomeUnknown) as caught:
            async with db.transaction(traceable=True) as tx:
                await tx.execute("insert into t values (1)")
        assert await db.fetchval("select 1") == 1  # on another connection: the first one's transaction is over
        await crash(server)
    return caught.value


async def told(server: EmbeddedPostgres, error: CommitOutcomeUnknown) -> Outcome:
    async with DatabasePool(server.dsn(), 1) as db:
        return await db.outcome(error)


async def test_what_a_crash_lost_is_aborted_though_its_id_is_anothers_by_now(
    server: EmbeddedPostgres, proxy: Proxy
) -> None:
    error = await in_doubt(server, proxy, arrives=False)
    assert await told(server, error) is Outcome.ABORTED  # no transaction has that id
    while (xid := int(str(await query(server, "insert into t values (2) returning xmin")))) < int(error.xid or 0):
        pass
    assert xid == int(error.xid or 0)
    assert await query(server, f"select pg_xact_status('{xid}'::xid8)") == "committed"
    assert await told(server, error) is Outcome.ABORTED


async def test_what_outlived_a_crash_is_committed_until_nobody_can_say(server: EmbeddedPostgres, proxy: Proxy) -> None:
    error = await in_doubt(server, proxy, arrives=True)
    assert await told(server, error) is Outcome.COMMITTED
    await query(server, "checkpoint")
    assert await told(server, error) is Outcome.UNKNOWN


async def test_counters_that_were_set_back_are_no_crash(server: EmbeddedPostgres, proxy: Proxy) -> None:
    dsn = f"postgresql://postgres@{proxy.address}/postgres?sslmode=disable"
    await query(server, "create table if not exists t (n int)")
    async with DatabasePool(dsn, 1) as db:
        proxy.cut(before="CommandComplete", says="COMMIT")
        with pytest.raises(CommitOutcomeUnknown) as caught:
            async with db.transaction(traceable=True) as tx:
                await tx.execute("insert into t values (1)")
    for which in ("bgwriter", "checkpointer"):
        await query(server, f"select pg_stat_reset_shared('{which}')")
    assert await told(server, caught.value) is Outcome.COMMITTED
