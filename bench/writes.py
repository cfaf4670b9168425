"""Many rows into a table: inserted, or upserted where half of them are there."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any, Final

import asyncpg

from bench import process
from bench.order import order_of_round
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool import DatabasePool

Rows = list[tuple[int, str, float, datetime]]

OVER_EXECUTEMANY: Final = Target(at_least=1.5, unit=" x")
OURS: Final = "dbpool"
KINDS: Final = ("insert", "upsert")
_COLUMNS: Final = ("id", "name", "value", "at")
_TABLE: Final = (
    "create table written (id integer primary key, name text not null, value float8 not null, at timestamptz not null)"
)
_CONFLICT: Final = " on conflict (id) do update set name = excluded.name, value = excluded.value, at = excluded.at"
_LABELS: Final = {
    OURS: "dbpool",
    "asyncpg": "asyncpg executemany",
    "psycopg": "psycopg executemany (pipelined)",
    "psqlpy": "psqlpy execute_many",
    "sqlalchemy": "SQLAlchemy on asyncpg, insert(): executemany",
    "sqlalchemy-many": "the same, insert().returning(): insertmanyvalues",
}


@dataclass(frozen=True, slots=True)
class _Writer:
    """How a contender writes; each call is one insert or upsert of all rows."""

    insert: Callable[[Rows], Awaitable[object]]
    upsert: Callable[[Rows], Awaitable[object]]


@asynccontextmanager
async def _dbpool(dsn: str) -> AsyncIterator[_Writer]:
    async with DatabasePool(dsn, max_connections=1) as db:
        yield _Writer(
            lambda rows: db.insert("written", rows),
            lambda rows: db.upsert("written", rows, key="id"),
        )


@asynccontextmanager
async def _asyncpg(dsn: str) -> AsyncIterator[_Writer]:
    connection = await asyncpg.connect(dsn)
    try:
        sql = "insert into written values ($1, $2, $3, $4)"
        yield _Writer(
            lambda rows: connection.executemany(sql, rows),
            lambda rows: connection.executemany(sql + _CONFLICT, rows),
        )
    finally:
        await connection.close()


@asynccontextmanager
async def _psycopg(dsn: str) -> AsyncIterator[_Writer]:
    import psycopg

    sql = "insert into written values (%s, %s, %s, %s)"
    async with await psycopg.AsyncConnection.connect(dsn) as connection:

        async def write(text: str, rows: Rows) -> None:
            async with connection.transaction(), connection.cursor() as cursor:
                await cursor.executemany(text, rows)

        yield _Writer(lambda rows: write(sql, rows), lambda rows: write(sql + _CONFLICT, rows))


@asynccontextmanager
async def _psqlpy(dsn: str) -> AsyncIterator[_Writer]:
    import psqlpy

    sql = "insert into written values ($1, $2, $3, $4)"
    pool = psqlpy.ConnectionPool(dsn=dsn, max_db_pool_size=2)
    try:
        async with pool.acquire() as connection:
            yield _Writer(
                lambda rows: connection.execute_many(sql, [list(row) for row in rows]),
                lambda rows: connection.execute_many(sql + _CONFLICT, [list(row) for row in rows]),
            )
    finally:
        pool.close()


@asynccontextmanager
async def _sqlalchemy(dsn: str, *, returning: bool) -> AsyncIterator[_Writer]:
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import insert
    from sqlalchemy.ext.asyncio import create_async_engine

    written = sa.table("written", *map(sa.column, _COLUMNS))
    new = insert(written)
    upsert = new.on_conflict_do_update(index_elements=["id"], set_={name: new.excluded[name] for name in _COLUMNS[1:]})
    engine = create_async_engine("postgresql+asyncpg://", async_creator=lambda: asyncpg.connect(dsn))

    async def write(statement: sa.Insert, rows: Rows) -> None:
        named = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        async with engine.begin() as connection:  # on asyncpg, INSERTs of many VALUES are for RETURNING alone
            await connection.execute(statement.returning(written.c.id) if returning else statement, named)

    try:
        yield _Writer(lambda rows: write(new, rows), lambda rows: write(upsert, rows))
    finally:
        await engine.dispose()


_OPENINGS: Final = {
    OURS: _dbpool,
    "asyncpg": _asyncpg,
    "psycopg": _psycopg,
    "psqlpy": _psqlpy,
    "sqlalchemy": partial(_sqlalchemy, returning=False),
    "sqlalchemy-many": partial(_sqlalchemy, returning=True),
}


def measure_rounds(dsn: str, rows: int, rounds: int) -> dict[str, Any]:
    """Returns: ``rows``, and ``runs``: by contender of each round what ``measure`` says."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in _OPENINGS}
    for number in range(rounds):
        progress(f"bulk writes, round {number + 1} of {rounds}")
        for name in order_of_round(list(runs), number):
            try:
                runs[name].append(process.measure("writes", {"dsn": dsn, "contender": name, "rows": rows}))
            except process.MeasurementFailed as error:
                progress(f"{name} is left out: {error}")
                del runs[name]
    return {"rows": rows, "runs": runs}


