"""What a caller does wrong must hurt nobody else, and must not be answered as if it were right."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import asyncpg
import pytest

from dbpool import ConnectionLost, DatabasePool, QueryTimeout, UsageError
from tests.support.databases import Database
from tests.support.pools import becomes, pool_of, witness_of
from tests.support.proxy import Do, let_all_pass, proxy_before


async def fails() -> None:
    raise ValueError("on purpose")


async def numbers(db: DatabasePool) -> list[int]:
    return [row["n"] for row in await db.fetch("select n from t order by n")]


async def test_a_transaction_is_of_no_use_once_its_connection_was_given_back(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (n int)")
        async with db.transaction() as tx:
            inner = tx.transaction()
            await inner.start()
        async with db.transaction() as other:
            for old in (tx, inner):
                with pytest.raises(UsageError):
                    await old.execute("insert into t values (777)")
            await other.execute("insert into t values (1)")
        assert await numbers(db) == [1]


async def test_a_transaction_never_begun_cannot_begin_on_somebody_elses_connection(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            old = connection.transaction()
        async with db.acquire():
            with pytest.raises(UsageError):
                await old.start()


async def test_a_savepoint_that_cannot_be_rolled_back_takes_the_whole_transaction_with_it(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (n int)")
        with pytest.raises(ConnectionLost):
            async with db.transaction() as tx:
                with pytest.raises(ValueError, match="on purpose"):
                    async with tx.transaction() as inner:
                        await inner.execute("insert into t values (4321)")
                        await asyncio.gather(inner.fetch("select pg_sleep(30)"), fails())
        assert await numbers(db) == []


async def test_after_a_begin_that_was_cancelled_nothing_is_acknowledged_on_that_connection(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute("create table t (n int)")
        async with db.acquire() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0):
                    async with connection.transaction():
                        pass
            with pytest.raises(asyncpg.ConnectionDoesNotExistError):
                await connection.execute("insert into t values (1)")
        assert await numbers(db) == []


async def test_a_connection_given_back_with_a_statement_under_way_is_not_handed_on(database: Database) -> None:
    async with pool_of(database, 1) as db:
        with pytest.raises(ValueError, match="on purpose"):
            async with db.acquire() as connection:
                await asyncio.gather(connection.fetchval("select pg_sleep(30)"), fails())
        assert await db.fetchval("select 1") == 1


async def test_executemany_that_is_cancelled_while_the_server_is_slow_to_read_ends_at_once(database: Database) -> None:
    def many() -> Iterator[tuple[int]]:
        for number in range(10_000_000):
            yield (number,)

    async with pool_of(database, 1, query_timeout=30) as db:
        await db.execute("create table t (n int)")
        for moment in (0.5, 0.1, 0.01, 0):  # seconds
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(moment):
                    await db.executemany("insert into t values ($1)", many())
            assert await numbers(db) == []


async def test_a_connection_whose_executemany_was_given_up_takes_nothing_more(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await connection.executemany("select pg_sleep($1)", [(30.0,)])
            with pytest.raises(asyncpg.ConnectionDoesNotExistError, match="an executemany was cut short"):
                await connection.fetchval("select 1")
        assert await db.fetchval("select 1") == 1


@pytest.mark.parametrize(
    "error", [FileNotFoundError("rows.csv"), TimeoutError("a clock of its own"), KeyboardInterrupt()]
)
async def test_what_goes_wrong_in_the_rows_of_executemany_is_raised_as_it_is(
    database: Database, error: BaseException
) -> None:
    def rows() -> Iterator[tuple[int]]:
        yield (1,)
        raise error

    async def send(db: DatabasePool) -> BaseException | None:
        try:
            await db.executemany("insert into t values ($1)", rows())
        except BaseException as raised:  # a KeyboardInterrupt let out of a task would end the loop
            return raised
        return None

    async with pool_of(database, 1) as db:
        await db.execute("create table t (n int)")
        assert await send(db) is error
        assert await numbers(db) == []


@pytest.mark.parametrize("problem", ["rows", "argument", "time", "server"])
async def test_executemany_in_a_transaction_is_all_or_nothing_too(database: Database, problem: str) -> None:
    def rows() -> Iterator[tuple[object]]:
        for number in range(1_000_000 if problem == "time" else 9_000):
            yield (number,)
        if problem == "rows":
            raise KeyError("row 9000")
        yield ("no number",) if problem == "argument" else (0,)

    async with pool_of(database, 1) as db:
        await db.execute("create table t (n int unique)")
        async with db.transaction() as tx:
            await tx.execute("insert into t values (-1)")
            with pytest.raises((KeyError, asyncpg.DataError, QueryTimeout, asyncpg.UniqueViolationError)):
                await tx.executemany("insert into t values ($1)", rows(), timeout=0.2 if problem == "time" else 30)
            await tx.execute("insert into t values (-2)")
        assert await numbers(db) == [-2, -1]


@pytest.mark.parametrize("how", ["terminated", "closed"])
@pytest.mark.parametrize("what", ["executemany", "copy"])
async def test_what_waits_for_the_server_to_read_ends_with_its_connection(
    database: Database, how: str, what: str
) -> None:
    slow = (
        "create function slow() returns trigger language plpgsql as 'begin perform pg_sleep(0.2); return new; end'; "
        "create table t (n int, b text); create trigger s before insert on t for each row execute function slow()"
    )
    rows = [(number, "x" * 5000) for number in range(3000)]

    async def send(db: DatabasePool) -> None:
        async with db.acquire() as connection:
            if what == "copy":
                await connection.copy_records_to_table("t", records=rows)
            else:
                await connection.executemany("insert into t values ($1, $2)", rows)

    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(slow)
        pid = await db.fetchval("select pg_backend_pid()")
        sending = asyncio.create_task(send(db))
        await asyncio.sleep(0.3)  # by now the socket is full
        if how == "terminated":
            await witness.terminate(pid)
        else:
            await db.close(timeout=0.1)
        await asyncio.wait([sending], timeout=10)
        assert sending.done()
        assert isinstance(sending.exception(), (asyncpg.PostgresError, asyncpg.InterfaceError, OSError))
        if how == "terminated":
            assert await db.fetchval("select count(*) from t", timeout=5) == 0


async def test_a_copy_that_the_server_does_not_read_ends_in_time(database: Database) -> None:
    async with pool_of(database, 1, query_timeout=0.5, reset_timeout=0.3) as db, witness_of(database) as witness:
        await db.execute("create table t (n int, b text)")
        pid = await db.fetchval("select pg_backend_pid()")
        async with proxy_before(database.dsn) as proxy:
            times = {"query_timeout": 0.5, "reset_timeout": 0.3, "quarantine_timeout": 0.3}
            async with pool_of(proxy.dsn(database.dsn), 1, **times) as behind:  # type: ignore[arg-type] # they are known
                proxy.rule = lambda message: Do.STALL if message.kind == "d" else Do.PASS
                with pytest.raises(TimeoutError):
                    async with behind.acquire() as connection:
                        records = [(number, "x" * 5000) for number in range(10_000)]
                        await connection.copy_records_to_table("t", records=records)
                proxy.rule = let_all_pass
                assert await behind.fetchval("select count(*) from t", timeout=5) == 0
        assert pid in await witness.pids()


async def test_a_statement_that_outlasts_close_is_stopped_at_the_server(database: Database) -> None:
    async with pool_of(database, 1) as db:  # the fixture fails if its session is still there afterwards
        napping = asyncio.create_task(db.fetch("select pg_sleep(60)"))
        await becomes(lambda: db.stats().held == 1)
        await db.close(timeout=0.3)
        with pytest.raises((ConnectionLost, asyncpg.QueryCanceledError)):
            await napping


@pytest.mark.parametrize("how", ["closed", "cancelled"])
async def test_a_holder_that_shrugs_off_the_end_of_its_statement_sends_no_more(database: Database, how: str) -> None:
    async def hold(db: DatabasePool) -> None:
        async with db.acquire() as connection:
            while True:
                with suppress(asyncpg.QueryCanceledError):
                    await connection.execute("select pg_sleep(60)")

    async with pool_of(database, 1) as db:  # the fixture fails if a session is still there afterwards
        holding = asyncio.create_task(hold(db))
        await asyncio.sleep(0.1)
        if how == "closed":
            await db.close(timeout=0.2)
        else:
            closing = asyncio.create_task(db.close(timeout=30))
            await asyncio.sleep(0.1)
            for task in asyncio.all_tasks() - {asyncio.current_task(), holding, closing}:  # the pool's own
                task.cancel()
            await asyncio.wait([closing])
        await asyncio.wait([holding], timeout=10)
        assert isinstance(holding.exception(), (asyncpg.InterfaceError, asyncpg.PostgresError))


async def test_a_query_logger_is_gone_with_its_lease(database: Database) -> None:
    seen: list[str] = []
    async with pool_of(database, 1) as db:
        async with db.acquire() as connection:
            connection.add_query_logger(lambda record: seen.append(record.query))
        await db.fetchval("select 'secret'")
    assert seen == []


async def test_a_transaction_block_is_used_once(database: Database) -> None:
    async with pool_of(database, 2) as db:
        block = db.transaction()
        async with block:
            with pytest.raises(UsageError, match="used already"):
                await block.__aenter__()
            assert db.stats().held == 1


async def test_a_caller_whose_coroutine_is_closed_in_line_for_a_transaction_leaves_it(database: Database) -> None:
    async def work(db: DatabasePool) -> None:
        async with db.transaction():
            pass

    async with pool_of(database, 1) as db, db.acquire():
        waiting = work(db)
        waiting.send(None)
        assert db.stats().waiting == 1
        waiting.close()
        assert db.stats().waiting == 0


@pytest.mark.parametrize("rows", [0, 3, 9])
async def test_a_stream_whose_reader_is_closed_gives_its_connection_back(database: Database, rows: int) -> None:
    seen: list[object] = []

    async def read(stream: AsyncIterator[object]) -> None:
        async for row in stream:
            seen.append(row)  # noqa: PERF401 - one by one, as they come

    async with pool_of(database, 1) as db:
        stream = db.stream("select generate_series(1, 10)", prefetch=3)
        reading = read(stream)
        while (waits_for := reading.send(None)) is not None and len(seen) < rows:
            waits_for._asyncio_future_blocking = False  # noqa: SLF001 - no task awaits it
            await asyncio.wait([waits_for])
        reading.close()  # while it waits for BEGIN, or for the next three rows
        assert len(seen) == rows
        assert await db.fetchval("select 1", timeout=5) == 1
        with pytest.raises(StopAsyncIteration):
            await anext(stream)


async def test_a_stream_that_is_forgotten_gives_its_connection_back(database: Database) -> None:
    async with pool_of(database, 1) as db:
        stream = db.stream("select generate_series(1, 10)", prefetch=3)
        await anext(stream)
        del stream
        gc.collect()
        assert await db.fetchval("select 1", timeout=5) == 1


async def test_an_acquire_is_used_once(database: Database) -> None:
    async with pool_of(database, 2) as db:
        acquiring = db.acquire()
        async with acquiring:
            with pytest.raises(UsageError):
                await acquiring
