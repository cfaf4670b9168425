"""The models of the ORM's tests, and an engine on a pool with their tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Unpack

from sqlalchemy import ForeignKey, insert
from sqlalchemy.ext.asyncio import AsyncAttrs, AsyncEngine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from dbpool import DatabasePool
from dbpool.options import Options
from dbpool.sqlalchemy import create_engine
from tests.support.databases import Database
from tests.support.pools import pool_of


class Base(AsyncAttrs, DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(unique=True)
    books: Mapped[list[Book]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "books"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str]
    author_id: Mapped[int | None] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author | None] = relationship(back_populates="books")


AUTHORS = 5


@asynccontextmanager
async def library(
    database: Database, bound: int = 2, engine_options: dict[str, Any] | None = None, **options: Unpack[Options]
) -> AsyncIterator[tuple[DatabasePool, AsyncEngine]]:
    """A pool, and an engine on it: five authors with two books each."""
    async with pool_of(database, bound, **options) as db:
        engine = create_engine(db, **(engine_options or {}))
        async with engine.begin() as connection:
            await connection.run_sync(Base.metadata.create_all)
            names = [{"id": n, "name": f"author {n}"} for n in range(1, AUTHORS + 1)]
            await connection.execute(insert(Author), names)
            titles = [{"title": f"book {n}", "author_id": (n + 1) // 2} for n in range(1, 2 * AUTHORS + 1)]
            await connection.execute(insert(Book), titles)
        yield db, engine
