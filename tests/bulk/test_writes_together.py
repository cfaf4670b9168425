"""Bulk writes beside others: writers of the same rows, and tasks of the same loop."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

import asyncpg
import pytest

from dbpool import DatabasePool, WriteFailed
from tests.support.databases import Database
from tests.support.pools import pool_of, witness_of

TABLE = "create table t (id int primary key, n int not null default 0, by int)"
ROWS = 1500
DEADLOCKS = "select deadlocks from pg_stat_database where datname = current_database()"


async def write_again_and_again(db: DatabasePool, way: str, writer: int) -> None:
    chosen = random.Random(writer)
    for number in range(12):
        keys = chosen.sample(range(ROWS), 500)
        rows = [{"id": key, "by": writer} for key in keys]
        if way == "nothing":
            fresh = [{"id": key + ROWS * (number + 1), "by": writer} for key in keys]
            await db.insert("t", fresh, on_conflict="nothing", rows_per_transaction=250)
        else:
            await getattr(db, way)("t", rows, key="id", rows_per_transaction=250)


@pytest.mark.parametrize("way", ["upsert", "update_from", "nothing"])
async def test_writers_of_the_same_rows_in_any_order_do_not_deadlock(database: Database, way: str) -> None:
    async with pool_of(database, 4) as db:
        await db.execute(TABLE)
        await db.execute("insert into t (id) select n from generate_series(0, 1499, 2) as n")
        if way == "update_from":
            await db.execute("insert into t (id) select n from generate_series(1, 1499, 2) as n")
        await asyncio.gather(*(write_again_and_again(db, way, writer) for writer in range(4)))
    async with witness_of(database) as witness:  # the pool's sessions have told their numbers when they ended
        assert await witness.value(DEADLOCKS) == 0


async def test_updates_whose_plans_go_through_the_table_in_other_orders_do_not_deadlock(database: Database) -> None:
    by_key = {"enable_hashjoin": "off", "enable_mergejoin": "off"}
    by_place = {"enable_nestloop": "off", "enable_mergejoin": "off"}
    async with (
        pool_of(database, 2, server_settings=by_key) as some,
        pool_of(database, 2, server_settings=by_place) as others,
    ):
        await some.execute(TABLE)
        await some.execute("insert into t (id) select n from generate_series(1499, 0, -1) as n")
        await some.execute("analyze t")
        await asyncio.gather(
            *(write_again_and_again((some, others)[writer % 2], "update_from", writer) for writer in range(4))
        )
    async with witness_of(database) as witness:
        assert await witness.value(DEADLOCKS) == 0


@pytest.mark.parametrize("way", ["upsert", "update_from"])
async def test_the_order_in_which_a_key_s_columns_are_named_is_of_no_importance(database: Database, way: str) -> None:
    async def write(db: DatabasePool, writer: int) -> None:
        chosen = random.Random(writer)
        for _ in range(8):
            keys = [(place % 40, place // 40, writer) for place in chosen.sample(range(ROWS), 500)]
            await getattr(db, way)("t", keys, key=["a", "b"] if writer % 2 else ["b", "a"])

    async with pool_of(database, 4) as db:
        await db.execute("create table t (a int, b int, by int, primary key (a, b))")
        await db.execute("insert into t select n % 40, n / 40 from generate_series(0, 1499) as n")
        await asyncio.gather(*(write(db, writer) for writer in range(4)))
    async with witness_of(database) as witness:
        assert await witness.value(DEADLOCKS) == 0


async def test_sorted_executemany_does_not_deadlock(database: Database) -> None:
    async def write(db: DatabasePool, writer: int) -> None:
        chosen = random.Random(writer)
        for _ in range(8):
            args = [(key, writer) for key in chosen.sample(range(ROWS), 500)]
            await db.executemany("update t set by = $2 where id = $1", args, sort_by=0)

    async with pool_of(database, 4) as db:
        await db.execute(TABLE)
        await db.execute("insert into t (id) select n from generate_series(0, 1499) as n")
        await asyncio.gather(*(write(db, writer) for writer in range(4)))
    async with witness_of(database) as witness:
        assert await witness.value(DEADLOCKS) == 0


# The first COUNT inserts of a row of at least LEAST each conflict; a sequence counts also what is rolled back.
CONFLICTING = """
create sequence tries;
create function conflict() returns trigger language plpgsql as $$
begin
    if new.id >= {least} and nextval('tries') <= {count} then raise exception 'again' using errcode = '{state}'; end if;
    return new;
