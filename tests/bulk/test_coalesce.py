"""Callers that wait with the same statement, on a real server."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from dbpool import AcquireTimeout, DatabasePool, LineFull, PoolClosed, PoolDeadlock, QueryTimeout
from dbpool.bulk.group import MOST_BATCHES, Turns
from tests.support.databases import Database
from tests.support.pools import becomes, held, pool_of, settled, witness_of

SQUARE = "select $1::int * $1::int as square"
VALUE = "select v from t where id = $1"


@asynccontextmanager
async def coalescing(database: Database, most: int = 1, **options: float) -> AsyncIterator[DatabasePool]:
    """A pool with 1,000 rows in ``t`` that knows how to batch VALUE and SQUARE."""
    async with pool_of(database, most, coalesce=True, **options) as db:  # type: ignore[arg-type]
        await db.execute(
            "create table t (id int primary key, v int); "
            "insert into t select n, n * 7 from generate_series(1, 1000) n; analyze t"
        )
        for sql in (VALUE, SQUARE):
            await know(db, sql)
        yield db


async def know(db: DatabasePool, sql: str) -> None:
    """Have callers wait with *sql* until they are answered together."""
    for call in (db.fetch, db.fetchrow):
        before = db.stats().coalesced_total
        while db.stats().coalesced_total < before + 2:
            await asyncio.gather(*(call(sql, n) for n in range(1, 6)))
            await asyncio.sleep(0.01)


@pytest.mark.every_loop
async def test_everyone_gets_their_own_answer(database: Database) -> None:
    async with coalescing(database, 3) as db:
        numbers = [random.randint(-50, 1050) for _ in range(3000)]
        expected = [n * 7 if 1 <= n <= 1000 else None for n in numbers]
        assert await asyncio.gather(*(db.fetchval(VALUE, n) for n in numbers)) == expected
        rows = await asyncio.gather(*(db.fetchrow(VALUE, n) for n in numbers))
        assert [row and row["v"] for row in rows] == expected
        many = await asyncio.gather(
            *(db.fetch("select id from t where id between $1 and $1 + 2 order by id", n) for n in numbers)
        )
        assert [[row[0] for row in rows] for rows in many] == [
            [i for i in range(n, n + 3) if 1 <= i <= 1000] for n in numbers
        ]
        stats = db.stats()
        assert stats.coalesced_total > 1000  # on a busy machine, texts may count as slow for a while
        assert stats.batches_total < stats.coalesced_total / 5


async def test_an_idle_call_is_sent_alone(database: Database) -> None:
    async with coalescing(database) as db:
        before = db.stats().batches_total
        for n in range(1, 20):
            assert await db.fetchval(VALUE, n) == n * 7
        assert db.stats().batches_total == before


@pytest.mark.parametrize("where", ["pool", "lane", "call"])
async def test_it_is_for_a_pool_a_lane_or_a_call(database: Database, where: str) -> None:
    async with pool_of(database, 1, coalesce=where == "pool") as db:
        lane = db.lane("reads", coalesce=True if where == "lane" else None)
        for _ in range(20):
            await asyncio.gather(
                *(lane.fetchval(SQUARE, n, coalesce=True if where == "call" else None) for n in range(50))
            )
        assert db.stats().coalesced_total > 500
        before = db.stats().coalesced_total
        await asyncio.gather(*(lane.fetchval(SQUARE, n, coalesce=False) for n in range(50)))
        assert db.stats().coalesced_total == before


async def test_each_reads_what_was_committed_before_it_called(database: Database) -> None:
    async with coalescing(database, 4) as db:
        writes = 0

        async def write_then_read(key: int) -> None:
            nonlocal writes
            for value in range(20):
                await db.execute("update t set v = $2 where id = $1", key, value)
                assert await db.fetchval(VALUE, key) == value
                writes += 1

        await asyncio.gather(*(write_then_read(key) for key in range(1, 101)))
        assert writes == 2000
        assert db.stats().coalesced_total > 20


@pytest.mark.every_loop
async def test_many_texts_at_once_are_all_answered(database: Database) -> None:
    async with coalescing(database, 4) as db:
        lanes = [db, db.lane("apart", coalesce=True)]
        texts = [f"select v + {n} from t where id = $1" for n in range(12)]

        async def call(at: int) -> None:
            for key in range(1, 41):
                n = (at + key) % len(texts)
                assert await lanes[at % 2].fetchval(texts[n], key) == key * 7 + n

        await asyncio.gather(*(call(at) for at in range(200)))
        assert db.stats().coalesced_total > 100


def test_turns_go_round() -> None:
    turns, begun = Turns(), []

    class Text:
        def __init__(self, name: str) -> None:
            self.name = name

        def flush(self) -> None:
            begun.append(self.name)
            turns.in_flight += 1
            turns.hold_back(self)  # type: ignore[arg-type] # it has more

    turns.in_flight = MOST_BATCHES
    for name in "abc":
        turns.hold_back(Text(name))  # type: ignore[arg-type]
    for _ in range(5):
        turns.go_on()
        assert turns.are_taken
        turns.in_flight -= 1
    turns.go_on()
    assert "".join(begun) == "abcab"


# Errors


async def test_the_error_of_one_is_its_own(database: Database) -> None:
    sql = "select 100 / $1::int"
    async with coalescing(database, 2) as db:
        await know(db, "select 100 / (1 + abs($1::int))")
        for _ in range(3):
            answers = await asyncio.gather(*(db.fetchval(sql, n) for n in range(-100, 100)), return_exceptions=True)
            assert [isinstance(answer, asyncpg.DivisionByZeroError) for answer in answers] == [
                n == 0 for n in range(-100, 100)
            ]
        values = [*range(100), "five", 2**70, *range(100)]
        answers = await asyncio.gather(*(db.fetchval(SQUARE, value) for value in values), return_exceptions=True)
        assert [answer for answer in answers if not isinstance(answer, BaseException)] == [
            n * n for n in range(100)
        ] * 2
        assert [type(answers[at]) for at in (100, 101)] == [asyncpg.DataError] * 2


async def test_lists_and_wrong_counts_are_answered_as_ever(database: Database) -> None:
    sql = "select cardinality($1::int[])"
    async with coalescing(database, 1) as db:
        await know(db, SQUARE)
        for _ in range(3):
            assert await asyncio.gather(*(db.fetchval(sql, [0] * n) for n in range(50))) == list(range(50))
        async with held(db):
            wrong = asyncio.create_task(db.fetchval(SQUARE, 1, 2))
            right = asyncio.create_task(db.fetchval(SQUARE, 3))
        assert await right == 9
        with pytest.raises(asyncpg.InterfaceError, match="1 argument"):
            await wrong


@pytest.mark.parametrize(
    "sql",
    [
        "select random() + $1::int",
        "select v from t where id = $1 for update",
        "update t set v = v + 0 where id = $1 returning v",
        "select nextval('s') + $1::int",
    ],
)
async def test_what_does_more_than_read_is_sent_alone_or_one_by_one(database: Database, sql: str) -> None:
    async with coalescing(database, 1) as db:
        await db.execute("create sequence s")
        before = db.stats().coalesced_total
        for _ in range(3):
            answers = await asyncio.gather(*(db.fetchval(sql, n) for n in range(1, 50)))
        assert len(set(answers)) == len(answers)
        if "random" not in sql:
            assert db.stats().coalesced_total == before


async def test_a_session_that_ends_costs_those_whose_batch_was_under_way(database: Database) -> None:
    async with coalescing(database, 2) as db, witness_of(database) as witness:
        failed = answered = 0

        async def call() -> None:
            nonlocal failed, answered
            for n in range(1, 200):
                try:
                    assert await db.fetchval(VALUE, n) == 7 * n
                    answered += 1
                except ConnectionError:
                    failed += 1

        calls = asyncio.gather(*(call() for _ in range(50)))
        for _ in range(5):
            await asyncio.sleep(0.05)
            await witness.terminate(*await witness.pids())
        await calls
        assert answered > 5000
        assert answered + failed == 199 * 50


# Leaving


async def test_one_who_leaves_the_queue_leaves_the_others_in_it(database: Database) -> None:
    async with coalescing(database) as db:
        async with held(db):
            tasks = [asyncio.create_task(db.fetchval(VALUE, n)) for n in range(1, 101)]
            await becomes(lambda: db.stats().waiting == 100)
            for task in tasks[::2]:
                task.cancel()
            await becomes(lambda: db.stats().waiting == 50)
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(answer, asyncio.CancelledError) for answer in answers] == [n % 2 == 1 for n in range(1, 101)]
        assert [answer for answer in answers if isinstance(answer, int)] == [7 * n for n in range(2, 101, 2)]


async def test_a_queue_that_all_have_left_takes_no_permit(database: Database) -> None:
    async with coalescing(database) as db:
        async with held(db):
            tasks = [asyncio.create_task(db.fetchval(VALUE, n)) for n in range(1, 11)]
            await becomes(lambda: db.stats().waiting == 10)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            assert db.stats().waiting == 0
        await settled(db)
        assert await db.fetchval(VALUE, 5) == 35


async def test_callers_cancelled_at_any_moment_cost_nobody_else_an_answer(database: Database) -> None:
    async with coalescing(database, 2) as db:

        async def call(n: int) -> object:
            return await db.fetchval(VALUE, n)

        for _ in range(10):
            tasks = [asyncio.create_task(call(n)) for n in range(1, 301)]
            doomed = random.sample(tasks, 100)
            for task in doomed:
                asyncio.get_running_loop().call_later(random.random() * 0.02, task.cancel)
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(
                answer == 7 * n or (isinstance(answer, asyncio.CancelledError) and tasks[n - 1] in doomed)
                for n, answer in enumerate(answers, 1)
            )
        await settled(db)


async def test_a_callers_own_time_limit_ends_its_wait_only(database: Database) -> None:
    async with coalescing(database) as db:
        async with held(db):
            patient = [asyncio.create_task(db.fetchval(VALUE, n)) for n in range(1, 11)]
            with pytest.raises(AcquireTimeout):
                await db.fetchval(VALUE, 11, timeout=0.05)
        assert await asyncio.gather(*patient) == [7 * n for n in range(1, 11)]


async def test_acquire_timeout_ends_the_wait_of_all_who_named_no_other(database: Database) -> None:
    async with coalescing(database, acquire_timeout=1.0) as db:
        async with held(db):
            patient = asyncio.create_task(db.fetchval(VALUE, 1, timeout=20))
            await asyncio.sleep(0)
            for _ in range(2):
                answers = await asyncio.gather(*(db.fetchval(VALUE, n) for n in range(10)), return_exceptions=True)
                assert {type(answer) for answer in answers} == {AcquireTimeout}
                assert db.stats().waiting == 1
        assert await patient == 7


async def test_a_full_line_refuses_newcomers(database: Database) -> None:
    async with coalescing(database, max_waiting=5) as db:
        async with held(db):
            answers = asyncio.gather(*(db.fetchval(VALUE, n) for n in range(1, 11)), return_exceptions=True)
            await becomes(lambda: db.stats().waiting == 5)
        outcome = await answers
        assert outcome[:5] == [7 * n for n in range(1, 6)]
        assert {type(answer) for answer in outcome[5:]} == {LineFull}


async def test_closing_fails_everyone_in_line_at_once(database: Database) -> None:
    async with coalescing(database) as db:
        async with held(db):
            tasks = [asyncio.create_task(db.fetchval(VALUE, n)) for n in range(10)]
            await becomes(lambda: db.stats().waiting == 10)
            closing = asyncio.create_task(db.close())
            answers = await asyncio.gather(*tasks, return_exceptions=True)
            assert {type(answer) for answer in answers} == {PoolClosed}
        await closing


async def test_one_who_holds_the_last_connection_is_told_of_the_deadlock(database: Database) -> None:
    async with coalescing(database) as db:
        async with db.acquire():
            with pytest.raises(PoolDeadlock):
                await db.fetchval(VALUE, 1)


@pytest.mark.every_loop
async def test_tasks_of_those_who_hold_every_connection_are_told_of_the_deadlock(database: Database) -> None:
    async with coalescing(database, 3, acquire_timeout=10) as db:
        all_hold = asyncio.Barrier(3)

        async def hold(n: int) -> object:
            async with db.transaction():
                await all_hold.wait()
                return await asyncio.create_task(fetch(n))

        async def fetch(n: int) -> object:
            return await db.fetchval(VALUE, n)

        outcomes = await asyncio.gather(*(hold(n) for n in range(1, 4)), return_exceptions=True)
        (error,) = (outcome for outcome in outcomes if isinstance(outcome, BaseException))
        assert isinstance(error, PoolDeadlock)
        assert "fetch" in error.waiting_at
        assert ["hold" in place for place in error.held_at] == [True]
        assert all(outcome in (7 * n, error) for n, outcome in enumerate(outcomes, 1))
        assert db.stats().waiting == 0


@pytest.mark.every_loop
@pytest.mark.parametrize("whose", ["query_timeout", "statement_timeout"])
async def test_one_that_takes_too_long_fails_itself_only(database: Database, whose: str) -> None:
    sql = "select $1::bigint, (select count(*) from generate_series(1, $1::bigint))"
    options = {"query_timeout": 0.5} if whose == "query_timeout" else {"server_settings": {"statement_timeout": "500"}}
    async with coalescing(database, 2, **options) as db:
        await know(db, sql)
        async with held(db), held(db):
            calls = [asyncio.create_task(db.fetchval(sql, 10**9 if n == 7 else n)) for n in range(40)]
            await becomes(lambda: db.stats().waiting == 40)
            before = db.stats().coalesced_total
        answers = await asyncio.gather(*calls, return_exceptions=True)
        assert db.stats().coalesced_total > before
        slow = answers.pop(7)
        assert isinstance(slow, QueryTimeout if whose == "query_timeout" else asyncpg.QueryCanceledError)
        assert answers == [n for n in range(40) if n != 7]
        await settled(db)


async def test_calls_that_all_take_too_long_are_all_told(database: Database) -> None:
    sql = "select count(*) from generate_series(1, $1::bigint)"
    async with coalescing(database, query_timeout=0.5) as db:
        await know(db, sql)
        async with held(db):
            slow = [asyncio.create_task(db.fetchval(sql, 10**9)) for _ in range(3)]
            await becomes(lambda: db.stats().waiting == 3)
        answers = await asyncio.gather(*slow, return_exceptions=True)
        assert {type(answer) for answer in answers} == {QueryTimeout}
        await settled(db)
        assert await db.fetchval(VALUE, 3) == 21


async def test_a_lane_that_pauses_and_goes_on_answers_all(database: Database) -> None:
    async with coalescing(database, 2) as db:
        await db.pause()
        tasks = [asyncio.create_task(db.fetchval(VALUE, n)) for n in range(1, 501)]
        await becomes(lambda: db.stats().waiting == 500)
        db.resume()
        assert await asyncio.gather(*tasks) == [7 * n for n in range(1, 501)]


async def test_texts_take_turns_with_each_other_and_with_single_calls(database: Database) -> None:
    async with coalescing(database) as db:
        ended: list[str] = []

        async def call(name: str, sql: str, n: int) -> None:
            await db.fetchval(sql, n)
            ended.append(name)

        async with held(db):
            tasks = [asyncio.create_task(call("a", VALUE, n)) for n in range(1, 1001)]
            tasks += [asyncio.create_task(call("b", SQUARE, n)) for n in range(10)]
            tasks += [
                asyncio.create_task(call("c", "select pg_backend_pid() + 0 * nullif($1::int, -1)", n)) for n in range(2)
            ]
            await asyncio.sleep(0)
        await asyncio.gather(*tasks)
        assert ended.index("b") < 500
        assert ended.index("c") < 500
        assert len(ended) == 1012
