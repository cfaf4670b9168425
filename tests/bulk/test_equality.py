"""``map`` gives what one statement for each item gives: rows, their order, names, errors."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any, NamedTuple

import pytest
import pytest_asyncio

from dbpool import DatabasePool, QueryTimeout, create_pool
from dbpool.bulk.batchrow import BatchRow, by_item, first_by_item, values_by_item
from dbpool.bulk.guard import BatchPlan
from dbpool.core.batches import ARRAYS, Form
from tests.bulk.corpus import LATERAL, MANY, OTHERS, QUERIES, SCHEMA, Case
from tests.bulk.corpusvalues import OTHER, PLAIN, Text
from tests.support.databases import Database, new_database
from tests.support.pools import pool_of, role_in
from tests.support.server import Server

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def db(server: Server) -> AsyncIterator[DatabasePool]:
    """A pool on a database with the tables of the corpus, for all tests of this file."""
    async with new_database(server) as database, pool_of(database, 1) as db:
        await db.execute(SCHEMA)
        yield db


def told(result: object, error: BaseException | None) -> object:
    """What a caller sees, such that what differs is not equal: NaN, -0.0, names, classes."""
    if error is not None:
        return type(error), getattr(error, "sqlstate", None), str(error)
    rows: list[Any] = result if isinstance(result, list) else [result]
    return re.sub(r" object at 0x\w+", "", repr(result)), [
        list(row.keys()) if hasattr(row, "keys") and len(row) != 0 else len_of(row) for row in rows
    ]


def len_of(row: object) -> object:
    return len(row) if hasattr(row, "__len__") and not isinstance(row, (str, bytes)) else None


async def alone(db: DatabasePool, how: str, sql: str, items: Sequence[object]) -> list[object]:
    """What statements of their own give."""
    ask: Any = {"map": db.fetch, "map_row": db.fetchrow, "map_val": db.fetchval}[how]
    found = []
    for item in items:
        try:
            found.append(told(await ask(sql, *(item if isinstance(item, tuple) else (item,))), None))
        except Exception as error:
            found.append(told(None, error))
    return found


async def together(db: DatabasePool, how: str, sql: str, items: Sequence[object], form: Form | None) -> list[object]:
    options: Any = {} if form is None else {"form": form}
    answers = getattr(db, how)(sql, items, on_error="collect", at_once=1, **options)
    found: list[object] = []
    async for key, result, error in answers:
        assert key is items[len(found)]
        if error is not None:
            assert error.__notes__ == [f"item {len(found) + 1}"]
        found.append(told(result, error))
    return found


async def check(db: DatabasePool, case: Case) -> None:
    """Ask for everything in every form that may be asked for, and of its own accord."""
    items = case.items()
    plan = await db.explain_map(case.sql, items)
    assert plan.form is case.form, str(plan)
    assert case.form in plan.correct
    for how in ("map", "map_row", "map_val"):
        await db.execute(case.fresh or "select")
        expected = await alone(db, how, case.sql, items)
        left = await db.fetch(case.after or "select")
        for form in [None, *sorted(forms_of(plan, how, expected), key=list(Form).index)]:
            await db.execute(case.fresh or "select")
            found = await together(db, how, case.sql, items, form)
            differing = [
                (item, *both) for item, *both in zip(items, expected, found, strict=True) if both[0] != both[1]
            ]
            assert not differing, (how, form, differing[0])
            assert len(found) == len(items)
            assert await db.fetch(case.after or "select") == left, (how, form)


def forms_of(plan: BatchPlan, how: str, expected: Sequence[object]) -> frozenset[Form]:
    """Those to ask for besides the one that is found; of ``map_row`` none, for it sends what ``map_val`` does."""
    if how == "map":
        return plan.correct - {plan.form}
    has_no_columns = any(isinstance(each, tuple) and each[0] is IndexError for each in expected)
    return frozenset() if how == "map_row" or has_no_columns else plan.correct - {Form.UNFENCED}


@pytest.mark.parametrize("case", QUERIES + OTHERS, ids=lambda case: case.sql[:60])
async def test_a_statement_gives_what_it_gives_alone(db: DatabasePool, case: Case) -> None:
    if case.since and await db.fetchval("show server_version_num") < f"{case.since}0000":
        pytest.skip(f"the server knows this since version {case.since}")
    await check(db, case)


def of_type(name: str, values: Sequence[object], form: Form) -> Case:
    items = [(value,) for value in (None, *values)]
    given = cycle(items)
    return Case(f"select $1::{name} as value, $1::{name} is null", lambda _: next(given), form, count=len(items))


@pytest.mark.parametrize("name", [*PLAIN, *OTHER])
async def test_a_value_of_any_type_arrives_as_it_does_alone(db: DatabasePool, name: str) -> None:
    await check(db, of_type(name, *((PLAIN[name], LATERAL) if name in PLAIN else (OTHER[name], MANY))))
    plan = await db.explain_map(f"select $1::{name}", [])
    assert ("of which there are no plain arrays" in plan.why) == (name in OTHER), plan.why


async def test_forms_over_arrays_are_proven_for_most() -> None:
    chosen = [case.form for case in QUERIES + OTHERS]
    assert len(chosen) >= 110
    assert sum(form in ARRAYS for form in chosen) > 65


# What only shows over several batches, or with what a connection was told


async def test_rows_of_a_table_that_changes_meanwhile_are_those_of_the_new_one(database: Database) -> None:
    sql = "select * from t where id = $1"
    async with pool_of(database, 1) as db:
        await db.execute(
            "create table t (id int primary key, a text); insert into t select n, n from generate_series(1, 99) n"
        )
        assert (await db.explain_map(sql, [1, 2, 3])).form is LATERAL
        for change in [
            "alter table t rename a to b",
            "alter table t add column c int default 5",
            "alter table t drop column b",
            "alter table t alter column id type bigint",
            "alter table t alter column id type numeric",
        ]:
            await db.fetch_all(sql, range(99))
            await db.execute(change)
            expected = [repr(await db.fetch(sql, n)) for n in range(99)]
            assert [repr(rows) async for _, rows, _ in db.map(sql, range(99))] == expected, change


async def test_a_plan_that_fits_no_longer_is_made_anew(database: Database) -> None:
    sql = "select $1::int, * from t where id = $1"
    async with pool_of(database, 1) as db:
        await db.execute(
            "create table t (id int, a int, b int); insert into t select n, n, n from generate_series(1, 9) n"
        )
        await db.fetch_all(sql, range(9))
        await db.execute("alter table t drop column b")
        expected = [repr(await db.fetch(sql, n)) for n in range(9)]
        assert [repr(rows) async for _, rows, _ in db.map(sql, range(9))] == expected
        async with db.acquire() as connection:
            seen = "select query from pg_stat_activity where false"
            assert await connection.fetch(seen) == []


async def test_lists_in_a_codec_of_the_users_are_single_values(database: Database) -> None:
    async def init(connection: Any) -> None:  # noqa: ANN401 - asyncpg's own
        await connection.set_type_codec("jsonb", encoder=json.dumps, decoder=json.loads, schema="pg_catalog")

    values: list[Any] = [{"a": 1}, [1, 2], [3, 4], "text", 5, None, (1, 2), [[1]], {"b": []}, {1}, [], True]
    async with create_pool(database.dsn, min_size=1, max_size=1, init=init) as db:
        for start in range(len(values)):
            items = [(value,) for value in values[start:] + values[:start]]
            expected = await alone(db, "map", "select $1::jsonb as a", items)
            for form in (None, MANY):
                assert await together(db, "map", "select $1::jsonb as a", items, form) == expected
        dicts = [({"n": n},) for n in range(20)]
        assert (await db.explain_map("select $1::jsonb as b", dicts)).form is LATERAL
        await db.fetch_all("select $1::jsonb as b", dicts)
        pairs = [([n, n],) for n in range(20)]  # the plan is there, made for no lists
        assert await db.fetch_all("select $1::jsonb as b", pairs) == [[pair] for pair in pairs]
        assert (await db.explain_map("select $1::jsonb as a", pairs)).why == "its values would be taken for arrays"
        mixed = [*dicts[:15], ([1, 2],), ([3, 4],), *dicts[15:]]
        assert [value async for _, value, _ in db.map_val("select $1::jsonb", mixed)] == [value for (value,) in mixed]


async def test_nothing_depends_on_the_cache_of_statements(database: Database) -> None:
    async with pool_of(database, 1, statement_cache_size=0) as db:
        items = [1, 2, 0, None, "x", 5, 2**40]
        expected = await alone(db, "map_val", "select 10 / $1::int", items)
        for form in (None, *Form):
            if form is not Form.UNFENCED:
                assert await together(db, "map_val", "select 10 / $1::int", items, form) == expected


async def test_policies_of_a_table_are_those_of_the_role(database: Database) -> None:
    async with pool_of(database, 1) as owner:
        await owner.execute(
            "create table docs (id int primary key, owner text); insert into docs select n, 'role ' || n % 3 "
            "from generate_series(1, 90) n; alter table docs enable row level security; "
            "create policy mine on docs using (owner = current_setting('app.role', true))"
        )
        async with role_in(database) as dsn:
            await owner.execute(f'grant select on docs to "role_of_{database.name}"')
            async with pool_of(dsn, 1, server_settings={"app.role": "role 1"}) as db:
                sql = "select id, owner from docs where id >= $1 order by id limit 3"
                assert (await db.explain_map(sql, range(3))).form is LATERAL
                expected = await alone(db, "map", sql, range(90))
                assert await together(db, "map", sql, range(90), None) == expected
                assert "role 2" not in str(expected)


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Plain:
    x: int


async def test_items_of_any_kind_are_what_they_are_alone(db: DatabasePool) -> None:
    records = await db.fetch("select n as x, n + 1 as y from generate_series(1, 3) n")
    items = [Point(1, 2), Plain(1), *records, [1, 2], {"x": 1}, "12", (), (Point(1, 2), 3), (None, None), (5, True)]
    for sql in ("select $1::int, $2::int", "select $1::int[]", "select $1::text", "select $1::pair"):
        expected = await alone(db, "map", sql, items)
        for form in (None, *(await db.explain_map(sql, [items[0], *items])).correct):
            assert await together(db, "map", sql, items, form) == expected, (sql, form)


async def test_rows_compare_as_records_do(db: DatabasePool) -> None:
    sql = "select id, name from acc where id = $1"
    rows = [row async for _, row, _ in db.map_row(sql, [1, 2, 3], form="lateral")]
    records: Any = [await db.fetchrow(sql, n) for n in [1, 2, 3]]
    assert type(rows[0]) is not type(records[0])
    for compare in (operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge):
        for one, like_one in zip(rows, records, strict=True):
            for other, like_other in zip(rows, records, strict=True):
                wanted = compare(like_one, like_other)
                found = [compare(*both) for both in ((one, other), (one, like_other), (like_one, other))]
                assert [*found, compare(one, tuple(other))] == [wanted] * 4, compare
    assert rows[0] != 5
    assert (rows[0][Text("id")], rows[0][-1], rows[0][True]) == (1, "name 1", "name 1")


@pytest.mark.parametrize("number", [0, 4, -1])
async def test_a_row_of_no_item_is_no_answer(db: DatabasePool, number: int) -> None:
    async with db.acquire() as connection:
        rows = await connection.fetch(f"select 5 as n, {number} as i", record_class=BatchRow)
    for apart in (by_item, first_by_item, values_by_item):
        with pytest.raises(AssertionError, match=f"a batch of 3 items was answered with a row of item {number}"):
            apart(rows, 3)


async def test_what_stops_a_batch_is_told_once_for_its_items(db: DatabasePool) -> None:
    sql = "select pg_sleep($1)::text"
    seen = [item async for item in db.map(sql, [0, 0, 9, 0], on_error="collect", form="many", timeout=0.1, batch=4)]
    errors = [item.error for item in seen]
    assert [type(error) for error in errors] == [type(None), type(None), QueryTimeout, type(None)]


async def test_a_hashed_tables_rows_keep_their_order(db: DatabasePool) -> None:
    sql = "select name from team where league = $1"
    items = [n % 7 for n in range(700)]
    expected = [[row["name"] for row in await db.fetch(sql, n)] for n in range(7)]
    for form in (None, Form.UNFENCED):
        found = [[row["name"] for row in rows] async for _, rows, _ in db.map(sql, items, form=form, batch=700)]  # type: ignore[arg-type]
        assert found == [expected[n] for n in items]
