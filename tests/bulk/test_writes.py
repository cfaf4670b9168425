"""What insert, upsert and update_from store, and what they say of it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import NamedTuple

import msgspec
import pydantic
import pytest

from dbpool import DatabasePool, PoolDeadlock, StatementError, Written
from tests.support.databases import Database
from tests.support.pools import pool_of, witness_of

TABLE = "create table t (id int primary key, name text, n int default 7)"


@dataclass
class DataRow:
    id: int
    name: str


class TupleRow(NamedTuple):
    name: str
    id: int


class StructRow(msgspec.Struct):
    id: int
    name: str


class ModelRow(pydantic.BaseModel):
    id: int
    name: str


async def stored(db: DatabasePool, columns: str = "id, name, n", table: str = "t") -> list[tuple[object, ...]]:
    return [tuple(row) for row in await db.fetch(f"select {columns} from {table} order by 1")]


def counts(written: Written) -> tuple[int, int | None, int | None]:
    return written.rows, written.inserted, written.updated


async def test_tuples_have_all_columns_of_the_table_in_order(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        written = await db.insert("t", [(1, "Ada", 1), [2, "Grace", 2]])
        assert counts(written) == (2, 2, 0)
        assert written.seconds > 0
        assert await stored(db) == [(1, "Ada", 1), (2, "Grace", 2)]


@pytest.mark.parametrize(
    "row",
    [{"name": "Ada", "id": 1}, DataRow(1, "Ada"), TupleRow("Ada", 1), StructRow(1, "Ada"), ModelRow(id=1, name="Ada")],
    ids=lambda row: type(row).__name__,
)
async def test_a_row_with_names_says_which_columns_it_has(database: Database, row: object) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [row])
        assert await stored(db) == [(1, "Ada", 7)]


async def test_records_of_a_query_can_be_inserted(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", await db.fetch("select 'Ada' as name, 1 as id"))
        assert await stored(db) == [(1, "Ada", 7)]


async def test_columns_pick_from_rows_with_names_and_name_those_of_tuples(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [{"id": 1, "name": "Ada", "n": 1, "age": 36}], columns=["name", "id"])
        await db.insert("t", [("Grace", 2)], columns=["name", "id"])
        assert await stored(db) == [(1, "Ada", 7), (2, "Grace", 7)]


async def test_rows_may_come_from_a_generator_sync_or_async(database: Database) -> None:
    def here() -> Iterator[tuple[int, str]]:
        yield from ((number, "here") for number in range(1000))

    async def away() -> AsyncIterator[tuple[int, str]]:
        for number in range(1000, 2000):
            yield number, "away"

    async with pool_of(database) as db:
        await db.execute(TABLE)
        columns = ["id", "name"]
        assert counts(await db.insert("t", here(), columns=columns, rows_per_transaction=300)) == (1000, 1000, 0)
        assert counts(await db.insert("t", away(), columns=columns, rows_per_transaction=300)) == (1000, 1000, 0)
        assert await stored(db, "id") == [(number,) for number in range(2000)]
        assert await stored(db, "name, count(*)", "t group by name") == [("away", 1000), ("here", 1000)]


@pytest.mark.parametrize("way", ["insert", "upsert", "update_from"])
async def test_no_rows_write_nothing(database: Database, way: str) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        options = {} if way == "insert" else {"key": "id"}
        written = await getattr(db, way)("t", [], **options)
        assert counts(written) == (0, 0, 0)


async def test_a_transaction_has_as_many_rows_as_asked(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = [{"id": number} for number in range(10)]
        await db.insert("t", rows, rows_per_transaction=4)
        await db.upsert("t", [{"id": number + 100} for number in range(10)], key="id", rows_per_transaction=None)
        sizes = await db.fetch("select count(*) as n, min(id) as id from t group by xmin::text order by 2")
        assert [row["n"] for row in sizes] == [4, 4, 2, 10]


@pytest.mark.parametrize("rows_per_transaction", [1, 7, 1000])
async def test_returned_values_are_in_the_order_of_the_rows(database: Database, rows_per_transaction: int) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int generated always as identity, name text unique, twice int)")
        names = [f"{number:03}" for number in range(700)]
        random.shuffle(names)
        written = await db.insert(
            "t",
            ({"name": name} for name in names),
            returning=["name", "id"],
            rows_per_transaction=rows_per_transaction,
        )
        assert [row["name"] for row in written.returned] == names
        ids = [row["id"] for row in written.returned]
        assert ids == sorted(ids)
        assert list(written.returned[0].keys()) == ["name", "id"]
        told = {row["name"]: row["id"] for row in written.returned}
        assert told == {row["name"]: row["id"] for row in await db.fetch("select name, id from t")}


async def test_rows_that_are_there_are_left_out_and_return_nothing(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [(2, "there", 1)])
        rows = [(3, "new", 1), (2, "other", 1), (1, "new", 1), (1, "again", 1)]
        written = await db.insert("t", rows, on_conflict="nothing", returning="id")
        assert [row["id"] for row in written.returned] == [3, 1]
        assert counts(written) == (4, 2, 0)
        assert counts(await db.insert("t", [*rows, (4, "x", 1)], on_conflict="nothing")) == (5, 1, 0)
        assert await stored(db, "id, name") == [(1, "new"), (2, "there"), (3, "new"), (4, "x")]


async def test_an_upsert_inserts_what_is_new_and_updates_what_is_there(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [(1, "old", 1), (2, "old", 2), (3, "old", 3)])
        rows = [{"id": 5, "name": "new"}, {"id": 3, "name": "new"}, {"id": 1, "name": "new"}]
        assert counts(await db.upsert("t", rows, key="id")) == (3, 1, 2)
        assert await stored(db) == [(1, "new", 1), (2, "old", 2), (3, "new", 3), (5, "new", 7)]


async def test_rows_that_others_lock_or_change_are_still_counted_as_updated(database: Database) -> None:
    async with pool_of(database) as db, witness_of(database) as witness:
        await db.execute(TABLE + "; create table u (t int references t)")
        await db.insert("t", [(number, "old", 1) for number in range(10)])
        async with witness.connection.transaction():
            await witness.run("insert into u select id from t")  # holds a shared lock on each of them
            assert counts(await db.upsert("t", [(n, "new", 2) for n in range(20)], key="id")) == (20, 10, 10)
        assert counts(await db.upsert("t", [(n, "newer", 2) for n in range(25)], key="id")) == (25, 5, 20)


async def test_an_upsert_updates_only_the_columns_asked_for(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [(1, "old", 1)])
        await db.upsert("t", [(1, "new", 2), (2, "new", 2)], key="id", update=["n"])
        assert await stored(db) == [(1, "old", 2), (2, "new", 2)]
        assert counts(await db.upsert("t", [(1, "newer", 3), (3, "newer", 3)], key="id", update=())) == (2, 1, 0)
        assert await stored(db) == [(1, "old", 2), (2, "new", 2), (3, "newer", 3)]


@pytest.mark.parametrize("way", ["upsert", "update_from"])
async def test_the_last_or_the_first_of_rows_with_the_same_key_counts(database: Database, way: str) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [(1, "old", 1), (2, "old", 1)])
        rows = [{"id": 2, "name": "a"}, {"id": 1, "name": "b"}, {"id": 2, "name": "c"}, {"id": 2, "name": "d"}]
        write = getattr(db, way)
        assert counts(await write("t", rows, key="id")) == (4, 0, 2)
        assert await stored(db, "id, name") == [(1, "b"), (2, "d")]
        await write("t", rows, key="id", on_repeat="first")
        assert await stored(db, "id, name") == [(1, "b"), (2, "a")]


async def test_of_two_transactions_the_later_one_counts(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.upsert("t", [(1, str(number), 1) for number in range(10)], key="id", rows_per_transaction=3)
        assert await stored(db, "id, name") == [(1, "9")]


async def test_keys_are_the_same_when_the_server_says_so(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id numeric primary key, name text)")
        await db.upsert("t", [(Decimal("1.0"), "a"), (Decimal(1), "b")], key="id")
        assert await stored(db, "id, name") == [(1, "b")]


async def test_an_update_changes_rows_that_are_there_and_nothing_else(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int generated always as identity primary key, name text, n int default 7)")
        await db.execute("insert into t (name) values ('a'), ('b'), ('c')")
        rows = [(3, "C"), (1, "A"), (9, "no such row")]
        written = await db.update_from("t", rows, key="id", columns=["id", "name"])
        assert counts(written) == (3, 0, 2)
        assert await stored(db) == [(1, "A", 7), (2, "b", 7), (3, "C", 7)]
        await db.update_from("t", [(2, "B", 8)], key="id")
        assert await stored(db) == [(1, "A", 7), (2, "B", 8), (3, "C", 7)]


async def test_an_update_by_a_key_that_is_not_unique_changes_all_its_rows(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (a int, b int, name text)")
        await db.insert("t", [(1, 1, "old"), (1, 1, "old"), (1, 2, "old")])
        assert counts(await db.update_from("t", [(1, 1, "new")], key=["a", "b"])) == (1, 0, 2)
        assert await stored(db, "b, name") == [(1, "new"), (1, "new"), (2, "old")]


async def test_progress_is_told_at_the_end_and_twice_a_second_at_the_most(database: Database) -> None:
    told: list[Written] = []
    async with pool_of(database) as db:
        await db.execute(TABLE)
        rows = [(number, "x", 1) for number in range(30)]
        written = await db.upsert("t", rows, key="id", progress=told.append, rows_per_transaction=1)
        assert told[-1] == written
        assert len(told) <= 1 + written.seconds * 2
        assert [each.rows for each in told] == sorted({each.rows for each in told})


async def test_lanes_write_by_their_own_line(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        lane = db.lane("batch", at_most=1)
        assert counts(await lane.insert("t", [(1, "x", 1)])) == (1, 1, 0)
        assert counts(await lane.upsert("t", [(1, "y", 1)], key="id")) == (1, 0, 1)
        assert counts(await lane.update_from("t", [(1, "z", 1)], key="id")) == (1, 0, 1)
        async with lane.acquire():
            with pytest.raises(PoolDeadlock, match="lane 'batch'"):
                await lane.insert("t", [(2, "x", 1)])


async def test_a_write_is_known_by_the_place_that_asked_for_it(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TABLE)
        await db.insert("t", [(1, "x", 1)])
        await db.upsert("t", [(1, "x", 1)], key="id")
        assert "test_writes.py" in str(db.report())


async def test_no_reset_is_owed_for_a_temporary_table_that_is_gone(database: Database) -> None:
    async with pool_of(database, 1) as db:
        await db.execute(TABLE)
        before = db.stats().resets_total
        for number in range(3):
            await db.upsert("t", [(number, "x", 1)], key="id")
        assert db.stats().resets_total == before
        assert await db.fetchval("select count(*) from pg_class where relname like 'dbpool%'") == 0


async def test_executemany_sends_its_rows_sorted_by_an_index_or_a_key(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (place int generated always as identity, id int)")
        ids = [(number,) for number in range(5000)]
        random.shuffle(ids)
        sql = "insert into t (id) values ($1)"
        await db.executemany(sql, ids, sort_by=0)
        assert [row[0] for row in await db.fetch("select id from t order by place")] == list(range(5000))
        await db.execute("truncate t")
        await db.executemany(sql, iter(ids), sort_by=lambda row: -int(str(row[0])))
        assert [row[0] for row in await db.fetch("select id from t order by place")] == list(range(5000))[::-1]
        await db.execute("truncate t")
        await db.executemany(sql, ids)
        assert [(row[0],) for row in await db.fetch("select id from t order by place")] == ids


def raising(_: object) -> int:
    raise TypeError("mine")


async def test_executemany_refuses_what_it_cannot_sort_by_and_stores_nothing(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int)")
        sql = "insert into t (id) values ($1)"
        with pytest.raises(StatementError, match="sort_by"):
            await db.executemany(sql, [(1,)], sort_by="id")  # type: ignore[arg-type]
        with pytest.raises(StatementError, match=r"sort_by=0 .*'<' not supported .*NULLs"):
            await db.executemany(sql, [(number,) for number in range(3000)] + [(None,)], sort_by=0)
        with pytest.raises(StatementError, match=r"sort_by=1 .*out of range"):
            await db.executemany(sql, [(1,)], sort_by=1)
        with pytest.raises(TypeError, match="mine"):
            await db.executemany(sql, [(1,)], sort_by=raising)
        assert await db.fetchval("select count(*) from t") == 0


async def test_what_cannot_be_written_to_is_no_table(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create materialized view seen as select 1 as id")
        with pytest.raises(StatementError, match="no table 'seen' that can be written to"):
            await db.insert("seen", [(1,)])
