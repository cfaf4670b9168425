"""The primary goes, a standby takes its place: what callers of a pool see of it."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest

from dbpool import ConnectionLost, DatabasePool, QueryTimeout, ServerUnavailable
from dbpool.events import ConnectionClosed, Event, Reason
from dbpool.testing import PostgresCluster, PostgresNode
from dbpool.transaction import Transaction
from tests.support.pools import PATIENCE_S, becomes, dsn_with, pool_of

PUT = "insert into t values ($1)"
SERVER = "select inet_server_port()"


async def told(work: Any) -> Any:  # noqa: ANN401 - of whatever is to be done
    """In a thread: it blocks."""
    return await asyncio.to_thread(work)


async def put_at_last(db: DatabasePool, number: int) -> None:
    """A single write, by a caller who may repeat it."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                await db.execute(PUT + " on conflict do nothing", number)
                return
            except (ConnectionLost, ServerUnavailable, asyncpg.ReadOnlySQLTransactionError):
                await asyncio.sleep(0.01)


async def test_writes_go_on_at_the_new_primary_and_nothing_acknowledged_is_missing(cluster: PostgresCluster) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    async with pool_of(cluster.dsn(), 4, target_session_attrs="read-write") as db:
        await asyncio.gather(*(db.execute(PUT, n) for n in range(20)))
        assert await db.fetchval(SERVER) == old.port
        assert f" to {old.address}, which is a primary" in str(db.report())
        await told(lambda: old.stop(immediate=True))
        await told(lambda: cluster.promote(new))
        await put_at_last(db, 20)
        assert await db.fetchval(SERVER) == new.port
        assert await db.fetchval("select count(*) from t") == 21
        await told(cluster.heal)  # the old primary comes back as a standby, which is not written to
        db.drain()
        assert await db.fetchval(SERVER) == new.port


async def test_a_unit_of_work_is_run_again_on_the_new_primary(cluster: PostgresCluster) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    begun, may_go = asyncio.Event(), asyncio.Event()

    async def work(tx: Transaction) -> int:
        await tx.execute(PUT, 1)
        begun.set()
        await may_go.wait()
        await tx.execute(PUT, 2)
        return await tx.fetchval(SERVER)  # type: ignore[no-any-return]

    async with pool_of(cluster.dsn(), 2, target_session_attrs="read-write", outage_patience=PATIENCE_S) as db:
        running = asyncio.create_task(db.run(work))
        await begun.wait()
        await told(old.stop)
        await told(lambda: cluster.promote(new))
        may_go.set()
        assert await running == new.port
        assert [row["id"] for row in await db.fetch("select id from t order by id")] == [1, 2]


async def demoted(node: PostgresNode) -> None:
    """Make a primary read-only as a whole, as some operators do before a switch: its sessions stay."""
    await told(lambda: node.configure(default_transaction_read_only="on"))


async def test_a_server_that_refuses_a_write_loses_all_its_connections_at_once(cluster: PostgresCluster) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    try:
        dsn = dsn_with(cluster.dsn(), address=f"{old.address},{new.address}")
        async with pool_of(dsn, 4) as db:  # nothing is asked of the server
            closed: list[Reason] = []

            def note(event: Event) -> None:
                if isinstance(event, ConnectionClosed):
                    closed.append(event.reason)

            db.on_event(note)
            await asyncio.gather(*(db.execute("select pg_sleep(0.1)") for _ in range(4)))
            assert await db.fetchval(SERVER) == old.port
            await demoted(old)
            await told(lambda: cluster.promote(new))
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                while True:  # the reload takes a moment
                    await db.execute("update t set id = id")
            await becomes(lambda: closed == [Reason.OTHER_SERVER] * 4)
            assert await db.fetchval(SERVER) == new.port
            await db.execute(PUT, 1)
    finally:
        await told(lambda: old.configure(default_transaction_read_only="off"))


