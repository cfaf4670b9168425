"""Statements of SQLAlchemy for many items: executemany, map and its like, for_each, jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter

import asyncpg
import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool import DatabasePool, Form, StatementError, migrate
from tests.sqlalchemy.shop import Color, orders, things
from tests.support.databases import Database

t = things.c
by_id = sa.select(t.id, t.fee, t.color).where(t.id == sa.bindparam("id", type_=sa.Integer))


@dataclass
class Thing:
    id: int
    fee: Decimal | None
    color: Color | None


async def test_map_takes_mappings_tuples_and_single_values(db: DatabasePool) -> None:
    expected = [(1, Decimal("3.07"), Color.red), (2, None, None)]

    for items in ([{"id": 1}, {"id": 2}], [(1,), (2,)], [1, 2]):
        found = [(key, rows, error) async for key, rows, error in db.map(by_id, items)]
        assert [key for key, *_ in found] == items
        assert [tuple(row) for _, rows, _ in found for row in rows] == expected
        assert await db.fetch_all(by_id, items) == [[row] for row in expected]
    assert [row async for _, row, _ in db.map_row(by_id, [2, 9])] == [expected[1], None]
    assert [
        value async for _, value, _ in db.map_val(sa.select(t.fee).where(t.id == sa.bindparam("id")), [1, 2, 9])
    ] == [
        Decimal("3.07"),
        None,
        None,
    ]


async def test_map_sends_batches_of_what_the_types_make(db: DatabasePool) -> None:
    by_fee = sa.select(t.id).where(t.fee == sa.bindparam("fee"), t.color == Color.red, t.id < sa.bindparam("most", 100))
    fees = [Decimal(cents) / 100 for cents in range(400)]

    found = [key async for key, rows, _ in db.map(by_fee, iter(fees)) if rows]

    assert found == [Decimal("3.07")]
    assert (await db.explain_map(by_fee, fees[:3])).form in (Form.LATERAL, Form.UNFENCED)
    assert (await db.explain_map(by_id, [{"id": 1}])).form is Form.LATERAL


async def test_map_reads_an_async_source_and_makes_rows_into_objects(db: DatabasePool) -> None:
    async def items() -> AsyncIterator[int]:
        for number in (1, 3):
            yield number

    found = [thing async for _, rows, _ in db.map(by_id, items(), into=Thing) for thing in rows]

    assert found == [Thing(1, Decimal("3.07"), Color.red), Thing(3, None, Color.blue)]


async def test_an_item_that_cannot_be_bound_costs_only_itself(db: DatabasePool) -> None:
    by_fee = sa.select(t.id).where(t.fee == sa.bindparam("fee"))
    items = [Decimal(1), "no number", Decimal(2)] * 3

    found = [answer async for answer in db.map(by_fee, items, on_error="collect")]

    assert [answer.error is None for answer in found] == [True, False, True] * 3
    assert "'no number' of bind 'fee' cannot be bound" in str(found[1].error)
    with pytest.raises(StatementError, match="no number") as raised:
        [answer async for answer in db.map(by_fee, items)]
    assert raised.value.__notes__ == ["item 2"]


async def test_executemany_takes_mappings_and_fills_in_defaults(db: DatabasePool) -> None:
    rows = [{"id": number, "amount": Decimal(number) / 4} for number in range(50)]

    await db.executemany(sa.insert(orders), (row for row in rows), sort_by=itemgetter("id"))
    async with db.transaction() as tx:
        await tx.executemany(
            sa.update(orders).where(orders.c.id == sa.bindparam("which")), [{"which": 3, "code": "three"}]
        )

    stored = await db.fetch(
        sa.select(orders.c.id, orders.c.amount, orders.c.code, orders.c.state).order_by(orders.c.id)
    )
    assert [row["amount"] for row in stored] == [row["amount"] for row in rows]
    assert [tuple(row) for row in stored[2:4]] == [
        (2, Decimal("0.5"), "code of 2", "new"),
        (3, Decimal("0.75"), "three", "changed"),
    ]
    await db.executemany(sa.delete(orders).where(orders.c.id == sa.bindparam("id")), [(1,), (2,)])
    await db.executemany(sa.delete(orders).where(orders.c.id == sa.bindparam("id")), [])
    assert await db.fetchval(sa.select(sa.func.count()).select_from(orders)) == 48


async def test_executemany_names_the_item_that_does_not_fit(db: DatabasePool) -> None:
    with pytest.raises(StatementError, match=r"item 2: it has 'id', 'code', and the first item has 'id'"):
        await db.executemany(sa.insert(orders), [{"id": 1}, {"id": 2, "code": "x"}])
    with pytest.raises(StatementError, match=r"item 1: the statement has no bind 'nothing': it has 'amount'"):
        await db.executemany(sa.insert(orders), [{"id": 1, "nothing": 1}])
    with pytest.raises(StatementError, match=r"has 1 values in order, and the statement takes none: bindparam"):
        await db.executemany(sa.insert(orders), [(1,)])
    with pytest.raises(StatementError, match=r"other lengths than those of the first item"):
        await db.executemany(sa.delete(orders).where(orders.c.id.in_(sa.bindparam("ids"))), [{"ids": [1]}, {"ids": []}])
    assert await db.fetchval(sa.select(sa.func.count()).select_from(orders)) == 0


async def test_map_inserts_mappings_and_returns_what_is_asked(db: DatabasePool) -> None:
    insert = sa.insert(orders).returning(orders.c.id, orders.c.amount)

    found = [row async for _, row, _ in db.map_row(insert, [{"id": 1}, {"id": 2}])]

    assert [tuple(row) for row in found] == [(1, Decimal("9.99")), (2, Decimal("9.99"))]


async def test_for_each_reads_a_select(db: DatabasePool) -> None:
    async def color(row: asyncpg.Record) -> object:
        return row["color"]

    found = [value async for _, value, _ in db.for_each(sa.select(t.id, t.color).order_by(t.id), color)]

    assert found == [Color.red, None, Color.blue]


async def test_a_job_stores_what_the_types_make(db: DatabasePool, things_database: Database) -> None:
    await migrate.upgrade(things_database.dsn)
    items = [{"id": number, "amount": Decimal(number)} for number in range(10)]

    for _ in range(2):
        result = await db.job("orders", sa.insert(orders), items, chunk=4).run()

    assert result.skipped == 10
    assert [row["amount"] for row in await db.fetch(sa.select(orders.c.amount).order_by(orders.c.id))] == [
        item["amount"] for item in items
    ]


@settings(max_examples=20)
@given(st.lists(st.tuples(st.integers(-(2**31), 2**31 - 1), st.none() | st.decimals(-99, 99, places=2)), min_size=1))
def test_values_are_bound_by_name_whatever_they_are(items: list[tuple[int, Decimal | None]]) -> None:
    from dbpool.executable import bound_many

    statement = sa.insert(things)
    many = bound_many(statement, [{"fee": fee, "id": number} for number, fee in items])
    assert many.args_of is not None

    assert many.sql == "INSERT INTO things (id, fee) VALUES ($1::INTEGER, $2::BIGINT)"
    assert [many.args_of(item) for item in many.items] == [
        (number, None if fee is None else int(fee * 100)) for number, fee in items
    ]
