"""Bulk writes to tables of every kind, with names and types of every kind."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import pytest

from dbpool import DatabasePool, StatementError, Written, create_pool
from tests.support.databases import Database
from tests.support.pools import pool_of, role_in

MOMENT = datetime(2024, 2, 29, 23, 59, 59, 123456, tzinfo=UTC)
TYPES = """
create type mood as enum ('sad', 'happy');
create domain positive as int check (value > 0);
create domain word as text collate "C" check (value <> '');
create type point3 as (x int, y int, z text);
create table t (
    id bigint primary key, amount numeric(12, 4), at timestamptz, tags text[], doc jsonb, plain json, mood mood,
    moods mood[], pos positive, word word, u uuid, raw bytea, short varchar(3), p point3, r int4range, f real, ok bool)
"""
VALUES: tuple[object, ...] = (
    *(1, Decimal("12345678.9012"), MOMENT, ["a", None, 'q"'], '{"k": [1, 2]}', "[1,  2]", "happy"),
    *(["sad", "happy"], 7, "wörd", UUID(int=7), b"\0\xff", "abc", (1, None, "z"), None, 1.5, True),
)


async def rows_of(db: DatabasePool, sql: str) -> list[tuple[object, ...]]:
    return [tuple(row) for row in await db.fetch(sql)]


async def every_way(db: DatabasePool, table: str, row: tuple[object, ...], key: str) -> list[Written]:
    """Store *row* by each way there is, one after the other."""
    return [
        await db.insert(table, [row]),
        await db.upsert(table, [row], key=key),
        await db.update_from(table, [row], key=key),
        await db.insert(table, [row], on_conflict="nothing"),
    ]


async def test_values_of_every_type_come_through(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TYPES)
        for written in await every_way(db, "t", VALUES, "id"):
            row = tuple(await db.fetchrow("select * from t") or ())
            assert [*row[:4], json.loads(row[4]), *row[5:13], tuple(row[13]), *row[14:]] == [
                *VALUES[:4],
                {"k": [1, 2]},
                *VALUES[5:],
            ]
            assert written.rows == 1
        await db.execute("truncate t")
        written = await db.insert("t", [VALUES], returning=["amount", "mood"])
        assert tuple(written.returned[0]) == (VALUES[1], "happy")


async def test_the_limits_of_a_domain_and_of_a_length_hold_in_a_staged_row(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(TYPES)
        for column, value in ("pos", -1), ("short", "abcd"), ("word", ""):
            with pytest.raises(Exception, match=r"violates check|too long"):
                await db.upsert("t", [{"id": 1, column: value}], key="id")
        assert await db.fetchval("select count(*) from t") == 0


@pytest.mark.parametrize(
    ("written", "made"),
    [
        ("shop.orders", "shop.orders"),
        ("Shop.Orders", "shop.orders"),
        ("Mixed", '"Mixed"'),
        ('"Mixed"', '"Mixed"'),
        ('"Sh""op"."or.ders"', '"Sh""op"."or.ders"'),
        ("we ird", '"we ird"'),
        ("or.ders", '"or.ders"'),
    ],
)
async def test_a_table_is_found_by_its_name_as_sql_writes_it_or_as_it_stands(
    database: Database, written: str, made: str
) -> None:
    async with pool_of(database) as db:
        await db.execute('create schema shop; create schema "Sh""op"')
        await db.execute(f'create table {made} ("Id" int primary key, "a ""b""" text, "dbpool_ordinal" int)')
        await every_way(db, written, (1, "x", 2), "Id")
        assert await rows_of(db, f'select "Id", "a ""b""" from {made}') == [(1, "x")]


