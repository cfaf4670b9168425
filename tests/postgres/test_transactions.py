"""Transactions: what they say is what is stored."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from dbpool import (
    ConnectionLost,
    DatabasePool,
    QueryTimeout,
    TransactionRolledBack,
    UsageError,
)
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, settled, witness_of
from tests.support.proxy import Do, proxy_before

TABLE = "create table t (a int primary key)"
BEGINS = b"BEGIN"


async def stored(db: DatabasePool) -> list[int]:
    return [row["a"] for row in await db.fetch("select a from t order by a")]


async def test_a_block_that_ends_well_is_committed(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        async with db.transaction() as tx:
            await tx.execute("insert into t values ($1)", 1)
            assert await stored(db) == []
        assert await stored(db) == [1]


async def test_a_block_that_raises_is_rolled_back_and_its_error_comes_out(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(ValueError, match="no more") as caught:
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                raise ValueError("no more")
        assert caught.value.__context__ is None
        assert await stored(db) == []


@pytest.mark.parametrize("traceable", [False, True])
async def test_a_swallowed_error_is_told_at_the_end_and_nothing_is_stored(database: Database, traceable: bool) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        with pytest.raises(TransactionRolledBack):
            async with db.transaction(traceable=traceable) as tx:
                await tx.execute("insert into t values (1)")
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await tx.fetch("select 1/0")
        assert await stored(db) == []
        assert db.stats().discarded_total == 0


async def test_an_inner_transaction_rolls_back_alone(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        async with db.transaction() as tx:
            await tx.execute("insert into t values (1)")
            with pytest.raises(asyncpg.UniqueViolationError):
                async with tx.transaction() as inner:
                    await inner.execute("insert into t values (2)")
                    async with inner.transaction() as innermost:
                        await innermost.execute("insert into t values (1)")
            async with tx.transaction() as inner:
                await inner.execute("insert into t values (3)")
        assert await stored(db) == [1, 3]


async def test_an_error_swallowed_in_an_inner_transaction_spares_the_outer_one(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        async with db.transaction() as tx:
            await tx.execute("insert into t values (1)")
            with pytest.raises(TransactionRolledBack, match="inner"):
                async with tx.transaction() as inner:
                    await inner.execute("insert into t values (2)")
                    with pytest.raises(asyncpg.DivisionByZeroError):
                        await inner.fetch("select 1/0")
            await tx.execute("insert into t values (3)")
        assert await stored(db) == [1, 3]


async def test_an_inner_transaction_is_no_more_lasting_than_the_outer_one(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(KeyError):
            async with db.transaction() as tx:
                async with tx.transaction() as inner:
                    await inner.execute("insert into t values (1)")
                raise KeyError
        assert await stored(db) == []


async def test_settings_last_as_long_as_the_transaction(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.transaction(settings={"app.tenant": "7", "work_mem": "65kB"}) as tx:
            assert await tx.fetchval("select current_setting('app.tenant')") == "7"
            assert await tx.fetchval("select current_setting('work_mem')") == "65kB"
        assert await db.fetchval("select current_setting('app.tenant', true)") in (None, "")
        assert await db.fetchval("select current_setting('work_mem')") != "65kB"
        assert db.stats().resets_total == 0


async def test_a_setting_that_does_not_exist_ends_the_transaction_before_it_begins(database: Database) -> None:
    async with pool_of(database, 1) as db:
        with pytest.raises(asyncpg.PostgresError):
            async with db.transaction(settings={"nonsense": "1"}):
                pytest.fail("the block ran")
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize("isolation", ["read_committed", "repeatable_read", "serializable", "read_uncommitted"])
async def test_the_isolation_asked_for_is_the_isolation_had(database: Database, isolation: str) -> None:
    async with pool_of(database, 1) as db:
        async with db.transaction(isolation=isolation) as tx:
            assert await tx.fetchval("show transaction_isolation") == isolation.replace("_", " ")
        assert await db.fetchval("show transaction_isolation") == "read committed"


async def test_an_unknown_isolation_takes_no_permit(database: Database) -> None:
    async with pool_of(database) as db:
        before = db.stats().granted_total
        with pytest.raises(UsageError, match="isolation"):
            async with db.transaction(isolation="serializable; drop table t"):
                pass
        assert db.stats().granted_total == before


async def test_a_read_only_transaction_cannot_write(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            async with db.transaction(readonly=True, deferrable=True, isolation="serializable") as tx:
                assert await tx.fetchval("show transaction_deferrable") == "on"
                await tx.execute("insert into t values (1)")


async def test_every_helper_runs_in_the_transaction(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        async with db.transaction() as tx:
            await tx.executemany("insert into t values ($1)", [(1,), (2,)])
            assert [row["a"] async for row in tx.stream("select a from t order by a", prefetch=1)] == [1, 2]
            assert len(await tx.query("select * from t")) == 2
            assert await tx.fetchrow("select a from t where a = $1", 3) is None
            assert await tx.fetchval("select count(*) from t") == 2
        assert await stored(db) == [1, 2]


async def test_a_transaction_that_is_over_takes_no_more_statements(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        async with db.transaction() as tx:
            pass
        with pytest.raises(UsageError, match="committed"):
            await tx.fetch("select 1")
        with pytest.raises(UsageError, match="committed"):
            await tx.commit()


async def test_a_transaction_that_is_over_takes_no_rows_and_no_stream(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        async with db.transaction() as tx:
            pass
        async with db.transaction():  # of somebody else, on the same connection
            with pytest.raises(UsageError):
                await tx.executemany("insert into t values ($1)", [(1,)])
            with pytest.raises(UsageError):
                async for _ in tx.stream("select 1"):
                    pass
        assert await stored(db) == []


async def test_cancelling_the_block_rolls_back(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(TABLE)

        async def work() -> None:
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                await tx.fetch("select pg_advisory_xact_lock(1)")

        async with witness.holding():
            task = asyncio.create_task(work())
            await witness.until_blocked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await settled(db)
            assert [row["state"] for row in await witness.backends()] == ["idle"]
        assert await stored(db) == []


@pytest.mark.parametrize("by_hand", [True, False])
async def test_a_rollback_that_is_cancelled_and_comes_to_its_end_costs_no_connection(
    database: Database, by_hand: bool
) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        before = await db.fetchval("select pg_backend_pid()")
        is_about_to = asyncio.Event()

        async def work() -> None:
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                proxy.stall()
                is_about_to.set()
                if by_hand:
                    await tx.rollback()
                raise ValueError("mine")

        task = asyncio.create_task(work())
        await is_about_to.wait()
        for _ in range(5):  # turns of the loop, after which it waits for the answer to ROLLBACK
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.sleep(0)
        proxy.resume()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await db.fetchval("select pg_backend_pid()") == before
        assert await stored(db) == []


# The connection dies, or stops to answer


async def test_the_error_of_the_block_is_seen_though_the_connection_died(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        with pytest.raises(ValueError, match="mine") as caught:
            async with db.transaction() as tx:
                await witness.terminate(await tx.fetchval("select pg_backend_pid()"))
                raise ValueError("mine")
        assert caught.value.__context__ is None
        assert await db.fetchval("select 1") == 1


async def test_the_error_of_the_block_is_seen_though_the_rollback_gets_no_answer(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1, reset_timeout=0.1) as db:
        with pytest.raises(ValueError, match="mine"):
            async with db.transaction() as tx:
                await tx.fetch("select 1")
                proxy.stall()
                raise ValueError("mine")
        proxy.resume()
        await settled(db)
        assert await db.fetchval("select 1") == 1


async def test_a_connection_lost_in_the_block_is_told_and_nothing_is_stored(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(TABLE)
        with pytest.raises(ConnectionLost, match="terminating connection"):
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                await tx.fetch("select pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(ConnectionLost, match="before COMMIT was sent"):
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                await witness.terminate(await tx.fetchval("select pg_backend_pid()"))
                await becomes(lambda: db.stats().connections == 0)
        assert await stored(db) == []


async def test_a_connection_lost_in_a_statement_whose_error_was_swallowed_is_told_at_the_end(
    database: Database,
) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        with pytest.raises(ConnectionLost, match="nothing of this transaction is stored"):
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                with pytest.raises(ConnectionLost):
                    await tx.fetch("select pg_terminate_backend(pg_backend_pid())")
        assert await stored(db) == []


@pytest.mark.parametrize("how", ["cancelled", "out of time"])
async def test_a_begin_without_an_answer_costs_the_connection_and_a_retry_stores_its_rows(
    database: Database, how: str
) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1, query_timeout=0.3) as db:
        await db.execute(TABLE)

        async def work() -> None:
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")

        proxy.rule = lambda message: Do.STALL if message.says("Q", BEGINS) else Do.PASS
        task = asyncio.create_task(work())
        await becomes(lambda: proxy.is_stalled)
        if how == "cancelled":
            task.cancel()
        with pytest.raises(asyncio.CancelledError if how == "cancelled" else QueryTimeout):
            await task
        proxy.rule = lambda _: Do.PASS
        proxy.resume()
        await work()
        assert await stored(db) == [1]
        assert db.stats().discarded_total == 1


async def test_a_begin_cancelled_on_a_connection_of_ones_own_fakes_no_later_success(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)

        async def begin() -> None:
            async with connection.transaction():
                pytest.fail("it began")

        async with db.acquire() as connection:
            proxy.rule = lambda message: Do.STALL if message.says("Q", BEGINS) else Do.PASS
            task = asyncio.create_task(begin())
            await becomes(lambda: proxy.is_stalled)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            proxy.rule = lambda _: Do.PASS
            proxy.resume()
            claims = False
            try:
                async with connection.transaction():
                    await connection.execute("insert into t values (1)")
                claims = True
            except (UsageError, ConnectionLost, asyncpg.PostgresError, asyncpg.InterfaceError):
                pass
        await settled(db)
        assert await stored(db) == ([1] if claims else [])


# On a connection of one's own


async def test_a_connection_of_ones_own_has_honest_transactions(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        async with db.acquire() as connection:
            async with connection.transaction(isolation="serializable"):
                await connection.execute("insert into t values (1)")
                with pytest.raises(asyncpg.UniqueViolationError):
                    async with connection.transaction():
                        await connection.execute("insert into t values (1)")
            with pytest.raises(TransactionRolledBack):
                async with connection.transaction():
                    await connection.execute("insert into t values (2)")
                    with pytest.raises(asyncpg.DivisionByZeroError):
                        await connection.fetch("select 1/0")
            by_hand = connection.transaction()
            await by_hand.start()
            await connection.execute("insert into t values (3)")
            await by_hand.rollback()
        assert await stored(db) == [1]


async def test_a_transaction_left_open_on_a_connection_is_rolled_back_at_its_release(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        async with db.acquire() as connection:
            await connection.transaction().start()
            await connection.execute("insert into t values (1)")
        assert await stored(db) == []


async def test_a_transaction_begun_by_hand_is_no_place_for_another(database: Database) -> None:
    async with pool_of(database, 1) as db, db.acquire() as connection:
        await connection.execute("begin")
        with pytest.raises(UsageError, match="by hand"):
            await connection.transaction().start()
        await connection.execute("rollback")
        async with connection.transaction():
            with pytest.raises(UsageError, match="outermost"):
                await connection.transaction(isolation="serializable").start()
