"""What cannot be run is refused in one sentence, before a connection is taken."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, sqlite
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column
from sqlalchemy.schema import CreateTable, DropTable

from dbpool import CsvRows, DatabasePool, RowMappingError, StatementError, UsageError
from tests.sqlalchemy.shop import things

t = things.c


class Base(DeclarativeBase):
    pass


class Thing(Base):
    __table__ = things
    id: Mapped[int]
    fee: Mapped[Decimal | None]


class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)


by_id = sa.select(t.id).where(t.id == sa.bindparam("id"))
rude = mysql.insert(things).values(id=1)

REFUSED: dict[str, tuple[Callable[[], tuple[Any, ...]], str]] = {
    "mysql": (
        lambda: (rude.on_duplicate_key_update(name="x"),),
        r"PostgreSQL has no sqlalchemy.dialects.mysql.dml.OnDuplicateClause: it is of another database's dialect",
    ),
    "sqlite": (
        lambda: (sqlite.insert(things).values(id=1).on_conflict_do_nothing(),),
        r"PostgreSQL has no sqlalchemy.dialects.sqlite.dml.Insert: it is of another database's dialect",
    ),
    "a type of mysql's": (lambda: (sa.select(sa.cast(t.id, mysql.TINYINT)),), r"PostgreSQL has no .*TINYINT"),
    "a value of a type of mysql's": (
        lambda: (sa.select(sa.literal("a", mysql.SET("a"))),),
        r"the statement cannot be made into SQL: TypeError: .*retrieve_as_bitwise",
    ),
    "a table": (lambda: (things,), r"a Table is no statement: select\(things\) reads its rows"),
    "a column": (lambda: (t.id,), r"a Column is no statement: select\(\.\.\.\) of it gives its value"),
    "a mapped class": (lambda: (Thing,), r"Thing is a mapped class, no statement: select\(Thing.__table__\)"),
    "a number": (lambda: (7,), r"SQL must be a str or a statement of SQLAlchemy, not int"),
    "something compiled": (lambda: (by_id.compile(),), r"give the statement that it was compiled from"),
    "an entity": (lambda: (sa.select(Thing),), r"select\(Thing\) asks for objects .*create_engine\(db\)"),
    "an alias of one": (lambda: (sa.select(aliased(Thing)),), r"select\(Thing\) asks for objects"),
    "no value": (lambda: (by_id,), r"no value for 'id': give a mapping, as \{'id': \.\.\.\}"),
    "no value in text": (lambda: (sa.text("select :a, :b"), {"a": 1}), r"no value for 'b'"),
    "no value for IN": (lambda: (sa.select(t.id).where(t.id.in_(sa.bindparam("ids"))),), r"no value for 'ids'"),
    "no list": (
        lambda: (sa.select(t.id).where(t.id.in_(sa.bindparam("ids"))), {"ids": 3}),
        r"the value 3 of bind 'ids' is not a list",
    ),
    "an unknown name": (lambda: (by_id, {"id": 1, "ident": 2}), r"the statement has no bind 'ident': it has 'id'"),
    "a name where there is none": (lambda: (sa.select(t.id), {"id": 1}), r"no bind 'id': it has none that could"),
    "an unknown column": (lambda: (sa.insert(things), {"id": 1, "nom": "x"}), r"no bind 'nom': it has 'id'"),
    "an unknown column in values": (
        lambda: (sa.insert(things).values(id=1, nom="x"),),
        r"Unconsumed column names: nom",
    ),
    "names that are none": (lambda: (by_id, {1: 2, "id": 3}), r"the statement has no bind 1: it has 'id'"),
    "values in order": (lambda: (by_id, 7), r"are one mapping by the names of its binds, as \{'id': 7\}, not 7"),
    "a list": (lambda: (sa.insert(things), [{"id": 1}]), r"A list of them is for executemany\(\)"),
    "a value for a decorator": (
        lambda: (sa.select(t.id).where(t.fee == "dear"),),
        r"the value 'dear' of bind 'fee_1' cannot be bound: (ValueError|TypeError)",
    ),
    "a literal in the text": (
        lambda: (sa.select(sa.bindparam("x", object(), literal_execute=True)),),
        r"No literal value renderer is available",
    ),
    "DDL": (lambda: (CreateTable(things),), r"a CreateTable has neither rows nor values for this helper: use execute"),
    "DDL with values": (lambda: (DropTable(things), {"x": 1}), r"a DropTable takes no values"),
    "two statements": (lambda: (sa.text("select 1; select 2"),), r"2 statements in one call"),
    "a transaction": (lambda: (sa.text("rollback"),), r"use 'async with db.transaction\(\)'"),
    "a NUL": (lambda: (sa.select(sa.literal("\0")),), r"parameter \$1 has a NUL character"),
}


async def test_what_cannot_be_run_is_refused_in_one_sentence(db: DatabasePool) -> None:
    async with db.acquire(), db.acquire(), db.acquire():  # none is left: it is refused without one
        for name, (make, sentence) in REFUSED.items():
            with pytest.raises(StatementError) as raised:
                await db.fetch(*make(), timeout=5)
            said = str(raised.value)
            assert re.search(sentence, said), (name, said)
            assert "\n" not in said
            with pytest.raises(StatementError):
                db.stream(*make())


async def test_literals_that_have_no_type_are_told_by_the_name_of_their_bind(db: DatabasePool) -> None:
    sentence = r"the value <object .* of bind 'param_1' has no type in SQL: give it one, as literal\(value, String\)"
    with pytest.raises(StatementError, match=sentence):
        await db.fetch(sa.select(sa.literal(object())))
    async with db.transaction() as tx:
        with pytest.raises(StatementError, match=sentence):
            await tx.fetchval(sa.select(sa.literal(object())))


async def test_a_connection_of_ones_own_says_where_statements_go(db: DatabasePool) -> None:
    async with db.acquire() as connection:
        asked: Any = connection
        for ask in (asked.fetch, asked.fetchval, asked.execute, asked.prepare):
            with pytest.raises(
                StatementError, match=r"takes SQL as a str, not Select: .* db\.fetch\(\) and tx\.fetch\(\)"
            ):
                await ask(sa.select(t.id))
        assert await connection.fetchval("select 1") == 1


async def test_a_field_without_a_column_is_told(db: DatabasePool) -> None:
    @dataclass
    class Named:
        id: int
        title: str

    for statement in (sa.select(t.id), sa.select(t.id, t.fee)):
        with pytest.raises(RowMappingError, match="no column for title"):
            await db.fetch(statement, into=Named)
        with pytest.raises(RowMappingError, match="no column for title"):
            [row async for row in db.stream(statement, into=Named)]


async def test_many_items_are_refused_as_one_is(db: DatabasePool) -> None:
    cases: list[tuple[Any, Any, str]] = [
        (things, [1], "a Table is no statement"),
        (sa.select(Thing), [()], "asks for objects"),
        (by_id, [{"ident": 1}], "no bind 'ident'"),
        (by_id, Path("ids.csv"), "the rows of a file are text"),
        (by_id, CsvRows("ids.csv"), "the rows of a file are text"),
    ]
    for refused, items, sentence in cases:
        with pytest.raises(StatementError, match=sentence):
            [answer async for answer in db.map(refused, items)]
    for wrong in (7, "abc"):
        with pytest.raises(UsageError, match="items must be an iterable"):
            db.map(by_id, wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="there is no option odd="):
        db.map(by_id, [1], odd=1)  # type: ignore[call-arg]
    with pytest.raises(StatementError, match=r"has neither rows nor values for executemany\(\)"):
        await db.executemany(CreateTable(things), [{}])


async def test_mapped_columns_are_selected_and_written_without_a_session(db: DatabasePool) -> None:
    assert [tuple(row) for row in await db.fetch(sa.select(Thing.id, Thing.fee).where(Thing.id == 1))] == [
        (1, Decimal("3.07"))
    ]
    assert len(await db.fetch(sa.select(Thing.__table__))) == 3
    assert await db.execute(sa.update(Thing).where(Thing.id == 1).values(name="new")) == "UPDATE 1"
    assert await db.fetchval(sa.insert(Thing).values(id=9).returning(Thing.id)) == 9
    assert await db.execute(sa.delete(Thing).where(Thing.id == 9)) == "DELETE 1"


async def test_tables_are_made_and_dropped_by_execute(db: DatabasePool) -> None:
    assert await db.execute(CreateTable(User.__table__)) == "CREATE TABLE"  # type: ignore[arg-type]
    assert await db.execute(sa.insert(User).values(id=1)) == "INSERT 0 1"
    async with db.transaction() as tx:
        assert await tx.execute(DropTable(User.__table__)) == "DROP TABLE"  # type: ignore[arg-type]


async def test_types_of_another_dialect_are_refused_in_ddl(db: DatabasePool) -> None:
    odd = sa.Table("odd", sa.MetaData(), sa.Column("x", mysql.TINYINT))

    with pytest.raises(StatementError, match=r"TINYINT"):
        await db.execute(CreateTable(odd))


def test_nothing_is_imported_before_there_is_a_statement() -> None:
    program = "import sys, dbpool; print('sqlalchemy' in sys.modules, 'dbpool.sqlalchemy' in sys.modules)"

    assert subprocess.check_output([sys.executable, "-c", program], text=True).split() == ["False", "False"]


def test_without_sqlalchemy_or_with_an_old_one_it_is_said_what_is_needed() -> None:
    program = """
import sys, types
from dbpool.executable import bound
from dbpool.core.want import Want
for version in ("", "2.0.44"):
    if version:
        sys.modules["sqlalchemy"] = types.ModuleType("sqlalchemy")
        sys.modules["sqlalchemy"].__version__ = version
    try:
        bound(object(), (), Want.ROWS)
    except ValueError as error:
        print(error)
"""
    said = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()

    assert said == [
        "SQL must be a str, not object",
        "SQLAlchemy 2.0.44 is installed, its statements are taken from 2.1 on: pip install -U 'dbpool[sqlalchemy]'",
    ]
