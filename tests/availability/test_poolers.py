"""A pooler before each server of a primary with standbys: what it says of them, and which sessions it gives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import urlsplit

import pytest

from dbpool.testing import PostgresCluster
from tests.support.pgbouncer import OLD_PROGRAM, PROGRAMS, bouncer
from tests.support.pools import pool_of

IS_STANDBY = "select pg_is_in_recovery()"


@asynccontextmanager
async def behind(cluster: PostgresCluster, program: str) -> AsyncIterator[str]:
    """The address of the poolers before all servers."""
    async with AsyncExitStack() as poolers:
        each = [await poolers.enter_async_context(bouncer(node.dsn(), program)) for node in cluster.nodes]
        parts = [urlsplit(pooler.address) for pooler in each]
        hosts = ",".join(part.netloc.rpartition("@")[2] for part in parts)
        who = parts[0].netloc.rpartition("@")[0]
        yield parts[0]._replace(netloc=f"{who}@{hosts}").geturl()


@pytest.mark.parametrize("program", PROGRAMS)
async def test_a_standby_that_was_promoted_behind_its_pooler_is_taken_for_what_it_is(
    program: str, cluster: PostgresCluster
) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    async with behind(cluster, program) as address:
        async with pool_of(address, 2, target_session_attrs="standby", load_balance_hosts="random") as db:
            for _ in range(20):  # so each pooler has met its server
                assert await db.fetchval(IS_STANDBY)
                db.drain()
        await asyncio.to_thread(lambda: old.stop(immediate=True))
        await asyncio.to_thread(lambda: cluster.promote(new))
        async with pool_of(address, 2, target_session_attrs="read-write") as db:
            assert await db.fetchval("select inet_server_port()") == new.port


async def test_standbys_are_watched_through_poolers_that_follow_no_prepared_statements(
    cluster: PostgresCluster,
) -> None:
    async with (
        behind(cluster, OLD_PROGRAM) as address,
        pool_of(address, 2, target_session_attrs="read-write") as db,
        db.replicas(max_lag_s=30.0) as reads,
    ):
        states = set()
        for _ in range(10):
            await asyncio.gather(*(reads.fetchval(IS_STANDBY) for _ in range(6)))
            states |= {each.state for each in reads.stats()}
            await asyncio.sleep(0.1)
        assert states == {"primary", "standby"}
