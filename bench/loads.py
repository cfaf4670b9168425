"""Loads into a table beside psql's, the driver's and others', and how long each keeps its event loop."""

from __future__ import annotations

import asyncio
import gc
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench.order import order_of_round
from bench.process import MeasurementFailed, progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool import DatabasePool

if TYPE_CHECKING:
    import pyarrow as pa

PSQL: Final = "CSV: psql \\copy"
COPY_RECORDS: Final = "records: asyncpg's copy_records_to_table"
PSYCOPG: Final = "records: psycopg's COPY, row by row"
PGPQ: Final = "Arrow: pgpq, then asyncpg's copy_to_table"
ADBC: Final = "Arrow: ADBC's adbc_ingest, in a thread"
CSV_1: Final = "CSV: db.load, one connection"
CSV_4: Final = "CSV: db.load, four connections"
RECORDS_1: Final = "records: db.load, one connection"
RECORDS: Final = "records: db.load"
ARROW: Final = "Arrow: db.load, four connections"
ARRAYS: Final = "numpy: db.load, four connections"

BESIDE: Final = {  # whose seconds ours are compared with
    CSV_1: (PSQL, Target(at_least=0.95, unit=" x")),
    CSV_4: (PSQL, Target(at_least=1.8, unit=" x")),
    RECORDS: (COPY_RECORDS, Target(at_least=1.0, unit=" x")),
}
STALL: Final = Target(at_most=10.0, unit=" ms")
TABLE: Final = "loads_here"
NEW_YEAR: Final = datetime(2024, 1, 1, tzinfo=UTC)

Way = Callable[[], Awaitable[object]]


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    """Every way in every round, into an empty table.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``rows``.
    Returns: by way, for each round ``s`` (seconds) and ``stall_ms`` (the most of its own processor time that the
        loop's thread took between two turns of another task).
    """
    dsn, rows = request["dsn"], request["rows"]
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        db = await stack.enter_async_context(DatabasePool(dsn, max_connections=4, min_connections=4))
        await db.execute(f"create table {TABLE} (id int, name text, x float8, at timestamptz)")
        stack.push_async_callback(db.execute, f"drop table {TABLE}")
        ways = _ways(db, dsn, rows, folder)
        runs: dict[str, list[dict[str, float]]] = {name: [] for name in ways}
        gc.collect()
        gc.freeze()  # a full collection stops everybody, whoever loads
        for number in range(-1, request["rounds"]):  # the first one warms up: imports, the file in memory
            progress(f"{request['label']}: loads, round {number + 1} of {request['rounds']}")
            for name in order_of_round(list(runs), number):
                await db.execute(f"truncate {TABLE}")
                run = await _timed(ways[name])
                if await db.fetchval(f"select count(*) from {TABLE}") != rows:
                    raise MeasurementFailed(f"{name} did not load all rows")
                if number >= 0:
                    runs[name].append(run)
    return {"rows": rows, "runs": runs}


async def _timed(way: Way) -> dict[str, float]:
    longest_s = 0.0

    async def look() -> None:
        nonlocal longest_s
        while True:
            seen = time.thread_time()
            await asyncio.sleep(0.001)  # not 0: it would take the time that it measures from those it measures
            longest_s = max(longest_s, time.thread_time() - seen)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0)
    started = time.perf_counter()
    await way()
    seconds = time.perf_counter() - started
    looking.cancel()
    return {"s": seconds, "stall_ms": longest_s * 1e3}


