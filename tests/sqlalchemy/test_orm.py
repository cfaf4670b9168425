"""The ORM on an engine of the pool's."""

from __future__ import annotations

import asyncio
import datetime as dt
import enum
import uuid
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any

import pytest
from sqlalchemy import ARRAY, JSON, Integer, Numeric, delete, func, literal, select
from sqlalchemy.dialects.postgresql import INET, INT4RANGE, JSONB, Range
from sqlalchemy.exc import IntegrityError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker
from sqlalchemy.orm import DeclarativeBase, Mapped, joinedload, mapped_column, selectinload

from dbpool.sqlalchemy import create_engine
from tests.sqlalchemy.models import Author, Book, library
from tests.support.databases import Database
from tests.support.pools import pool_of, settled


@pytest.mark.every_loop
async def test_objects_are_stored_changed_and_deleted(database: Database) -> None:
    async with library(database) as (db, engine):
        make = async_sessionmaker(engine, expire_on_commit=False)
        async with make.begin() as session:
            author = Author(name="new", books=[Book(title="one"), Book(title="two")])
            author.id = 100
            session.add(author)
        assert all(book.id for book in author.books)
        async with make.begin() as session:
            found = await session.get_one(Author, 100)
            found.name = "renamed"
            await session.execute(delete(Book).where(Book.author_id == 100, Book.title == "one"))
        assert await db.fetchval("select name from authors where id = 100") == "renamed"
        assert await db.fetchval("select count(*) from books where author_id = 100") == 1


async def test_relationships_are_loaded_in_every_way(database: Database) -> None:
    async with library(database) as (_, engine), AsyncSession(engine) as session:
        for how in selectinload, joinedload:
            statement = select(Author).options(how(Author.books)).execution_options(populate_existing=True)
            authors = (await session.scalars(statement)).unique().all()
            assert [len(author.books) for author in authors] == [2] * 5
        book = await session.get_one(Book, 1)
        session.expire_all()
        author = await book.awaitable_attrs.author
        assert [each.id for each in await author.awaitable_attrs.books] == [1, 2]
        session.expire_all()
        with pytest.raises(MissingGreenlet):
            _ = book.title
        await session.refresh(book)
        assert book.title == "book 1"


async def test_a_savepoint_undoes_its_own_alone(database: Database) -> None:
    async with library(database) as (db, engine):
        before = db.stats().resets_total
        async with AsyncSession(engine) as session, session.begin():
            session.add(Author(id=50, name="kept"))
            with pytest.raises(IntegrityError):
                async with session.begin_nested():
                    session.add(Author(id=51, name="author 1"))
                    await session.flush()
            session.add(Author(id=52, name="kept too"))
        assert await db.fetchval("select array_agg(id order by id) from authors where id >= 50") == [50, 52]
        await settled(db)
        assert db.stats().resets_total == before


async def test_rows_are_streamed_as_objects(database: Database) -> None:
    async with library(database) as (_, engine), AsyncSession(engine) as session:
        books = await session.stream_scalars(select(Book).order_by(Book.id).execution_options(yield_per=3))
        assert [book.id async for book in books] == list(range(1, 11))
        assert await session.scalar(select(func.count()).select_from(Book)) == 10


async def test_one_session_of_many_tasks_is_used_by_one_at_a_time(database: Database) -> None:
    async with library(database, 1) as (_, engine), engine.connect() as connection:
        answers = await asyncio.gather(*(connection.scalar(select(literal(n))) for n in range(10)))
        assert answers == list(range(10))


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class TypesBase(DeclarativeBase):
    type_annotation_map = {dict[str, Any]: JSONB}  # noqa: RUF012 - as SQLAlchemy has it


class Everything(TypesBase):
    __tablename__ = "everything"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    colour: Mapped[Colour]
    document: Mapped[dict[str, Any]]
    plain: Mapped[Any] = mapped_column(JSON)
    numbers: Mapped[list[int]] = mapped_column(ARRAY(Integer))
    price: Mapped[Decimal] = mapped_column(Numeric(12, 4))
    host: Mapped[IPv4Address] = mapped_column(INET)
    span: Mapped[Range[int]] = mapped_column(INT4RANGE)
    at: Mapped[dt.datetime]
    took: Mapped[dt.timedelta]
    raw: Mapped[bytes]
    nothing: Mapped[str | None]


async def test_values_of_every_type_come_back_as_they_were(database: Database) -> None:
    values: dict[str, Any] = {
        "colour": Colour.BLUE,
        "document": {"a": [1, None, {"b": "ü"}]},
        "plain": [1.5, "x", None],
        "numbers": [3, 1, 2],
        "price": Decimal("1234.5000"),
        "host": IPv4Address("10.1.2.3"),
        "span": Range(1, 5),
        "at": dt.datetime(2026, 1, 2, 3, 4, 5, 678),  # noqa: DTZ001 - a column without a zone
        "took": dt.timedelta(days=1, microseconds=5),
        "raw": b"\0\xff",
        "nothing": None,
    }
    async with pool_of(database) as db:
        engine = create_engine(db)
        async with engine.begin() as connection:
            await connection.run_sync(TypesBase.metadata.create_all)
        async with AsyncSession(engine) as session, session.begin():
            session.add_all([Everything(**values) for _ in range(3)])
        async with AsyncSession(engine) as session:
            for one in await session.scalars(select(Everything).where(Everything.colour == Colour.BLUE)):
                assert {name: getattr(one, name) for name in values} == values
                assert isinstance(one.id, uuid.UUID)
