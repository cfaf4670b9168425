"""A statement gives through every helper what SQLAlchemy's own engine gives for it."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, distinct_on, insert
from sqlalchemy.ext.asyncio import AsyncEngine

from dbpool import DatabasePool
from tests.sqlalchemy.shop import ROWS, Cents, Color, orders, things

t = things.c
total = sa.func.sum(t.price)
cheap = sa.select(t.id, t.price).where(t.price < 1).cte("cheap")
other = things.alias("other")


def _numbers() -> sa.Select[Any]:
    numbers = sa.select(sa.literal(1).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < 4))
    return sa.select(numbers.c.n)


def _lateral() -> sa.Select[Any]:
    last = sa.select(other.c.id).where(other.c.id <= t.id).order_by(other.c.id.desc()).limit(1).lateral("last")
    return sa.select(t.id, last.c.id).join(last, sa.true()).order_by(t.id)


READS: dict[str, Callable[[], Any]] = {
    "every type": lambda: sa.select(things).order_by(t.id),
    "columns and a label": lambda: sa.select(t.id, (t.price * 2).label("twice"), t.weight + 1).order_by(t.id),
    "where": lambda: sa.select(t.id, t.name).where(t.id == 1, t.name.like("a%")),
    "one name twice": lambda: sa.select(t.id, other.c.id).join(other, t.id == other.c.id).order_by(t.id),
    "the same column twice": lambda: sa.select(t.fee, t.fee).where(t.id == 1),
    "an enum": lambda: sa.select(t.id, t.color).where(t.color == Color.red),
    "IN": lambda: sa.select(t.id).where(t.id.in_([1, 3, 9])).order_by(t.id),
    "IN of nothing": lambda: sa.select(t.id).where(t.id.in_([])),
    "NOT IN with an enum": lambda: sa.select(t.id).where(t.color.not_in([Color.red])),
    "IN with a decorator": lambda: sa.select(t.id).where(t.fee.in_([Decimal("3.07"), Decimal(1)])),
    "IN of tuples": lambda: sa.select(t.id).where(sa.tuple_(t.id, t.name).in_([(3, "c"), (1, "x")])),
    "IN of a select": lambda: sa.select(t.id).where(t.id.in_(sa.select(other.c.id).where(other.c.id > 1))),
    "a decorator": lambda: sa.select(t.fee).where(t.fee > Decimal(3)),
    "JSON paths": lambda: sa.select(t.json["a"][0], t.json[("a", "1")].as_float(), t.jsonb[1]["y"]).where(t.id == 1),
    "JSON containment": lambda: sa.select(t.id).where(t.jsonb.contains(["x"])),
    "array operators": lambda: sa.select(t.tags[1], t.id).where(
        sa.literal("one") == sa.any_(t.tags), t.tags.contains(["one"])
    ),
    "uuid": lambda: sa.select(t.key, t.key_text).where(t.key == ROWS[0]["key"]),
    "times": lambda: sa.select(t.at + t.span, t.day, sa.extract("year", t.at)).where(t.at <= ROWS[0]["at"]),
    "an interval": lambda: sa.select(t.span).where(t.span == ROWS[0]["span"]),
    "a range": lambda: sa.select(t.ages, t.ages.contains(3)).where(t.id == 1),
    "float as decimal": lambda: sa.select(t.exact, sa.cast(t.weight, sa.Numeric), sa.type_coerce(t.weight, sa.Numeric)),
    "numeric of a whole number": lambda: sa.select(sa.type_coerce(t.id, sa.Numeric(asdecimal=False))).order_by(t.id),
    "functions": lambda: sa.select(sa.func.count(), total, sa.func.max(t.id), sa.func.array_agg(t.id)),
    "a window": lambda: sa.select(t.id, sa.func.row_number().over(order_by=t.id.desc())).order_by(t.id),
    "case": lambda: sa.select(sa.case((t.id == 1, "first"), else_=t.name)).order_by(t.id),
    "cast": lambda: sa.select(sa.cast(t.id, sa.String), sa.cast(sa.literal("7"), sa.Integer)).order_by(t.id),
    "literals": lambda: sa.select(sa.literal(7), sa.literal("x"), sa.literal(Decimal("1.5")), sa.literal(True)),
    "literal_column": lambda: sa.select(
        sa.literal_column("1 % 2").label("rest"), sa.literal_column("'a:b'").label("text")
    ),
    "literal_execute": lambda: sa.select(sa.bindparam("x", 5, literal_execute=True, type_=sa.Integer).label("x")),
    "a cte": lambda: sa.select(cheap.c.id, cheap.c.price),
    "a recursive cte": _numbers,
    "union": lambda: sa.union_all(sa.select(t.id), sa.select(other.c.id + 10)).order_by("id"),
    "exists": lambda: sa.select(sa.exists().where(t.id == 3)),
    "a scalar subquery": lambda: sa.select(sa.select(sa.func.count()).select_from(other).scalar_subquery()),
    "lateral": _lateral,
    "values": lambda: sa.select(sa.values(sa.column("n", sa.Integer), name="v").data([(1,), (2,)])),
    "limit and offset": lambda: sa.select(t.id).order_by(t.id).limit(1).offset(1),
    "distinct on": lambda: sa.select(t.id).ext(distinct_on(t.id)).order_by(t.id),
    "for update": lambda: sa.select(t.id).where(t.id == 1).with_for_update(skip_locked=True),
    "more columns than compiled": lambda: sa.select(sa.literal_column("id, name"), t.fee).order_by(t.id),
    "text": lambda: sa.text("select id, name, price, at from things where id >= :least order by id").bindparams(
        least=1
    ),
    "text with columns by name": lambda: sa.text("select color, fee, id from things order by id").columns(
        fee=Cents, color=t.color.type
    ),
    "text with columns by place": lambda: sa.text("select fee, jsonb from things order by id").columns(
        sa.column("x", Cents), sa.column("y", JSONB)
    ),
    "text with colons": lambda: sa.text(r"select '\:no bind' as a, cast('1' as text) as b, '%' as c"),
    "params()": lambda: sa.select(t.id).where(t.id == sa.bindparam("id")).params(id=3),
    "a callable bind": lambda: sa.select(t.id).where(t.id == sa.bindparam("called", callable_=lambda: 3)),
    "a function alone": lambda: sa.func.upper("x"),
    "collate": lambda: sa.select(sa.collate(t.name, "C")).order_by(sa.collate(t.name, "C")),
    "a column of another key": lambda: sa.select(orders.c.how_many).where(orders.c.id == 1),
    "bound by value": lambda: sa.lambda_stmt(lambda: sa.select(t.id).where(t.id == 3)),
}


async def theirs(engine: AsyncEngine, statement: sa.Executable) -> tuple[list[str], list[tuple[Any, ...]]]:
    async with engine.begin() as connection:
        result = await connection.execute(statement)
        return [*result.keys()], [tuple(row) for row in result]


def told(rows: list[Any]) -> list[list[tuple[type, Any]]]:
    """Values with their types: 1 and True are equal, and a list is not a tuple."""
    return [[(type(value), value) for value in row] for row in rows]


async def test_every_read_gives_the_same(db: DatabasePool, engine: AsyncEngine) -> None:
    for name in READS:
        try:
            await check_read(db, engine, name)
        except Exception as error:
            error.add_note(f"reading {name}")
            raise


async def check_read(db: DatabasePool, engine: AsyncEngine, name: str) -> None:
    statement = READS[name]()
    names, expected = await theirs(engine, READS[name]())

    rows = await db.fetch(statement)

    assert told(rows) == told(expected)
    assert not rows or [*rows[0].keys()] == names
    assert told([await db.fetchrow(statement)] if expected else []) == told(expected[:1])
    assert await db.fetchval(statement) == (expected[0][0] if expected else None)
    assert told([row async for row in db.stream(statement)]) == told(expected)
    async with db.transaction() as tx:
        assert told(await tx.fetch(statement)) == told(expected)
        assert told([row async for row in tx.stream(statement, prefetch=2)]) == told(expected)
    assert told(await db.fetch(READS[name](), coalesce=True)) == told(expected)


WRITES: dict[str, Callable[[], tuple[Any, ...]]] = {
    "values": lambda: (sa.insert(orders).values(id=1, thing_id=1).returning(orders),),
    "a mapping": lambda: (sa.insert(orders).returning(orders), {"id": 1, "amount": Decimal("0.5")}),
    "several values": lambda: (sa.insert(orders).values([{"id": 1}, {"id": 2, "state": "x"}]).returning(orders),),
    "defaults alone": lambda: (sa.insert(orders).values(id=7).returning(orders.c.code, orders.c.how_many),),
    "an expression": lambda: (sa.insert(orders).values(id=sa.select(sa.func.count()).scalar_subquery()),),
    "from a select": lambda: (
        sa.insert(orders)
        .from_select(["id", "code"], sa.select(t.id, t.name), include_defaults=False)
        .returning(orders.c.id),
    ),
    "on conflict": lambda: (
        insert(orders)
        .values(id=1, state="again")
        .on_conflict_do_update(index_elements=["id"], set_={"state": "was there"})
        .returning(orders.c.id, orders.c.state),
    ),
    "update": lambda: (sa.update(orders).where(orders.c.id == 1).values(amount=Decimal(2)).returning(orders),),
    "update with a mapping": lambda: (
        sa.update(orders).where(orders.c.id == sa.bindparam("which")).returning(orders),
        {"which": 1, "code": "c"},
    ),
    "update from": lambda: (
        sa.update(orders).where(orders.c.thing_id == t.id).values(code=t.name).returning(orders.c.code, t.fee),
    ),
    "delete": lambda: (sa.delete(orders).where(orders.c.id.in_([1, 2])).returning(orders.c.id, orders.c.amount),),
    "a write in a cte": lambda: (
        sa.select(sa.insert(orders).values(id=5, code="x").returning(orders.c.state).cte("new")),
    ),
    "no rows": lambda: (sa.insert(orders).values(id=1),),
}


async def test_every_write_returns_and_leaves_the_same(db: DatabasePool, engine: AsyncEngine) -> None:
    for name in WRITES:
        try:
            await check_write(db, engine, name)
        except Exception as error:
            error.add_note(f"writing {name}")
            raise


async def check_write(db: DatabasePool, engine: AsyncEngine, name: str) -> None:
    seed = sa.insert(orders).values(id=1, thing_id=1, at=ROWS[0]["at"])
    everything = sa.select(orders).order_by(orders.c.id)
    found = []
    for way in ("theirs", "ours"):
        await db.execute(sa.delete(orders))
        if "update" in name or name in ("delete", "on conflict"):
            await db.execute(seed)
        async with engine.begin() as connection:
            await connection.execute(sa.text("alter table sales alter at set default '2026-11-28'"))
        statement, *values = WRITES[name]()
        if way == "ours":
            rows: list[Any] = await db.fetch(statement, *values)
        else:
            async with engine.begin() as connection:
                result = await connection.execute(statement, *values)
                rows = [*result] if result.returns_rows else []
        found.append((told(rows), told(await db.fetch(everything))))

    assert found[0] == found[1]
