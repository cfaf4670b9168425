"""What is true of a pool, whether or not there is a server behind it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest

from dbpool import (
    AcquireTimeout,
    ConnectionLost,
    DatabasePool,
    LineFull,
    PoolClosed,
    PoolDeadlock,
    QueryTimeout,
    StatementError,
    TransactionFailed,
    TransactionRolledBack,
    UsageError,
)
from tests.support.pools import becomes, held, settled

NUMBER = "select $1::int as n"
TWICE = "select $1::int as n, $1::int * 2 as twice"
SERIES = "select n from generate_series(1, 3) as n"
NOTHING = "select 1 as n where false"
SLEEP = "select pg_sleep(20)"
FAILS = "select 1 / 0"
CONFLICTS = "do $$ begin raise exception 'conflict' using errcode = '40001'; end $$"
KILLED = "select pg_terminate_backend(pg_backend_pid())"
OPTIONS = {"max_waiting": 3, "acquire_timeout": 10.0}


@dataclass
class Numbered:
    n: int


class PoolContract:
    async def test_a_row_is_known_by_place_and_name(self, db: DatabasePool) -> None:
        row: Any
        (row,) = await db.fetch(TWICE, 4)
        assert (row[0], row["n"], row[-1], row["twice"], row[0:2]) == (4, 4, 8, 8, (4, 8))
        assert (dict(row), tuple(row), len(row)) == ({"n": 4, "twice": 8}, (4, 8), 2)
        assert (list(row.keys()), list(row.values()), list(row.items())) == (
            ["n", "twice"],
            [4, 8],
            [("n", 4), ("twice", 8)],
        )
        assert (row.get("n"), row.get("none"), row.get("none", 7), "n" in row, 4 in row) == (4, None, 7, True, False)
        assert row == (4, 8)
        assert repr(row) == "<Record n=4 twice=8>"
        with pytest.raises(KeyError):
            row["none"]
        with pytest.raises(IndexError):
            row[2]

    @pytest.mark.parametrize("args", [(), (1, 2)])
    async def test_arguments_too_few_or_too_many_are_refused_and_end_no_transaction(
        self, db: DatabasePool, args: tuple[int, ...]
    ) -> None:
        with pytest.raises(asyncpg.InterfaceError, match=f"the server expects 1 argument for this query, {len(args)} "):
            await db.fetch(NUMBER, *args)
        async with db.transaction() as tx:
            with pytest.raises(asyncpg.InterfaceError):
                await tx.fetchval(NUMBER, *args)
            assert await tx.fetchval(NUMBER, 7) == 7

    async def test_each_helper_returns_its_own_kind(self, db: DatabasePool) -> None:
        for _ in range(2):  # what is prepared goes another way
            assert [row["n"] for row in await db.fetch(SERIES)] == [1, 2, 3]
            first: Any = await db.fetchrow(SERIES)
            assert first == (1,)
            assert await db.fetchrow(NOTHING) is None
            assert await db.fetchval(TWICE, 4, column=1) == 8
            assert await db.fetchval(NOTHING) is None
            assert await db.execute(SERIES) == "SELECT 3"
            assert await db.execute(NUMBER, 1) == "SELECT 1"
            assert await db.fetch(NUMBER, 5, into=Numbered) == [Numbered(5)]

    async def test_arguments_that_do_not_fit_cost_only_their_call(self, db: DatabasePool) -> None:
        for _ in range(2):
            with pytest.raises(asyncpg.DataError):
                await db.fetch(NUMBER, "one")
            assert await db.fetchval(NUMBER, 1) == 1

    async def test_a_servers_error_costs_only_its_call(self, db: DatabasePool) -> None:
        for _ in range(2):
            with pytest.raises(asyncpg.DivisionByZeroError):
                await db.fetch(FAILS)
            assert await db.fetchval(NUMBER, 1) == 1
        assert db.stats().connections == 1

    async def test_a_statement_out_of_time_is_told_and_stopped(self, db: DatabasePool) -> None:
        with pytest.raises(QueryTimeout):
            await db.fetch(SLEEP, timeout=0.05)
        await settled(db)
        assert await db.fetchval(NUMBER, 1) == 1

    async def test_a_cancelled_statement_is_stopped(self, db: DatabasePool) -> None:
        task = asyncio.create_task(db.fetch(SLEEP))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await settled(db)
        assert await db.fetchval(NUMBER, 1) == 1

    async def test_a_transaction_with_a_swallowed_error_is_rolled_back(self, db: DatabasePool) -> None:
        with pytest.raises(TransactionRolledBack):
            async with db.transaction() as tx:
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await tx.fetch(FAILS)
                with pytest.raises(asyncpg.InFailedSQLTransactionError):
                    await tx.fetch(SERIES)
        assert await db.fetchval(NUMBER, 1) == 1

    async def test_a_savepoint_undoes_what_failed(self, db: DatabasePool) -> None:
        async with db.transaction(settings={"app.tenant": "7"}, traceable=True) as tx:
            with pytest.raises(asyncpg.DivisionByZeroError):
                async with tx.transaction() as inner:
                    await inner.fetch(FAILS)
            async with tx.transaction() as inner:
                assert await inner.fetchval(NUMBER, 1) == 1
            assert await tx.fetchval(NUMBER, 2) == 2
        assert "committed" in repr(tx)
        with pytest.raises(UsageError):
            await tx.fetch(SERIES)

    async def test_a_conflict_is_tried_again(self, db: DatabasePool) -> None:
        with pytest.raises(TransactionFailed) as failure:
            await db.run(lambda tx: tx.execute(CONFLICTS), attempts=2)
        assert failure.value.attempts == 2

    async def test_what_begins_a_transaction_is_no_statement(self, db: DatabasePool) -> None:
        with pytest.raises(StatementError):
            await db.execute("begin")

    async def test_a_connection_is_of_no_use_after_its_release(self, db: DatabasePool) -> None:
        connection = await db.acquire()
        assert await connection.fetchval(NUMBER, 3) == 3
        first: Any = await connection.fetchrow(NUMBER, 3)
        assert (first, await connection.fetch(NOTHING)) == ((3,), [])
        async with connection.transaction():
            assert [row["n"] async for row in connection.cursor(SERIES)] == [1, 2, 3]
        await db.release(connection)
        with pytest.raises(asyncpg.InterfaceError):
            await connection.fetch(SERIES)
        with pytest.raises(UsageError):
            await db.release(connection)

    async def test_a_transaction_left_open_ends_with_its_lease(self, db: DatabasePool) -> None:
        async with db.acquire() as connection:
            await connection.transaction().start()
            await connection.fetchval(NUMBER, 1)
        async with db.acquire() as connection:
            assert not connection.is_in_transaction()
            with pytest.raises(asyncpg.NoActiveSQLTransactionError):
                await connection.execute("savepoint mine")
            async with connection.transaction(isolation="serializable"):
                assert await connection.fetchval(NUMBER, 1) == 1
        assert db.stats().connections == 1

    async def test_callers_are_served_as_they_came(self, db: DatabasePool) -> None:
        lane, served = db.lane("one by one", at_most=1, max_waiting=3), list[int]()

        async def call(number: int) -> None:
            served.append(await lane.fetchval(NUMBER, number))

        async with held(lane):
            calls = []
            for number in range(3):
                calls.append(asyncio.create_task(call(number)))
                await becomes(lambda: lane.waiting == len(calls))
            with pytest.raises(LineFull):
                await lane.fetchval(NUMBER, 4)
        await asyncio.gather(*calls)
        assert served == [0, 1, 2]

    async def test_who_waits_too_long_is_told_who_holds(self, db: DatabasePool) -> None:
        async with held(db), held(db):
            with pytest.raises(AcquireTimeout, match="2 of 2 permits held"):
                await db.fetch(SERIES, timeout=0.05)
            assert "in held.<locals>.hold" in str(db.report())

    async def test_who_can_never_be_served_is_told_at_once(self, db: DatabasePool) -> None:
        async with db.acquire(), db.acquire():
            with pytest.raises(PoolDeadlock):
                await db.fetch(SERIES)

    async def test_a_lane_takes_its_share(self, db: DatabasePool) -> None:
        lane = db.lane("one", at_most=1)
        async with held(lane):
            with pytest.raises(AcquireTimeout, match="lane 'one'"):
                await lane.fetch(SERIES, timeout=0.05)
            assert await db.fetchval(NUMBER, 1) == 1

    async def test_a_lost_connection_is_told_and_replaced(self, db: DatabasePool) -> None:
        with pytest.raises(ConnectionLost):
            await db.fetch(KILLED)
        await settled(db)
        assert await db.fetchval(NUMBER, 1) == 1

    async def test_rows_come_through_a_cursor(self, db: DatabasePool) -> None:
        assert [row["n"] async for row in db.stream(SERIES)] == [1, 2, 3]
        async with aclosing(db.stream(SERIES)) as rows:
            async for _ in rows:
                break
        await settled(db)

    async def test_many_statements_are_one_call(self, db: DatabasePool) -> None:
        await db.executemany(NUMBER, [(1,), (2,)])
        with pytest.raises(asyncpg.DataError):
            await db.executemany(NUMBER, [(1,), ("two",)])
        assert await db.fetchval(NUMBER, 1) == 1

    async def test_closing_fails_who_waits(self, db: DatabasePool) -> None:
        async with held(db), held(db):
            waiting = asyncio.create_task(db.fetch(SERIES))
            await becomes(lambda: db.stats().waiting)
            closing = asyncio.create_task(db.close())
            with pytest.raises(PoolClosed):
                await waiting
        await closing
        with pytest.raises(PoolClosed):
            await db.fetch(SERIES)
