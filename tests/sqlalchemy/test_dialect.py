"""Dialect gives what SQLAlchemy's own gives, over connections that have no codec set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import asyncpg
import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, INET, JSONB
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool

from tests.support.databases import Database

registry.register("postgresql.barepg", "dbpool.sqlalchemy.dialect", "Dialect")

MakeEngine = Callable[..., AsyncEngine]

notes = sa.Table(
    "notes",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("json", sa.JSON),
    sa.Column("jsonb", JSONB(none_as_null=True)),
    sa.Column("many", ARRAY(JSONB)),
    sa.Column("host", INET),
    sa.Column("net", CIDR),
)


class BareConnection(asyncpg.Connection):
    async def set_type_codec(self, *_: object, **__: object) -> None:
        raise AssertionError("a codec was set on the connection")


@pytest.fixture
def make_engine(database: Database) -> MakeEngine:
    url = sa.make_url(database.dsn.replace("postgres://", "postgresql://")).set(drivername="postgresql+barepg")
    connect = partial(asyncpg.connect, connection_class=BareConnection)
    return partial(create_async_engine, url, async_creator=partial(connect, database.dsn), poolclass=NullPool)


VALUES: dict[str, Any] = {
    "id": 1,
    "json": {"a": [1, None, "ü"]},
    "jsonb": None,
    "many": [{"b": 1}, [2], "three", None],
    "host": "10.0.0.1",
    "net": "10.0.0.0/8",
}


async def written(engine: AsyncEngine, statement: sa.Select[Any] | sa.TextClause) -> tuple[object, ...]:
    async with engine.begin() as connection:
        await connection.run_sync(notes.metadata.create_all)
        await connection.execute(notes.insert(), VALUES)
        row = (await connection.execute(statement)).one()
    await engine.dispose()
    return tuple(row)


@pytest.mark.parametrize(
    "statement",
    [sa.select(notes), sa.text("select * from notes"), sa.select(sa.func.jsonb_build_array(notes.c.jsonb))],
    ids=["typed", "text", "function"],
)
async def test_json_comes_as_python_objects(make_engine: MakeEngine, statement: sa.Select[Any] | sa.TextClause) -> None:
    row = await written(make_engine(), statement)

    host, net = IPv4Address("10.0.0.1"), IPv4Network("10.0.0.0/8")
    assert row in [(1, VALUES["json"], None, VALUES["many"], host, net), ([None],)]


async def test_the_serializers_that_a_user_gives_are_used(make_engine: MakeEngine) -> None:
    made = make_engine(json_serializer=lambda _: '"in"', json_deserializer=lambda text: ("out", text))

    row = await written(made, sa.select(notes.c.json, notes.c.many))

    assert row == (("out", '"in"'), [("out", '"in"')] * 4)


async def test_addresses_are_text_where_a_user_asks_for_it(make_engine: MakeEngine) -> None:
    row = await written(make_engine(native_inet_types=False), sa.select(notes.c.host, notes.c.net))

    assert row == ("10.0.0.1", "10.0.0.0/8")
