"""Limits of the server's own, and conflicts that it finds late."""

from __future__ import annotations

import asyncio
import json

import asyncpg
import pytest

from dbpool import ConnectionLost, StatementError, Transaction, queries
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, witness_of

PID = "select pg_backend_pid()"


async def test_a_transaction_that_idles_for_too_long_is_told_as_not_stored(database: Database) -> None:
    async with pool_of(database, 1, server_settings={"idle_in_transaction_session_timeout": "50ms"}) as db:
        await db.execute("create table t (a int)")
        with pytest.raises(
            ConnectionLost, match="was not run, and a transaction that was open is not stored"
        ) as caught:
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                await becomes(lambda: not db.stats().connections)
                await tx.execute("insert into t values (2)")
        assert "may or may not" not in str(caught.value)
        with pytest.raises(ConnectionLost, match="nothing of this transaction is stored"):
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                await becomes(lambda: not db.stats().connections)
        assert await db.fetchval("select count(*) from t") == 0


async def test_a_transaction_that_takes_too_long_in_a_statement_is_told_why(database: Database) -> None:
    async with pool_of(database, 1) as plain:
        await plain.execute("create table t (a int)")
        if await plain.fetchval("select current_setting('server_version_num')::int") < 170_000:
            pytest.skip("no transaction_timeout before PostgreSQL 17")
    async with pool_of(database, 1, server_settings={"transaction_timeout": "100ms"}) as db:
        with pytest.raises(ConnectionLost, match=r"TransactionTimeout|transaction timeout") as caught:
            async with db.transaction() as tx:
                await tx.execute("insert into t values (1)")
                await tx.execute("select pg_sleep(20)")
        assert caught.value.__cause__ is not None
        assert await db.fetchval("select count(*) from t") == 0


async def test_a_session_that_rests_for_too_long_is_replaced_unnoticed(database: Database) -> None:
    async with pool_of(database, 1, server_settings={"idle_session_timeout": "50ms"}) as db:
        before = await db.fetchval(PID)
        await becomes(lambda: not db.stats().connections)
        assert await db.fetchval(PID) != before


@pytest.mark.parametrize("in_transaction", [True, False])
async def test_a_statement_that_the_server_cancels_is_told_once_and_the_connection_stays(
    database: Database, in_transaction: bool
) -> None:
    async with pool_of(database, 1, server_settings={"statement_timeout": "50ms"}) as db:
        before = await db.fetchval(PID)
        for _ in range(2):  # not prepared yet, then prepared
            with pytest.raises(asyncpg.QueryCanceledError):
                if in_transaction:
                    async with db.transaction() as tx:
                        await tx.fetchval("select 1 from pg_sleep(20)")
                else:
                    await db.fetchval("select 1 from pg_sleep(20)")
        assert await db.fetchval(PID) == before


async def test_a_lock_that_is_not_to_be_had_is_told_once_and_the_connection_stays(database: Database) -> None:
    async with pool_of(database, 2, server_settings={"lock_timeout": "50ms"}) as db:
        await db.execute("create table t (a int); create sequence tries")
        async with db.transaction() as holder:
            await holder.execute("lock table t")
            tried = []

            async def work(tx: Transaction) -> None:
                tried.append(await tx.fetchval(PID))
                await tx.execute("insert into t values (1)")

            for _ in range(2):
                with pytest.raises(asyncpg.LockNotAvailableError):
                    await db.run(work)
            assert len(tried) == 2
            assert len(set(tried)) == 1
        await db.run(work)


async def test_a_conflict_that_commit_is_answered_with_is_run_again(database: Database) -> None:
    async with pool_of(database, 2) as db:
        await db.execute("create table t (a int)")
        done: list[int] = []

        async def count_and_add(tx: Transaction) -> None:
            await tx.execute("insert into t select count(*) from t")

        async def work(tx: Transaction) -> None:
            await count_and_add(tx)
            if not done:
                async with db.transaction(isolation="serializable") as other:
                    await count_and_add(other)
            done.append(1)  # every statement of it went well

        await db.run(work, isolation="serializable")
        assert len(done) == 2
        assert sorted(row[0] for row in await db.fetch("select a from t")) == [0, 1]


async def test_values_that_the_server_or_driver_refuses_cost_no_connection(database: Database) -> None:
    async with pool_of(database, 1) as db:
        before = await db.fetchval(PID)
        with pytest.raises(asyncpg.UntranslatableCharacterError):
            await db.fetchval("select $1::jsonb", json.dumps("\0"))
        for sql, value in ("select $1::int", 2**31), ("select $1::int", "one"), ("select $1::date", "today"):
            with pytest.raises(asyncpg.DataError):
                await db.fetchval(sql, value)
        assert await db.fetchval(PID) == before


async def test_a_value_that_no_message_can_hold_is_refused_before_it_takes_a_permit(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with pool_of(database, 1) as db, db.acquire(), asyncio.timeout(5):
        with pytest.raises(StatementError, match=r"parameter \$2 has a length of 1,073,741,824.*in pieces"):
            await db.execute("select $1, $2", 1, bytes(2**30))
        monkeypatch.setattr(queries, "LONGEST_VALUE", 1000)
        for text in "x" * 1001, "ä" * 1001:
            with pytest.raises(StatementError, match=r"parameter \$1 has a length of 1,001"):
                await db.execute("select $1", text)


@pytest.mark.parametrize("in_transaction", [True, False])
async def test_a_statement_that_somebody_else_cancels_is_told_as_it_is_and_the_connection_stays(
    database: Database, in_transaction: bool
) -> None:
    async with witness_of(database) as witness, pool_of(database, 1) as db:
        await db.execute("create table t (a int)")
        before = await db.fetchval(PID)
        slow = "insert into t select 1 from pg_sleep(60)"

        async def write() -> None:
            if not in_transaction:
                await db.execute(slow)
                return
            async with db.transaction() as tx:
                await tx.execute("insert into t values (0)")
                await tx.execute(slow)

        writing = asyncio.create_task(write())
        running = "select count(*) from pg_stat_activity where pid = $1 and query = $2 and wait_event = 'PgSleep'"
        async with asyncio.timeout(10):
            while not await witness.value(running, before, slow):
                await asyncio.sleep(0.01)
        await witness.run("select pg_cancel_backend($1)", before)
        with pytest.raises(asyncpg.QueryCanceledError) as caught:
            await writing
        assert caught.value.severity == "ERROR"
        assert await db.fetchval(PID) == before
        assert await db.fetchval("select count(*) from t") == 0
