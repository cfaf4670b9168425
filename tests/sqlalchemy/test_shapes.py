"""Each shape of statement is compiled once, and what differs between two calls of it is never mixed up."""

from __future__ import annotations

import asyncio
import copy
import gc
import pickle
import weakref
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.schema import CreateSchema, CreateTable

from dbpool import DatabasePool
from dbpool.core.want import Want
from dbpool.executable import Executable, bound
from dbpool.sqlalchemy import compiling
from dbpool.sqlalchemy.shapes import Shape
from tests.sqlalchemy.shop import Color, things
from tests.support.databases import Database
from tests.support.pools import witness_of

t = things.c
by_id = sa.select(t.id).where(t.id == sa.bindparam("id"))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that are compiled from now on, with room for two shapes."""
    texts: list[str] = []

    class CountedShape(Shape):
        def __init__(self, *args: object) -> None:
            super().__init__(*args)  # type: ignore[arg-type]
            texts.append(self.sql)

    monkeypatch.setattr(compiling, "Shape", CountedShape)
    monkeypatch.setattr(compiling, "_shapes", sa.util.LRUCache(2, threshold=0))
    return texts


def asked(statement: Executable, *args: object) -> tuple[str, list[object]]:
    sql, values, _ = bound(statement, args, Want.ROWS)
    return sql, [*values]


async def test_a_shape_is_compiled_once_for_all_its_values(db: DatabasePool, compiled: list[str]) -> None:
    for number in (1, 2, 3, 1):
        assert await db.fetchval(sa.select(t.id).where(t.id == number)) == number
        async with db.transaction() as tx:
            assert await tx.fetchval(sa.select(t.id).where(t.id == number)) == number

    assert compiled == ["SELECT things.id \nFROM things \nWHERE things.id = $1::INTEGER"]


def test_the_shapes_kept_are_few(compiled: list[str]) -> None:
    for _ in range(3):
        for column in (t.id, t.name, t.fee, t.price):
            asked(sa.select(column))

    assert len(compiled) == 12


def test_a_statement_that_is_kept_is_not_looked_at_again(compiled: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    kept = sa.select(t.id).where(t.id == 1)
    asked(kept)
    monkeypatch.setattr(compiling, "_found", None)

    assert asked(kept)[1] == [1]


def test_a_statement_made_of_a_kept_one_is_another(compiled: list[str]) -> None:
    kept = sa.select(t.id).where(t.id == 1)
    before = asked(kept)

    assert asked(kept.where(t.name == "x"))[1] == [1, "x"]
    assert asked(kept.limit(3))[1] == [1, 3]
    assert asked(by_id.params(id=4))[1] == [4]
    assert asked(by_id.params(id=5))[1] == [5]
    assert asked(kept) == before


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda statement: pickle.loads(pickle.dumps(statement))])
def test_a_statement_that_was_run_can_be_pickled_and_copied(copied: Callable[[Any], Any]) -> None:
    for statement in (sa.select(sa.literal(7)), sa.text("select :n").bindparams(n=7)):
        sql, values = asked(statement)

        assert asked(copied(statement)) == (sql, values)
        assert asked(statement) == (sql, values)


def test_a_statement_without_a_key_is_compiled_each_time(compiled: list[str]) -> None:
    class Odd(sa.sql.expression.ColumnElement[int]):
        inherit_cache = False
        type = sa.Integer()

    @compiles(Odd)
    def odd(*_: object, **__: object) -> str:
        return "7"

    for number in (1, 2):
        assert asked(sa.select(Odd()).where(t.id == sa.bindparam("id"), t.id > 5).params(id=number))[1] == [number, 5]
    assert len(compiled) == 2


def test_binds_of_one_name_are_told_apart_by_what_they_have(compiled: list[str]) -> None:
    def where(bind: sa.BindParameter[int]) -> sa.Select[tuple[int]]:
        return sa.select(t.id).where(t.id == bind)

    assert asked(where(sa.bindparam("id", 3)))[1] == [3]
    with pytest.raises(ValueError, match="no value for 'id'"):
        asked(where(sa.bindparam("id")))
    assert asked(where(sa.bindparam("id", callable_=lambda: 4)))[1] == [4]
    assert asked(where(sa.bindparam("id", 3)), {"id": 5})[1] == [5]
    assert len(set(compiled)) == 1


def test_a_bind_used_twice_is_sent_once() -> None:
    sql, values = asked(by_id.where(t.id + 1 > sa.bindparam("id")), {"id": 3})

    assert sql.endswith("WHERE things.id = $1::INTEGER AND things.id + $2::INTEGER > $1::INTEGER")
    assert values == [3, 1]


@settings(max_examples=25)
@given(st.lists(st.lists(st.integers(-1000, 1000), max_size=5), min_size=1), st.sampled_from(Color))
def test_lists_of_any_length_are_expanded(lists: list[list[int]], color: Color) -> None:
    for numbers in lists:
        statement = sa.select(t.id).where(t.color == color, t.id.in_(numbers), t.price < Decimal("2.5"))
        sql, values = asked(statement)
        assert [value for value in values if isinstance(value, int)] == numbers
        assert {*values} == {color.name, Decimal("2.5"), *numbers}
        for number in range(1, len(values) + 1):
            assert f"${number}::" in sql


def test_a_list_is_expanded_once_for_its_length(monkeypatch: pytest.MonkeyPatch) -> None:
    method = "_process_parameters_for_postcompile"
    expand = getattr(sa.sql.compiler.SQLCompiler, method)
    lengths: list[int] = []

    def counted(self: sa.sql.compiler.SQLCompiler, values: dict[str, object]) -> object:
        state = expand(self, values)
        lengths.append(len(state.positiontup or ()))
        return state

    monkeypatch.setattr(sa.sql.compiler.SQLCompiler, method, counted)
    statement = sa.select(t.name).where(t.id.in_(sa.bindparam("ids")))

    for ids in ([1, 2], (3, 4), [5], [6, 7], [8]):
        assert asked(statement, {"ids": ids})[1] == [*ids]
    assert lengths == [2, 1]


@pytest.mark.parametrize(
    "statement_of",
    [
        lambda value: sa.select(t.id, t.weight).where(t.name == value),
        lambda value: sa.select(sa.literal(value), t.weight),
        lambda value: sa.insert(things).values(id=1, name=value),
        lambda value: sa.text("select :kept, 1").bindparams(kept=value),
    ],
)
def test_a_value_is_kept_by_nobody_once_its_statement_is_gone(statement_of: Callable[[str], Executable]) -> None:
    class Value(str):
        __slots__ = ("__weakref__",)

    value = Value("of the first call")
    is_kept = weakref.ref(value)
    assert value in asked(statement_of(value))[1]

    del value
    gc.collect()
    assert is_kept() is None


def test_a_list_may_be_a_set() -> None:
    statement = sa.select(t.name, t.id).where(t.id.in_(sa.bindparam("ids")))

    for ids in ({7}, frozenset({8}), {9: None}.keys()):
        assert asked(statement, {"ids": ids})[1] == [*ids]


def test_another_schema_is_rendered_and_kept_apart() -> None:
    for schema in ("a", "b", "a"):
        statement = sa.select(t.id).where(t.id.in_([1])).execution_options(schema_translate_map={None: schema})
        assert f"FROM {schema}.things" in asked(statement)[0]
    assert "FROM things" in asked(sa.select(t.id).where(t.id.in_([1])))[0]


async def test_tables_are_made_in_the_schema_that_takes_the_place_of_theirs(db: DatabasePool) -> None:
    note = sa.Table("note", sa.MetaData(), sa.Column("id", sa.Integer, sa.Identity(), primary_key=True))

    for schema in ("a", "b"):
        here: Any = {"schema_translate_map": {None: schema}}
        await db.execute(CreateSchema(schema))
        await db.execute(CreateTable(note).execution_options(**here))
        await db.execute(sa.insert(note).execution_options(**here))

    found = await db.fetch("select schemaname from pg_tables where tablename = 'note' order by 1")
    assert [row[0] for row in found] == ["a", "b"]


async def test_calls_are_coalesced_by_the_compiled_text(db: DatabasePool) -> None:
    async def fee_of(number: int) -> object:
        return await db.fetchval(sa.select(t.fee).where(t.id == number), coalesce=True)

    async with asyncio.timeout(20):
        while db.stats().coalesced_total < 20:
            found = await asyncio.gather(*(fee_of(number % 3 + 1) for number in range(60)))
            assert found == [Decimal("3.07"), None, None] * 20
            rows = await asyncio.gather(*(db.fetchrow(by_id, {"id": n % 2 + 1}, coalesce=True) for n in range(60)))
            assert [row and tuple(row) for row in rows] == [(1,), (2,)] * 30


async def test_a_cancelled_statement_is_stopped_and_its_connection_used_again(
    db: DatabasePool, things_database: Database
) -> None:
    blocked = sa.select(sa.func.pg_advisory_xact_lock(sa.bindparam("key", type_=sa.BigInteger)))
    calls: list[Callable[[], Awaitable[object]]] = [
        lambda: db.fetch(blocked, {"key": 1}),
        lambda: db.execute(blocked, {"key": 1}),
        lambda: db.executemany(blocked, [{"key": 1}]),
        lambda: anext(db.stream(blocked, {"key": 1})),
        lambda: anext(db.map(blocked, [1])),
    ]
    async with witness_of(things_database) as witness, witness.holding():
        for call in calls:
            task = asyncio.ensure_future(call())
            await witness.until_blocked()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            await witness.until_none_blocked()
    assert await db.fetchval(by_id, {"id": 3}) == 3


def test_an_insert_returns_nothing_unasked() -> None:
    numbered = sa.Table("numbered", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("x"))

    assert asked(sa.insert(numbered).values(x=sa.null()))[0] == "INSERT INTO numbered (x) VALUES (NULL)"
    assert asked(sa.insert(numbered))[0] == "INSERT INTO numbered DEFAULT VALUES"