end $$;
create trigger conflicting before insert or update on t for each row execute function conflict();
"""


async def conflicting(db: DatabasePool, *, least: int, count: int, state: str = "40P01") -> None:
    await db.execute(TABLE)
    await db.execute(CONFLICTING.format(least=least, count=count, state=state))


async def transactions(db: DatabasePool) -> list[int]:
    rows = await db.fetch("select count(*) as n from t group by xmin::text order by min(id)")
    return [row["n"] for row in rows]


@pytest.mark.parametrize("state", ["40P01", "40001"])
async def test_a_transaction_that_conflicts_once_is_run_again_as_it_is(database: Database, state: str) -> None:
    async with pool_of(database) as db:
        await conflicting(db, least=0, count=1, state=state)
        written = await db.upsert("t", [{"id": number} for number in range(8)], key="id")
        assert (written.rows, written.inserted) == (8, 8)
        assert await transactions(db) == [8]


async def test_a_transaction_that_conflicts_again_is_run_in_halves(database: Database) -> None:
    async with pool_of(database) as db:
        await conflicting(db, least=4, count=2)
        written = await db.upsert("t", [{"id": number} for number in range(8)], key="id")
        assert (written.rows, written.inserted) == (8, 8)
        assert await transactions(db) == [4, 4]


@pytest.mark.parametrize("options", [{"rows_per_transaction": None}, {"on_repeat": "first"}])
async def test_a_transaction_whose_halves_would_mean_something_else_stays_whole(
    database: Database, options: dict[str, object]
) -> None:
    async with pool_of(database) as db:
        await conflicting(db, least=4, count=4)
        await db.upsert("t", [{"id": number} for number in range(8)], key="id", **options)  # type: ignore[arg-type]
        assert await transactions(db) == [8]


async def test_conflicts_without_end_fail_and_say_which_rows_are_stored(database: Database) -> None:
    async with pool_of(database) as db:
        await conflicting(db, least=6, count=1_000_000)
        with pytest.raises(WriteFailed) as caught:
            await db.upsert("t", [{"id": number} for number in range(8)], key="id")
        assert isinstance(caught.value.__cause__, asyncpg.DeadlockDetectedError)
        assert (caught.value.rows_stored, caught.value.first_row, caught.value.last_row) == (6, 6, 6)
        assert await db.fetchval("select count(*) from t") == 6


class Slow:
    """A value that takes its time to be encoded, then notes how many turns the others have had."""

    def __init__(self, turns: list[int], seen: set[int]) -> None:
        self._turns, self._seen = turns, seen

    def __float__(self) -> float:
        ends = time.perf_counter() + 0.0002
        while time.perf_counter() < ends:
            pass
        self._seen.add(len(self._turns))
        return 1.0


@pytest.mark.parametrize("way", ["copy", "staged"])
async def test_other_tasks_have_their_turn_while_rows_are_sent(database: Database, way: str) -> None:
    turns: list[int] = []
    seen: set[int] = set()

    async def take_turns() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    async with pool_of(database) as db:
        await db.execute("create table t (id int primary key, x float8)")
        others = asyncio.create_task(take_turns())
        rows = [(number, Slow(turns, seen)) for number in range(400)]  # 80 ms of work, a few kB
        if way == "copy":
            await db.insert("t", rows)
        else:
            await db.upsert("t", rows, key="id")
        others.cancel()
    assert len(seen) >= 8, seen


async def test_other_tasks_have_their_turn_while_rows_are_read(database: Database) -> None:
    turns: list[int] = []
    seen: set[int] = set()

    async def take_turns() -> None:
        while True:
            turns.append(1)
            await asyncio.sleep(0)

    def slow_rows() -> Iterator[tuple[int, float]]:
        for number in range(400):
            yield number, float(Slow(turns, seen))

    async with pool_of(database) as db:
        await db.execute("create table t (id int primary key, x float8)")
        others = asyncio.create_task(take_turns())
        await db.insert("t", slow_rows())
        others.cancel()
    assert len(seen) >= 8, seen