async def measure(request: dict[str, Any]) -> dict[str, dict[str, float]]:
    """For each of KINDS ``per_s``, and ``kept_s``: the longest time for which another task had no turn."""
    moment = datetime.now(UTC)
    ids = random.sample(range(request["rows"]), request["rows"])
    rows = [(number, f"name {number}", number * 1.5, moment) for number in ids]
    admin = await asyncpg.connect(request["dsn"])
    try:
        async with _OPENINGS[request["contender"]](request["dsn"]) as writer:
            return {kind: await _measure(admin, getattr(writer, kind), rows, kind) for kind in KINDS}
    finally:
        await admin.execute("drop table if exists written")
        await admin.close()


async def _measure(
    admin: asyncpg.Connection[asyncpg.Record], write: Callable[[Rows], Awaitable[object]], rows: Rows, kind: str
) -> dict[str, float]:
    await admin.execute("drop table if exists written")
    await admin.execute(_TABLE)
    await write(rows[:100])  # what is prepared, and asked about types, is so once
    await admin.execute("truncate written")
    if kind == "upsert":
        await admin.copy_records_to_table("written", records=[row for row in rows if row[0] % 2])
    await admin.execute("analyze written")
    await admin.execute("checkpoint")
    kept: list[float] = [0.0]
    watching = asyncio.create_task(_watch(kept))
    await asyncio.sleep(0)
    started = time.perf_counter()
    await write(rows)
    took_s = time.perf_counter() - started
    await asyncio.sleep(0.01)  # whoever never gave the loop a turn is told from it now
    watching.cancel()
    with suppress(asyncio.CancelledError):
        await watching
    assert await admin.fetchval("select count(*) from written where at = $1", rows[0][3]) == len(rows)
    return {"per_s": len(rows) / took_s, "kept_s": kept[0]}


async def _watch(kept: list[float]) -> None:
    while True:
        began = time.perf_counter()
        await asyncio.sleep(0.001)
        kept[0] = max(kept[0], time.perf_counter() - began - 0.001)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    runs = results["runs"]
    for kind in KINDS:
        rows = [
            (
                _LABELS[name],
                f"{median(run[kind]['per_s'] for run in runs[name]):,.0f}",
                "" if name == OURS or OURS not in runs else f"{median(_ratios(runs, name, kind)):.2f} x",
                f"{median(run[kind]['kept_s'] for run in runs[name]) * 1e3:.0f} ms",
            )
            for name in runs
        ]
        title = f"Bulk writes: {kind} of {results['rows']:,} rows"
        yield Table(title, ("contender", "rows/s", "dbpool is", "keeps the loop"), rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    runs = results["runs"]
    if OURS in runs and "asyncpg" in runs:
        for kind in KINDS:
            what = f"{kind} of {results['rows']:,} rows: dbpool over asyncpg's executemany"
            yield judge(what, median(_ratios(runs, "asyncpg", kind)), OVER_EXECUTEMANY)


def _ratios(runs: Mapping[str, list[dict[str, Any]]], name: str, kind: str) -> list[float]:
    pairs = zip(runs[OURS], runs[name], strict=False)
    return [ours[kind]["per_s"] / other[kind]["per_s"] for ours, other in pairs]