async def test_a_session_whose_server_takes_no_writes_any_more_is_not_handed_out_again(
    cluster: PostgresCluster,
) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    try:
        async with pool_of(cluster.dsn(), 2, target_session_attrs="read-write", outage_patience=PATIENCE_S) as db:
            assert await db.fetchval(SERVER) == old.port
            await demoted(old)
            await told(lambda: cluster.promote(new))
            async with asyncio.timeout(PATIENCE_S):
                while await db.fetchval(SERVER) != new.port:  # reads only: the server says it by itself
                    await asyncio.sleep(0.01)
            assert await db.run(lambda tx: tx.fetchval(SERVER)) == new.port
    finally:
        await told(lambda: old.configure(default_transaction_read_only="off"))


async def test_a_pool_of_a_standby_leaves_it_when_it_is_promoted(cluster: PostgresCluster) -> None:
    one, other = cluster.standbys
    async with pool_of(cluster.dsn(), 2, target_session_attrs="standby", outage_patience=PATIENCE_S) as db:
        at = {one.port: one, other.port: other}
        first = at[await db.fetchval(SERVER)]
        await told(lambda: cluster.primary.stop(immediate=True))
        await told(lambda: cluster.promote(first))
        async with asyncio.timeout(PATIENCE_S):
            while await db.fetchval(SERVER) == first.port:
                await asyncio.sleep(0.01)


async def test_a_transaction_that_is_read_only_by_its_own_will_costs_no_connection(cluster: PostgresCluster) -> None:
    async with pool_of(cluster.dsn(), 1, target_session_attrs="read-write") as db:
        opened = db.stats().connects_total
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with db.transaction(readonly=True) as tx:
                await tx.execute(PUT, 1)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await db.run(_refused)
        assert db.stats().connects_total == opened


async def _refused(tx: Transaction) -> None:
    await tx.execute("set transaction read only")
    await tx.execute(PUT, 1)


@pytest.mark.parametrize("target", ["standby", "read-only", "prefer-standby"])
async def test_a_standby_that_was_asked_for_keeps_its_connections_when_it_refuses_a_write(
    cluster: PostgresCluster, target: str
) -> None:
    async with pool_of(cluster.dsn(), 1, target_session_attrs=target) as db:
        opened = db.stats().connects_total
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await db.execute(PUT, 1)
        assert await db.fetchval("select pg_is_in_recovery()")
        assert db.stats().connects_total == opened


@pytest.mark.parametrize("reset_timeout", [0.1, 60.0], ids=["cut off", "still asked"])
async def test_a_primary_that_is_frozen_is_left_for_the_one_that_was_promoted_in_its_place(
    cluster: PostgresCluster, reset_timeout: float
) -> None:
    old, new = cluster.primary, cluster.standbys[0]
    never = 60.0  # what a permit would wait for without another server
    async with pool_of(
        cluster.dsn(),
        2,
        min_connections=2,
        target_session_attrs="read-write",
        reset_timeout=reset_timeout,
        quarantine_timeout=never,
    ) as db:
        await asyncio.gather(*(db.execute(PUT, n) for n in range(4)))
        await becomes(lambda: (db.stats().connections, db.stats().held) == (2, 0))
        await told(old.freeze)
        async with asyncio.timeout(PATIENCE_S):
            given_up = await asyncio.gather(
                *(db.execute(PUT, 4 + n, timeout=0.2) for n in range(2)), return_exceptions=True
            )
            assert {type(error) for error in given_up} == {QueryTimeout}
            assert db.stats().held == 2
            if reset_timeout < 1.0:
                await becomes(lambda: db.stats().zombies == 2)
            await told(lambda: cluster.promote(new))
            await put_at_last(db, 6)
            assert await db.fetchval(SERVER) == new.port
            assert db.stats().held == 0
            assert db.stats().zombies <= 3  # connects to the old one that were given up


async def test_a_primary_that_is_slow_keeps_its_connections(cluster: PostgresCluster) -> None:
    async with pool_of(cluster.dsn(), 2, target_session_attrs="read-write") as db:
        await db.execute("select 1")
        await told(cluster.primary.freeze)
        with pytest.raises(QueryTimeout):
            await db.execute("select 1", timeout=0.1)
        await asyncio.sleep(0.5)  # longer than it takes to look
        await told(cluster.primary.thaw)
        assert await db.fetchval(SERVER) == cluster.primary.port