def _ways(db: DatabasePool, dsn: str, rows: int, folder: Path) -> dict[str, Way]:
    import numpy as np
    import pyarrow as pa

    file = folder / "rows.csv"
    file.write_text("".join(f"{n},user {n},{n / 7},2024-01-01 00:00:00+00\n" for n in range(rows)))
    records = [(n, f"user {n}", n / 7, NEW_YEAR) for n in range(rows)]
    names = ["id", "name", "x", "at"]
    arrow = pa.table(dict(zip(names, map(list, zip(*records, strict=True)), strict=True)))
    arrow = arrow.set_column(0, "id", arrow["id"].cast(pa.int32()))
    arrays = {"id": np.arange(rows, dtype="i4"), "x": np.arange(rows) / 7, "at": np.full(rows, "2024-01-01", "M8[us]")}

    async def copy_records() -> None:
        async with db.acquire() as connection:
            await connection.copy_records_to_table(TABLE, records=records)

    ways: dict[str, Way] = {
        CSV_1: lambda: db.load(TABLE, file, header=False, at_once=1),
        CSV_4: lambda: db.load(TABLE, file, header=False),
        COPY_RECORDS: copy_records,
        RECORDS_1: lambda: db.load(TABLE, records, at_once=1),
        RECORDS: lambda: db.load(TABLE, records),
        PSYCOPG: lambda: _by_psycopg(dsn, records),
        PGPQ: lambda: _by_pgpq(db, arrow),
        ADBC: lambda: asyncio.to_thread(_by_adbc, dsn, arrow),
        ARROW: lambda: db.load(TABLE, arrow),
        ARRAYS: lambda: db.load(TABLE, arrays),
    }
    if shutil.which("psql") is None:
        progress("psql is left out: not installed")
        return ways
    return {PSQL: lambda: _by_psql(dsn, file), **ways}


async def _by_psql(dsn: str, file: Path) -> None:
    process = await asyncio.create_subprocess_exec("psql", dsn, "-qXc", f"\\copy {TABLE} from '{file}' csv")
    if await process.wait():
        raise MeasurementFailed("psql failed, see above")


async def _by_psycopg(dsn: str, records: list[tuple[object, ...]]) -> None:
    import psycopg

    async with await psycopg.AsyncConnection.connect(dsn) as connection, connection.cursor() as cursor:
        async with cursor.copy(f"copy {TABLE} from stdin (format binary)") as copy:
            copy.set_types(["int4", "text", "float8", "timestamptz"])
            for record in records:
                await copy.write_row(record)


def _by_adbc(dsn: str, table: pa.Table) -> None:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(dsn, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.adbc_ingest(TABLE, table, mode="append")


async def _by_pgpq(db: DatabasePool, table: pa.Table) -> None:
    import pgpq

    encoder = pgpq.ArrowToPostgresBinaryEncoder(table.schema)

    async def pieces() -> AsyncIterator[bytes]:
        yield encoder.write_header()
        for batch in table.to_batches(max_chunksize=8192):
            yield encoder.write_batch(batch)
        yield encoder.finish()

    async with db.acquire() as connection:
        await connection.copy_to_table(TABLE, source=pieces(), format="binary")


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    columns = ("from, by", "rows/s", "faster than its peer", "longest stall", "worst round")
    for loop, measured in results.items():
        rows = []
        for name, runs in measured["runs"].items():
            peer = BESIDE.get(name, ("", None))[0]
            stalls = [run["stall_ms"] for run in runs]
            stall = ("", "") if name == PSQL else (f"{median(stalls):.1f} ms", f"{max(stalls):.1f} ms")
            rows.append(
                (
                    name,
                    f"{measured['rows'] / median(run['s'] for run in runs):,.0f}",
                    f"{_ratio(measured, name, peer):.2f} x" if peer in measured["runs"] else "",
                    *stall,
                )
            )
        yield Table(f"{loop}: {measured['rows']:,} rows into an empty table without an index", columns, rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for name, (peer, target) in BESIDE.items():
            if peer in measured["runs"]:
                yield judge(f"{loop}, {name}, over {peer}", _ratio(measured, name, peer), target)
        stall_ms = median(run["stall_ms"] for run in measured["runs"][RECORDS])
        yield judge(f"{loop}, {RECORDS}: longest stall of the loop", stall_ms, STALL)


def _ratio(measured: Mapping[str, Any], name: str, peer: str) -> float:
    """The median of the rounds' ratios."""
    pairs = zip(measured["runs"][peer], measured["runs"][name], strict=True)
    return median(theirs["s"] / ours["s"] for theirs, ours in pairs)
