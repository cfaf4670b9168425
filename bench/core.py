"""Point lookups by statements of SQLAlchemy Core: through dbpool, through SQLAlchemy's own engine, and as text."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

import asyncpg

from bench import lookups
from bench.contenders import CONNECTIONS, OPENINGS, Access, Opening
from bench.ratios import Line, as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge
from dbpool import DatabasePool

OURS: Final = "core"
FASTER_THAN: Final = {"core-sqlalchemy": Target(at_least=4.0, unit=" x")}


def _select() -> Callable[[int], Any]:
    """What makes the statement of a key, as a program does for each call."""
    import sqlalchemy as sa

    users = sa.table("users", sa.column("id", sa.Integer), sa.column("name", sa.Text), sa.column("email", sa.Text))
    return lambda key: sa.select(users).where(users.c.id == key)


@asynccontextmanager
async def _pool(dsn: str, *, is_kept: bool) -> AsyncIterator[Access]:
    import sqlalchemy as sa

    select = _select()
    kept = select(sa.bindparam("id", type_=sa.Integer))  # type: ignore[arg-type] # a bind in place of a key
    async with DatabasePool(dsn, max_connections=CONNECTIONS, min_connections=CONNECTIONS) as db:

        async def by_kept(key: int) -> object:
            return await db.fetchrow(kept, {"id": key})

        async def by_new(key: int) -> object:
            return await db.fetchrow(select(key))

        yield Access((by_kept if is_kept else by_new,))


@asynccontextmanager
async def _engine(dsn: str, *, isolation_level: str | None = None) -> AsyncIterator[Access]:
    from sqlalchemy.ext.asyncio import create_async_engine

    select = _select()
    options: dict[str, Any] = {} if isolation_level is None else {"isolation_level": isolation_level}
    engine = create_async_engine(
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn),
        pool_size=CONNECTIONS,
        max_overflow=0,
        pool_timeout=60,
        **options,
    )

    async def lookup(key: int) -> object:
        async with engine.connect() as connection:
            return (await connection.execute(select(key))).first()

    try:
        yield Access((lookup,))
    finally:
        await engine.dispose()


CORE: Final[dict[str, Opening]] = {
    "core": partial(_pool, is_kept=False),
    "core-kept": partial(_pool, is_kept=True),
    "core-text": OPENINGS["dbpool"],
    "core-sqlalchemy": _engine,
    "core-sqlalchemy-auto": partial(_engine, isolation_level="AUTOCOMMIT"),
}


def measure(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """Rounds like those of ``bench.lookups``.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``lookups`` (a block).
    """
    return lookups.measure({**request, "contenders": list(CORE), "tasks": [TARGET_TASKS]}, loop=loop)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        title = f"{loop}: point lookups by SQLAlchemy Core, {TARGET_TASKS} tasks"
        yield as_table(title, _lines(measured), ours={OURS}, targets=FASTER_THAN)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for line in _lines(measured):
            if target := FASTER_THAN.get(line.contender):
                yield judge(f"{loop}, {TARGET_TASKS} tasks: Core by dbpool over SQLAlchemy's", line.ratio, target)


def _lines(measured: Mapping[str, Any]) -> list[Line]:
    return lines(measured["blocks"], TARGET_TASKS, ours=OURS)