async def test_sql_s_own_reading_of_a_name_comes_first(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute('create table "Orders" (a int); create table orders (a int)')
        await db.insert("Orders", [(1,)])
        await db.insert('"Orders"', [(2,), (3,)])
        assert await db.fetchval("select count(*) from orders") == 1
        assert await db.fetchval('select count(*) from "Orders"') == 2


@pytest.mark.parametrize("table", ["nowhere", "shop.nowhere", "", "a\0b", "x; drop table t", 'open"quote'])
async def test_a_table_that_is_not_there_is_refused(database: Database, table: str) -> None:
    async with pool_of(database) as db:
        with pytest.raises(StatementError, match="table"):
            await db.insert(table, [(1,)])


async def test_columns_that_are_not_there_are_refused_and_those_that_are_listed(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int primary key, name text)")
        with pytest.raises(StatementError, match=r"has no 'nam'; there are 'id', 'name'"):
            await db.insert("t", [(1, "x")], columns=["id", "nam"])
        with pytest.raises(StatementError, match=r"has no 'nam'; there are 'id', 'name'"):
            await db.insert("t", [{"id": 1, "nam": "x"}])
        with pytest.raises(StatementError, match="has no 'ids'"):
            await db.insert("t", [(1, "x")], returning="ids")
        with pytest.raises(StatementError, match="'id' more than once"):
            await db.insert("t", [(1, 1)], columns=["id", "id"])


async def test_a_key_without_a_unique_index_is_refused_and_those_that_have_one_are_listed(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int primary key, a int, b int, c int, unique (b, a))")
        await db.execute("create unique index on t (c) where c > 0; create unique index on t (abs(c))")
        with pytest.raises(StatementError, match=r"no unique index on exactly \(c\).*\(id\), \(a, b\)$"):
            await db.upsert("t", [(1, 1, 1, 1)], key="c")
        with pytest.raises(StatementError, match="key column 'b' is not among the columns"):
            await db.upsert("t", [(1, 1)], key=["a", "b"], columns=["id", "a"])
        with pytest.raises(StatementError, match="no other column"):
            await db.update_from("t", [(1,)], key="id", columns=["id"])
        await db.upsert("t", [(1, 1, 1, 1)], key=["a", "b"])
        await db.execute("create unique index on t (a) include (c)")
        await db.upsert("t", [(1, 1, 1, 2)], key="a")
        assert await db.fetchval("select c from t") == 2


async def test_columns_that_make_their_own_values_are_left_out_or_refused(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(
            "create table t (id int generated always as identity primary key, a int, "
            "twice int generated always as (a * 2) stored, other int generated by default as identity)"
        )
        await db.insert("t", [(5, 50)])
        assert await rows_of(db, "select * from t") == [(1, 5, 10, 50)]
        with pytest.raises(StatementError, match=r"'twice' of .* is generated"):
            await db.insert("t", [{"a": 1, "twice": 2}])
        with pytest.raises(StatementError, match=r"'id' of .* GENERATED ALWAYS AS IDENTITY"):
            await db.upsert("t", [{"id": 1, "a": 2}], key="id")
        await db.update_from("t", [{"id": 1, "a": 6}], key="id")
        assert await rows_of(db, "select * from t") == [(1, 6, 12, 50)]


async def test_partitioned_tables_take_every_way(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute(
            "create table t (id int primary key, name text) partition by range (id);"
            "create table low partition of t for values from (0) to (10);"
            "create table high (name text, id int not null);"
            "alter table t attach partition high for values from (10) to (20)"
        )
        for written in await every_way(db, "t", (11, "x"), "id"):
            assert written.rows == 1
        written = await db.upsert("t", [(1, "y"), (11, "z")], key="id")
        assert (written.inserted, written.updated) == (None, None)
        assert await rows_of(db, "select id, name from t order by id") == [(1, "y"), (11, "z")]
        assert [tuple(row) for row in (await db.insert("t", [(12, "a"), (2, "b")], returning="id")).returned] == [
            (12,),
            (2,),
        ]


async def test_a_view_takes_what_an_insert_into_it_takes(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int primary key, name text); create view v as select id, name from t")
        await every_way(db, "v", (1, "x"), "id")
        assert await rows_of(db, "select * from t") == [(1, "x")]


async def test_row_security_holds_for_a_bulk_insert(database: Database) -> None:
    async with pool_of(database) as db, role_in(database) as dsn:
        await db.execute("create table t (id int primary key, name text); alter table t enable row level security")
        await db.execute("create policy own on t using (true) with check (name = 'mine'); grant all on t to public")
        async with pool_of(dsn) as theirs:
            await theirs.insert("t", [(1, "mine")])
            with pytest.raises(Exception, match="row-level security"):
                await theirs.insert("t", [(2, "other")])
        assert await rows_of(db, "select * from t") == [(1, "mine")]


async def test_a_rule_is_applied_to_a_bulk_insert(database: Database) -> None:
    async with pool_of(database) as db:
        await db.execute("create table t (id int); create table log (id int)")
        await db.execute("create rule r as on insert to t do also insert into log values (new.id)")
        await db.insert("t", [(1,), (2,)])
        assert await db.fetchval("select count(*) from log") == 2


async def test_a_role_that_may_only_insert_can(database: Database) -> None:
    async with pool_of(database) as db, role_in(database) as dsn:
        await db.execute("create table t (id int primary key, name text); grant insert on t to public")
        async with pool_of(dsn) as theirs:
            await theirs.insert("t", [(1, "x")], on_conflict="nothing")
        assert await rows_of(db, "select * from t") == [(1, "x")]


async def test_a_codec_that_writes_text_is_used_all_the_same(database: Database) -> None:
    async def init(connection: object) -> None:
        await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)  # type: ignore[attr-defined]

    async with create_pool(database.dsn, min_size=1, max_size=2, init=init) as db:
        await db.execute("create table t (id int primary key, doc jsonb)")
        for row in (1, {"a": 1}), (1, {"a": 2}):
            await db.upsert("t", [row], key="id")
            assert await db.fetchval("select doc from t") == row[1]
        await db.insert("t", [(2, [1]), (3, None)])
        assert [tuple(row) for row in (await db.insert("t", [(4, "x")], returning="doc")).returned] == [("x",)]
        assert await db.fetchval("select count(*) from t") == 4


async def test_a_table_that_was_made_anew_with_other_types_is_written_with_those(database: Database) -> None:
    async with pool_of(database, 1) as db:
        for type_, value in ("int", 1), ("text", "one"), ("numeric", Decimal(1)):
            await db.execute(f"create table t (id int primary key, v {type_})")
            await every_way(db, "t", (1, value), "id")
            assert await db.fetchval("select v from t") == value
            await db.execute("truncate t")
            assert [tuple(row) for row in (await db.insert("t", [(1, value)], returning="v")).returned] == [(value,)]
            await db.execute("drop table t")
