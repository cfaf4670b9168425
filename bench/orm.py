"""Point lookups by ORM sessions and Core connections: of an engine on dbpool, and of SQLAlchemy's own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import chain
from typing import Any, Final

import asyncpg

from bench import lookups
from bench.contenders import CONNECTIONS, Access, Opening
from bench.ratios import Line, as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge
from dbpool import DatabasePool

_PAIRS: Final = {"orm": "orm-sqlalchemy", "orm-core": "orm-core-sqlalchemy", "orm-auto": "orm-auto-sqlalchemy"}
FASTER_THAN: Final = {
    "orm-sqlalchemy": Target(at_least=1.0, unit=" x"),
    "orm-core-sqlalchemy": Target(at_least=1.0, unit=" x"),
}


@asynccontextmanager
async def _access(
    dsn: str, *, is_ours: bool, by_session: bool, isolation_level: str | None = None
) -> AsyncIterator[Access]:
    import sqlalchemy as sa
    from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
    from sqlalchemy.orm import DeclarativeBase, mapped_column

    from dbpool.sqlalchemy import create_engine

    class Base(DeclarativeBase):
        pass

    class User(Base):
        __tablename__ = "users"

        id = mapped_column(sa.Integer, primary_key=True)
        name = mapped_column(sa.Text)
        email = mapped_column(sa.Text)

    users = sa.select(User.__table__).where(User.id == sa.bindparam("id"))
    async with AsyncExitStack() as stack:
        options: dict[str, Any] = {} if isolation_level is None else {"isolation_level": isolation_level}
        if is_ours:
            pool = DatabasePool(dsn, max_connections=CONNECTIONS, min_connections=CONNECTIONS)
            engine = create_engine(await stack.enter_async_context(pool), **options)
        else:
            engine = create_async_engine(
                "postgresql+asyncpg://",
                async_creator=lambda: asyncpg.connect(dsn),
                pool_size=CONNECTIONS,
                max_overflow=0,
                pool_timeout=60,
                **options,
            )
        stack.push_async_callback(engine.dispose)

        async def get(key: int) -> object:
            async with AsyncSession(engine) as session:
                return await session.get(User, key)

        async def execute(key: int) -> object:
            async with engine.connect() as connection:
                return (await connection.execute(users, {"id": key})).first()

        yield Access((get if by_session else execute,))


ORM: Final[dict[str, Opening]] = {
    "orm": partial(_access, is_ours=True, by_session=True),
    "orm-sqlalchemy": partial(_access, is_ours=False, by_session=True),
    "orm-core": partial(_access, is_ours=True, by_session=False),
    "orm-core-sqlalchemy": partial(_access, is_ours=False, by_session=False),
    "orm-auto": partial(_access, is_ours=True, by_session=True, isolation_level="AUTOCOMMIT"),
    "orm-auto-sqlalchemy": partial(_access, is_ours=False, by_session=True, isolation_level="AUTOCOMMIT"),
}


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    """
    return lookups.measure({**request, "contenders": list(ORM), "tasks": [TARGET_TASKS]}, loop=loop)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        title = f"{loop}: point lookups by SQLAlchemy's ORM and connections, {TARGET_TASKS} tasks"
        yield as_table(title, chain.from_iterable(_pairs(measured)), ours=_PAIRS, targets=FASTER_THAN)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for line in chain.from_iterable(_pairs(measured)):
            if target := FASTER_THAN.get(line.contender):
                yield judge(
                    f"{loop}, {TARGET_TASKS} tasks: create_engine(db) over {line.contender}", line.ratio, target
                )


def _pairs(measured: Mapping[str, Any]) -> Iterator[list[Line]]:
    for ours, other in _PAIRS.items():
        yield lines(
            [each for each in measured["blocks"] if each["contender"] in (ours, other)], TARGET_TASKS, ours=ours
        )
