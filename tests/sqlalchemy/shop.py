"""Tables with a column of every kind that SQLAlchemy has a type for, and rows of them."""

from __future__ import annotations

import enum
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, INET, INT4RANGE, JSONB, Range
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.types import TypeDecorator


class Color(enum.Enum):
    red = "#f00"
    blue = "#00f"


class Cents(TypeDecorator[Decimal]):
    """Money as Decimal here, as whole cents in the database."""

    impl = sa.BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, dialect: sa.Dialect) -> Decimal | None:
        return None if value is None else Decimal(value) / 100


def next_code(context: DefaultExecutionContext) -> str:
    """A default that looks at the other values of its row."""
    assert context.current_parameters is not None
    return f"code of {context.current_parameters.get('id')}"


metadata = sa.MetaData()

things = sa.Table(
    "things",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(40)),
    sa.Column("price", sa.Numeric(10, 2)),
    sa.Column("rough", sa.Numeric(10, 2, asdecimal=False)),
    sa.Column("weight", sa.Float),
    sa.Column("exact", sa.Float(asdecimal=True)),
    sa.Column("color", sa.Enum(Color, name="color")),
    sa.Column("size", sa.Enum("S", "M", "L", name="size")),
    sa.Column("fee", Cents),
    sa.Column("fees", ARRAY(Cents)),
    sa.Column("colors", ARRAY(sa.Enum(Color, name="color"))),
    sa.Column("json", sa.JSON),
    sa.Column("jsonb", JSONB),
    sa.Column("tags", ARRAY(sa.String)),
    sa.Column("grid", ARRAY(sa.Integer, dimensions=2)),
    sa.Column("pair", ARRAY(sa.Integer, as_tuple=True)),
    sa.Column("key", sa.Uuid),
    sa.Column("key_text", sa.Uuid(as_uuid=False)),
    sa.Column("at", sa.DateTime(timezone=True)),
    sa.Column("day", sa.Date),
    sa.Column("clock", sa.Time),
    sa.Column("span", sa.Interval),
    sa.Column("is_new", sa.Boolean),
    sa.Column("raw", sa.LargeBinary),
    sa.Column("host", INET),
    sa.Column("net", CIDR),
    sa.Column("ages", INT4RANGE),
    sa.Column("pickled", sa.PickleType),
)

orders = sa.Table(
    "sales",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("thing_id", sa.ForeignKey("things.id", name="orders_thing")),
    sa.Column("code", sa.String, default=next_code),
    sa.Column("state", sa.String, default="new", onupdate="changed"),
    sa.Column("amount", Cents, default=Decimal("9.99")),
    sa.Column("at", sa.DateTime(timezone=True), server_default=sa.func.now()),
    sa.Column("count", sa.Integer, key="how_many", default=sa.func.length("four")),
)

ROWS: list[dict[str, Any]] = [
    {
        "id": 1,
        "name": "a ünïcode",
        "price": Decimal("1.50"),
        "rough": 2.25,
        "weight": 0.1,
        "exact": Decimal("2.5"),
        "color": Color.red,
        "size": "M",
        "fee": Decimal("3.07"),
        "fees": [Decimal("0.01"), None],
        "colors": [Color.blue, Color.red],
        "json": {"a": [1, 2.5, None]},
        "jsonb": ["x", {"y": True}],
        "tags": ["one", "two,three", None],
        "grid": [[1, 2], [3, 4]],
        "pair": (1, 2),
        "key": UUID(int=7),
        "key_text": str(UUID(int=8)),
        "at": datetime(2026, 11, 28, 20, 30, tzinfo=UTC),
        "day": date(2026, 11, 28),
        "clock": time(20, 30, 1),
        "span": timedelta(days=3, seconds=7),
        "is_new": True,
        "raw": b"\0\xff",
        "host": "10.0.0.1",
        "net": "10.0.0.0/8",
        "ages": Range(1, 5),
        "pickled": {"any": {1, 2}},
    },
    dict.fromkeys(things.c.keys()) | {"id": 2, "json": sa.null(), "jsonb": sa.null()},
    dict.fromkeys(things.c.keys()) | {"id": 3, "name": "c", "price": Decimal("0.10"), "color": Color.blue},
]
