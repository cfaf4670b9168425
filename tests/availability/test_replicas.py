"""Reads on standbys that are near enough, else on the primary."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from dbpool import (
    AcquireTimeout,
    DatabasePool,
    Lsn,
    PoolClosed,
    Replicas,
    SettingsError,
    StatementError,
    UsageError,
)
from dbpool.replicas import Standby
from dbpool.testing import PostgresCluster
from tests.support.databases import Database
from tests.support.pools import PATIENCE_S, becomes, pool_of, until

PUT = "insert into t values ($1)"
COUNT = "select count(*) from t"
WRITES = "with put as (insert into t values ($1) returning id) select id from put"
SERVER = "select inet_server_port()"


@asynccontextmanager
async def reading(cluster: PostgresCluster, **options: Any) -> AsyncIterator[tuple[DatabasePool, Replicas]]:  # noqa: ANN401 - those of replicas()
    async with (
        pool_of(cluster.dsn(), 4, target_session_attrs="read-write") as db,
        db.replicas(**options) as reads,
    ):
        yield db, reads


def told(work: Callable[[], None]) -> Awaitable[None]:
    """In a thread: it blocks."""
    return asyncio.to_thread(work)


async def ports_of(reads: Replicas, times: int = 12) -> set[int]:
    return set(await asyncio.gather(*(reads.fetchval(SERVER) for _ in range(times))))


async def test_reads_go_to_standbys_and_never_more_than_asked_for(cluster: PostgresCluster) -> None:
    async with reading(cluster, max_connections=2) as (db, reads):
        assert await ports_of(reads, 40) == {node.port for node in cluster.standbys}
        assert {each.address: each.state for each in reads.stats()} == {
            node.address: "primary" if node is cluster.primary else "standby" for node in cluster.nodes
        }
        asleep = [asyncio.create_task(reads.fetchval("select pg_sleep(0.3) is null")) for _ in range(9)]
        await becomes(lambda: sum(each.held for each in reads.stats()) == 4)
        assert await asyncio.gather(*asleep) == [False] * 9
        assert (reads.primary_reads_total, db.stats().connections) == (0, 1)


async def test_beside_the_pools_each_server_has_one_connection_that_watches_it_and_the_primary_two(
    cluster: PostgresCluster,
) -> None:
    sessions = "select count(*) from pg_stat_activity where application_name like 'dbpool %'"

    async def counted() -> list[int]:
        return [int(await asyncio.to_thread(node.ask, sessions)) for node in (cluster.primary, *cluster.standbys)]

    async with pool_of(cluster.dsn(), 4, target_session_attrs="read-write") as db:
        async with db.replicas(max_connections=2) as reads:
            assert await counted() == [1 + 2, 1, 1]
            await ports_of(reads, 40)
            assert await counted() == [1 + 2, 1 + 2, 1 + 2]

        async def only_the_pools_own() -> bool:
            return await counted() == [1, 0, 0]

        await until(only_the_pools_own)


async def test_a_read_sees_what_was_written_before_its_place(cluster: PostgresCluster) -> None:
    async with reading(cluster, wait_s=PATIENCE_S) as (db, reads):
        for number in range(30):
            await db.execute(PUT, number)
            place = await db.lsn()
            assert await reads.after(Lsn.parse(str(place))).fetchval(COUNT) == number + 1
        assert reads.primary_reads_total == 0


async def test_where_no_standby_has_it_in_time_the_primary_answers(cluster: PostgresCluster) -> None:
    async with reading(cluster, wait_s=0.05) as (db, reads):
        for node in cluster.standbys:
            await told(node.pause_replay)
        await db.execute(PUT, 1)
        after = reads.after(await db.lsn())
        assert await after.fetchval(COUNT) == 1
        assert await after.fetchval("select (select nextval is null from (select 1 as nextval) s)") is False
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await after.fetchval("with gone as (delete from t returning 1) select count(*) from gone")
        assert await db.fetchval(COUNT) == 1
        assert await after.fetchval(SERVER) == cluster.primary.port


async def test_a_standby_that_lags_is_left_out_and_comes_back(cluster: PostgresCluster) -> None:
    slow, quick = cluster.standbys
    async with reading(cluster, max_lag_s=0.5) as (db, reads):
        await told(slow.pause_replay)
        await db.execute(PUT, 1)

        async def only_the_quick_one() -> bool:
            await db.execute("update t set id = id")
            return await ports_of(reads) == {quick.port}

        await until(only_the_quick_one)
        (lag_s,) = [each.lag_s for each in reads.stats() if each.address == slow.address]
        assert lag_s is None or lag_s > 0.5
        await told(slow.resume_replay)

        async def both() -> bool:
            return await ports_of(reads) == {quick.port, slow.port}

        await until(both)


async def test_an_idle_primary_makes_nobody_lag(cluster: PostgresCluster) -> None:
    await asyncio.to_thread(cluster.primary.ask, "select pg_switch_wal()")
    async with reading(cluster, max_lag_s=0.3) as (db, reads):
        await asyncio.sleep(0.8)  # longer than may be lagged
        assert await ports_of(reads) == {node.port for node in cluster.standbys}
        assert await reads.after(await db.lsn()).fetchval(SERVER) != cluster.primary.port


async def test_a_standby_that_goes_costs_no_read_and_comes_back(cluster: PostgresCluster) -> None:
    gone, other = cluster.standbys
    async with reading(cluster) as (_, reads):
        await ports_of(reads, 40)
        await told(lambda: gone.stop(immediate=True))
        assert await ports_of(reads) == {other.port}
        await told(gone.start)

        async def both() -> bool:
            return await ports_of(reads) == {other.port, gone.port}

        await until(both)


async def test_a_standby_that_is_frozen_is_left_out(cluster: PostgresCluster) -> None:
    frozen, other = cluster.standbys
    async with reading(cluster) as (_, reads):
        await told(frozen.freeze)
        await becomes(lambda: [each.state for each in reads.stats()].count("silent") == 1)
        assert await ports_of(reads) == {other.port}
        await told(frozen.thaw)


@asynccontextmanager
async def standbys_frozen(cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[None]:
    """Standbys fall silent, and reads do not know it yet."""
    with monkeypatch.context() as patch:
        patch.setattr(Standby, "heard", lambda *_: None)
        try:
            for node in cluster.standbys:
                await told(node.freeze)
            yield
        finally:
            for node in cluster.standbys:
                await told(node.thaw)


async def test_a_first_read_waits_for_a_silent_standby_no_longer_than_it_may(
    cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(cluster, max_lag_s=60.0) as (_, reads):
        async with standbys_frozen(cluster, monkeypatch):
            for _ in cluster.standbys:
                with pytest.raises(AcquireTimeout, match="A connect has been under way"):
                    await reads.fetchval(SERVER, timeout=0.5)
            assert sum(each.held for each in reads.stats()) == len(cluster.standbys)  # the openings go on
            assert reads.primary_reads_total == 0

        async def by_standbys() -> bool:
            return await ports_of(reads) == {node.port for node in cluster.standbys}

        await until(by_standbys)  # on a busy machine they count as silent by then


async def test_an_opening_that_fails_when_nobody_waits_any_more_is_no_complaint(
    cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_in_vain() -> None:
        async with (
            pool_of(cluster.dsn(), 2, target_session_attrs="read-write", connect_timeout=1.0) as db,
            db.replicas(max_lag_s=60.0) as reads,
            standbys_frozen(cluster, monkeypatch),
        ):
            with pytest.raises(AcquireTimeout):
                await reads.fetchval(SERVER, timeout=0.1)
            await becomes(lambda: not any(each.held for each in reads.stats()))

    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, complaint: complaints.append(complaint))
    await read_in_vain()
    gc.collect()
    assert complaints == []


async def test_a_reader_that_waits_for_a_standby_is_told_that_the_reads_were_closed(
    cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with reading(cluster, max_lag_s=60.0) as (_, reads), standbys_frozen(cluster, monkeypatch):
        reader = asyncio.create_task(reads.fetchval(SERVER))
        await becomes(lambda: sum(each.held for each in reads.stats()) == 1)
        async with asyncio.timeout(PATIENCE_S):
            await reads.close()
            await asyncio.wait([reader])
        with pytest.raises(PoolClosed, match="these reads were closed"):
            await reader


async def test_reads_go_on_while_a_standby_is_promoted_and_leave_it(cluster: PostgresCluster) -> None:
    old, (new, other) = cluster.primary, cluster.standbys
    async with reading(cluster) as (db, reads):
        await told(lambda: old.stop(immediate=True))
        assert await ports_of(reads) <= {new.port, other.port}
        await told(lambda: cluster.promote(new))

        async def only_the_other() -> bool:
            return await ports_of(reads) == {other.port}

        await until(only_the_other)
        await db.run(lambda tx: tx.execute(PUT, 1))
        assert await reads.after(await db.lsn()).fetchval(COUNT) == 1


async def test_what_makes_no_sense_is_refused_in_a_sentence(cluster: PostgresCluster, database: Database) -> None:
    async with reading(cluster) as (_, reads):
        with pytest.raises(StatementError, match="INSERT on a standby: what writes goes through the pool itself"):
            await reads.execute(PUT, 1)
        with pytest.raises(UsageError, match=r"after\(\) takes what 'await db.lsn\(\)' gave"):
            reads.after("0/0")  # type: ignore[arg-type]
    with pytest.raises(PoolClosed, match="these reads are not open"):
        await reads.fetch("select 1")
    with pytest.raises(SettingsError, match="an address with several servers"):
        DatabasePool(database.dsn).replicas()
    db = DatabasePool(cluster.dsn())
    with pytest.raises(SettingsError, match="needs target_session_attrs='read-write'"):
        db.replicas()
    db = DatabasePool(cluster.dsn(), target_session_attrs="primary")
    with pytest.raises(SettingsError, match="max_lag_s must be"):
        db.replicas(max_lag_s=-1)


async def test_a_read_that_would_write_is_refused_and_costs_no_connection(cluster: PostgresCluster) -> None:
    async with reading(cluster, max_connections=1) as (_, reads):

        async def processes() -> set[int]:
            return set(await asyncio.gather(*(reads.fetchval("select pg_backend_pid()") for _ in range(12))))

        before = await processes()
        for number in range(4):
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await reads.fetchval(WRITES, number)
        assert await processes() == before


async def test_a_read_writes_nothing_at_a_standby_that_is_promoted_in_this_moment(
    cluster: PostgresCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, (new, other) = cluster.primary, cluster.standbys
    async with reading(cluster) as (_, reads):
        await told(other.stop)
        await becomes(lambda: [each.state for each in reads.stats()].count("standby") == 1)
        await told(lambda: old.stop(immediate=True))
        monkeypatch.setattr(Standby, "heard", lambda *_: None)  # it comes too late
        await told(lambda: cluster.promote(new))
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reads.fetchval(WRITES, 1, timeout=PATIENCE_S)
        assert await asyncio.to_thread(new.ask, COUNT) == "0"
