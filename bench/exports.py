"""A table into a file: by one COPY TO, by ranges over several connections, by rows in Python."""

from __future__ import annotations

import asyncio
import csv
import shutil
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final

import asyncpg

from bench.database import ROWS
from bench.order import order_of_round
from bench.process import progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool import DatabasePool

FASTER: Final = Target(at_least=1.4, unit=" x")
BASE: Final = "COPY TO, asyncpg"
ADBC: Final = "fetch_arrow_table, ADBC, a thread"
OURS: Final = "dbpool, two connections"
BASES: Final = {"csv": BASE, "binary": BASE, "parquet": ADBC}  # by format, whose seconds the others' are compared with

_STREAMED_ROWS: Final = 100_000  # a tenth: the others' time would else be its rounding error
_NOTED_EVERY_S: Final = 0.001


@dataclass(frozen=True, slots=True)
class _Way:
    """How the table gets into the file; *share* is how much of it does."""

    write: Callable[[Path], Awaitable[object]]
    share: float = 1.0


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Every way once a round, connections open.

    Args:
        request: ``dsn``, ``label``, ``rounds``.
    Returns: for each format and each way its rounds: ``s`` for the whole table, and ``lag_s``, the longest that the
        event loop was not there for others.
    """
    seen: dict[str, dict[str, list[dict[str, float]]]] = {}
    async with AsyncExitStack() as opened:
        folder = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="dbpool-bench-")))
        for written in BASES:
            ways = await _ways(request["dsn"], written, opened)
            found = seen[written] = {name: [] for name in ways}
            for number in range(request["rounds"] + 1):
                progress(f"{request['label']}: exports as {written}, round {number} of {request['rounds']}")
                for name in order_of_round(list(ways), number):
                    figures = await _timed(ways[name], folder / f"users.{written}")
                    if number:  # else it warms up
                        found[name].append(figures)
    return seen


async def _timed(way: _Way, path: Path) -> dict[str, float]:
    lags: list[float] = []
    watch = asyncio.create_task(_note_lags(lags))
    started = time.perf_counter()
    await way.write(path)
    took = time.perf_counter() - started
    watch.cancel()
    await asyncio.to_thread(path.unlink)
    return {"s": took / way.share, "lag_s": max(lags, default=0.0)}


async def _note_lags(lags: list[float]) -> None:
    while True:
        before = time.perf_counter()
        await asyncio.sleep(_NOTED_EVERY_S)
        lags.append(time.perf_counter() - before - _NOTED_EVERY_S)


async def _ways(dsn: str, written: str, opened: AsyncExitStack) -> dict[str, _Way]:
    db = await opened.enter_async_context(DatabasePool(dsn, max_connections=4, min_connections=4))

    def ours(connections: int) -> Callable[[Path], Awaitable[object]]:
        return lambda path: db.export("users", path, format=written, at_once=connections)

    our_ways = {
        "dbpool, one connection": _Way(ours(1)),
        OURS: _Way(ours(2)),
        "dbpool, four connections": _Way(ours(4)),
    }
    if written == "parquet":
        return {**_adbc_ways(dsn, opened), **our_ways}
    bare = await asyncpg.connect(dsn)
    opened.push_async_callback(bare.close)
    ways = {
        BASE: _Way(lambda path: bare.copy_from_table("users", output=path, format=written)),
        **our_ways,
        "COPY TO, psycopg": _Way(await _psycopg(dsn, written, opened)),
    }
    if shutil.which("psql"):
        ways[r"\copy, psql"] = _Way(lambda path: _psql(dsn, written, path))
    if written == "csv":
        ways["rows of a cursor, dbpool"] = _Way(lambda path: _stream(db, path), _STREAMED_ROWS / ROWS)
    return ways


def _adbc_ways(dsn: str, opened: AsyncExitStack) -> dict[str, _Way]:
    from adbc_driver_postgresql import dbapi
    from pyarrow import parquet

    connection = opened.enter_context(dbapi.connect(dsn, autocommit=True))

    def whole(path: Path) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select * from users")
            parquet.write_table(cursor.fetch_arrow_table(), path)

    def by_batches(path: Path) -> None:
        with connection.cursor() as cursor:
            cursor.execute("select * from users")
            reader = cursor.fetch_record_batch()
            with parquet.ParquetWriter(path, reader.schema) as writer:
                for batch in reader:
                    writer.write_batch(batch)

    return {
        ADBC: _Way(lambda path: asyncio.to_thread(whole, path)),
        "fetch_record_batch, ADBC, a thread": _Way(lambda path: asyncio.to_thread(by_batches, path)),
    }


async def _psycopg(dsn: str, written: str, opened: AsyncExitStack) -> Callable[[Path], Awaitable[object]]:
    from psycopg import AsyncConnection

    connection = await opened.enter_async_context(await AsyncConnection.connect(dsn, autocommit=True))

    async def write(path: Path) -> None:
        with path.open("wb") as file:
            async with connection.cursor().copy(f"COPY users TO STDOUT (FORMAT {written})") as copy:  # type: ignore[arg-type]
                async for piece in copy:
                    file.write(piece)

    return write


async def _psql(dsn: str, written: str, path: Path) -> None:
    command = rf"\copy users to '{path}' (format {written})"
    process = await asyncio.create_subprocess_exec("psql", "-qX", dsn, "-c", command)
    await process.wait()


async def _stream(db: DatabasePool, path: Path) -> None:
    with path.open("w", newline="") as file:
        write = csv.writer(file).writerow
        async with aclosing(db.stream("select * from users limit $1", _STREAMED_ROWS)) as rows:
            async for row in rows:
                write(row)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, seen in results.items():
        for written, found in seen.items():
            base, rows = BASES[written], []
            for name, rounds in found.items():
                ratios = _ratios(found, name, base)
                lag_ms = median(each["lag_s"] for each in rounds) * 1e3
                per_s = ROWS / median(each["s"] for each in rounds)
                figures = (f"{per_s:,.0f}", f"{median(ratios):.2f} x", f"{min(ratios):.2f} x", f"{lag_ms:.1f} ms")
                rows.append((name, *figures))
            columns = ("", "rows/s", f"of {base}", "worst round", "loop away, longest")
            yield Table(f"{loop}: a table of {ROWS:,} rows into a file, {written}", columns, rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, seen in results.items():
        for written, found in seen.items():
            if BASES[written] == BASE:
                what = f"{loop}: export over two connections over one COPY TO, {written}"
                yield judge(what, median(_ratios(found, OURS, BASE)), FASTER)


def _ratios(found: Mapping[str, list[dict[str, float]]], name: str, base: str) -> list[float]:
    """How many times as fast as the base it was, round by round."""
    return [least["s"] / each["s"] for least, each in zip(found[base], found[name], strict=True)]
