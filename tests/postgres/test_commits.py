"""COMMIT: what became of a transaction is known, or can be asked, or is told to be unknown."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from dbpool import CommitOutcomeUnknown, ConnectionLost, DatabasePool, Outcome, Transaction, TransactionFailed
from tests.support.databases import Database
from tests.support.pools import pool_of, settled, witness_of
from tests.support.proxy import Do, Message, Proxy, Rule, Way, proxy_before

TABLE = "create table t (a int primary key)"
# COMMIT waits for an advisory lock that a witness may hold.
HELD = """
create table t (a int primary key);
create function hold() returns trigger language plpgsql as
    $$ begin perform pg_advisory_xact_lock(1); return null; end $$;
create constraint trigger held after insert on t deferrable initially deferred for each row execute function hold();
"""
CHECKED_LATE = """
create table t (a int primary key);
create table u (a int references t deferrable initially deferred)
"""


async def stored(db: DatabasePool) -> list[int]:
    return [row["a"] for row in await db.fetch("select a from t order by a")]


async def insert(db: DatabasePool, *, traceable: bool = True) -> None:
    async with db.transaction(traceable=traceable) as tx:
        await tx.execute("insert into t values (1)")


def no_commit_arrives(message: Message) -> Do:
    """The connection breaks before COMMIT reaches the server."""
    return Do.RESET if message.says("Q", b"COMMIT") else Do.PASS


def no_answer_to_commit(todo: Do) -> Rule:
    """COMMIT reaches the server, its answer does not come back."""
    committing: set[int] = set()

    def rule(message: Message) -> Do:
        if message.says("Q", b"COMMIT"):
            committing.add(message.session.number)
        elif message.way is Way.TO_CLIENT and message.session.number in committing:
            return todo
        return Do.PASS

    return rule


async def lose_at_commit(db: DatabasePool, proxy: Proxy, rule: Rule, *, traceable: bool = True) -> CommitOutcomeUnknown:
    proxy.rule = rule
    with pytest.raises(CommitOutcomeUnknown) as caught:
        await insert(db, traceable=traceable)
    proxy.rule = lambda _: Do.PASS
    return caught.value


async def test_a_constraint_that_fails_at_commit_is_the_servers_error_and_costs_no_connection(
    database: Database,
) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(CHECKED_LATE)
        with pytest.raises(asyncpg.ForeignKeyViolationError):
            async with db.transaction() as tx:
                await tx.execute("insert into u values (1)")
        assert tx.state.value == "rolled back"
        assert await db.fetchval("select count(*) from u") == 0
        assert db.stats().discarded_total == 0


@pytest.mark.parametrize("todo", [Do.RESET, Do.FINISH])
async def test_an_answer_to_commit_that_is_lost_can_be_asked_for(database: Database, todo: Do) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        error = await lose_at_commit(db, proxy, no_answer_to_commit(todo))
        assert error.xid is not None
        assert await db.outcome(error) is Outcome.COMMITTED
        assert await stored(db) == [1]


async def test_a_commit_that_never_arrived_can_be_asked_for(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        error = await lose_at_commit(db, proxy, no_commit_arrives)
        assert await db.outcome(error) is Outcome.ABORTED
        assert await stored(db) == []


async def test_an_answer_to_commit_that_does_not_come_in_time_leaves_the_outcome_unknown(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1, query_timeout=0.3) as db:
        await db.execute(TABLE)
        error = await lose_at_commit(db, proxy, no_answer_to_commit(Do.STALL))
        assert isinstance(error.__cause__, TimeoutError)
        proxy.resume()
        await settled(db)
        assert await db.outcome(error) is Outcome.COMMITTED
        assert db.stats().discarded_total == 1


async def test_without_tracing_the_outcome_stays_unknown(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        error = await lose_at_commit(db, proxy, no_commit_arrives, traceable=False)
        assert error.xid is None
        assert "traceable=True" in str(error)
        assert await db.outcome(error) is Outcome.UNKNOWN


async def test_an_outcome_is_waited_for_while_the_server_still_commits(database: Database) -> None:
    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        async with witness_of(database) as witness:
            await db.execute(HELD)
            async with witness.holding():
                committing = asyncio.create_task(insert(db))
                await witness.until_blocked()
                proxy.end_all(reset=True)
                with pytest.raises(CommitOutcomeUnknown) as caught:
                    await committing
                asking = asyncio.create_task(db.outcome(caught.value))
                assert await db.outcome(caught.value, timeout=0.01) is Outcome.IN_PROGRESS
                assert not asking.done()
            assert await asking is Outcome.COMMITTED


async def test_a_session_ended_in_its_commit_leaves_the_outcome_unknown_until_asked(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(HELD)
        async with witness.holding():
            committing = asyncio.create_task(insert(db))
            await witness.terminate(*await witness.until_blocked())
            with pytest.raises(CommitOutcomeUnknown) as caught:
                await committing
        assert await db.outcome(caught.value) is Outcome.ABORTED


async def test_the_connection_lost_while_the_id_is_asked_for_is_told_as_ours(database: Database) -> None:
    def no_answer_to_the_question(message: Message) -> Do:
        return Do.RESET if message.says("P", b"pg_current_xact_id") else Do.PASS

    async with proxy_before(database.dsn) as proxy, pool_of(proxy.dsn(database.dsn), 1) as db:
        await db.execute(TABLE)
        proxy.rule = no_answer_to_the_question
        with pytest.raises(ConnectionLost):
            await insert(db)
        proxy.rule = lambda _: Do.PASS
        assert await stored(db) == []


async def test_a_transaction_that_wrote_nothing_has_no_id(database: Database) -> None:
    async with pool_of(database, 1) as db:
        async with db.transaction(traceable=True) as tx:
            await tx.fetch("select 1")
        assert tx.xid is None


@pytest.mark.parametrize("cancels", [1, 3])
async def test_a_commit_that_is_cancelled_is_waited_for_and_tells_what_became_of_it(
    database: Database, cancels: int
) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(HELD)
        async with witness.holding():
            task = asyncio.create_task(insert(db))
            await witness.until_blocked()
            for _ in range(cancels):
                task.cancel()
                assert await witness.value("select 1") == 1  # meanwhile the task has had its turn
            assert not task.done()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert caught.value.__notes__ == ["cancelled during COMMIT: the transaction is committed"]
        assert await stored(db) == [1]


async def test_a_commit_that_is_cancelled_and_fails_tells_that_nothing_is_stored(database: Database) -> None:
    async with pool_of(database, 1) as db, witness_of(database) as witness:
        await db.execute(HELD)
        async with witness.holding():
            task = asyncio.create_task(insert(db))
            pids = await witness.until_blocked()
            task.cancel()
            await witness.run("select pg_cancel_backend($1)", pids[0])
            with pytest.raises(asyncio.CancelledError) as caught:
                await task
        assert caught.value.__notes__ == ["cancelled during COMMIT: the transaction is rolled back"]
        assert isinstance(caught.value.__cause__, asyncpg.QueryCanceledError)
        assert await stored(db) == []


# run()


Halves = tuple[str, str]


async def conflict(db: DatabasePool, first: Halves, second: Halves, isolation: str | None = None) -> list[int]:
    """Run two transactions at the same time, in step until each has done its first half; return the tries of each."""
    met = asyncio.Barrier(2)
    tries = [0, 0]

    async def work(tx: Transaction, number: int, halves: Halves) -> None:
        tries[number] += 1
        await tx.fetch(halves[0])
        if tries[number] == 1:
            await met.wait()
        await tx.execute(halves[1])

    await asyncio.gather(
        db.run(lambda tx: work(tx, 0, first), isolation=isolation),
        db.run(lambda tx: work(tx, 1, second), isolation=isolation),
    )
    return tries


async def test_a_serialization_failure_is_run_again(database: Database) -> None:
    async with pool_of(database, 2) as db:
        await db.execute("create table t (a int, b int); insert into t values (1, 0)")
        half = ("select * from t", "update t set b = b + 1")
        assert sorted(await conflict(db, half, half, "serializable")) == [1, 2]
        assert await db.fetchval("select b from t") == 2


async def test_a_deadlock_is_run_again(database: Database) -> None:
    async with pool_of(database, 2, server_settings={"deadlock_timeout": "10ms"}) as db:
        await db.execute("create table t (a int, b int); insert into t values (1, 0), (2, 0)")
        one, two = (f"update t set b = b + 1 where a = {a} returning b" for a in (1, 2))
        assert sum(await conflict(db, (one, two), (two, one))) > 2
        assert [row["b"] for row in await db.fetch("select b from t")] == [2, 2]


async def test_run_gives_up_after_so_many_conflicts_and_tells_the_last(database: Database) -> None:
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await tx.execute("insert into t values (1)")
        await tx.execute("do $$ begin raise exception 'again' using errcode = '40001'; end $$")

    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        with pytest.raises(TransactionFailed) as caught:
            await db.run(work, attempts=3)
        assert (tries, caught.value.attempts) == (3, 3)
        assert isinstance(caught.value.__cause__, asyncpg.SerializationError)
        assert await stored(db) == []


async def test_run_repeats_nothing_else(database: Database) -> None:
    tries = 0

    async def work(tx: Transaction) -> None:
        nonlocal tries
        tries += 1
        await tx.execute("select 1/0")

    async with pool_of(database, 1) as db:
        with pytest.raises(asyncpg.DivisionByZeroError):
            await db.run(work)
        assert tries == 1
        assert await db.run(lambda tx: tx.fetchval("select 7")) == 7
