"""What a job's ledger costs, and how quickly a job that is done passes over its items."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from itertools import count
from statistics import median
from typing import Any, Final

from bench import process
from bench.order import order_of_round
from bench.process import MeasurementFailed, progress
from bench.tables import Table
from bench.targets import Judged, Target, judge
from dbpool import DatabasePool, migrate
from dbpool.core.grouping import MOST

COST: Final = Target(at_most=5.0, unit=" %")
RERUN: Final = Target(at_least=1e6, unit=" items/s")
CONNECTIONS: Final = 2
CHUNK: Final = 500
SQL: Final = "update priced set price = $2 where id = $1"
LABELS: Final = {
    "job": "dbpool, db.job(), exactly once",
    "plain": "the same by db.executemany(), no ledger",
    "large": "the same in transactions as large as a job's may become",
    "psycopg": "psycopg, cursor.executemany(), no ledger",
}

# Room for the new version of each row on its page, and a clean table before each block, so that all write alike.
_TABLE: Final = """
create table if not exists priced (id int primary key, price float8 not null) with (fillfactor = 45);
create table if not exists never (id int primary key);
truncate priced
"""
_FILL: Final = "insert into priced select n, 0 from generate_series(1, $1::int) as n"

Item = tuple[int, float]
Write = Callable[[Sequence[Item]], Awaitable[object]]


def measure_rounds(request: dict[str, Any], *, loop: str) -> list[dict[str, Any]]:
    """What ``measure`` says of each round, each in a process of its own.

    Args:
        request: ``dsn``, ``label``, ``rounds``, ``items`` (of each block), ``again`` (of the job that is run again).
    """
    rounds = []
    for number in range(request["rounds"]):
        progress(f"{request['label']}: jobs, round {number + 1} of {request['rounds']}")
        rounds.append(process.measure("jobs", {**request, "number": number}, loop=loop))
    if not rounds:
        raise MeasurementFailed("no rounds of jobs")
    return rounds


async def measure(request: dict[str, Any]) -> dict[str, float]:
    """Items a second of each of LABELS, and of two runs of a job that is done: with and without digests."""
    dsn, items = request["dsn"], [(n, n * 0.01) for n in range(1, request["items"] + 1)]
    await migrate.upgrade(dsn)
    async with AsyncExitStack() as stack:
        db = await stack.enter_async_context(
            DatabasePool(dsn, max_connections=CONNECTIONS, min_connections=CONNECTIONS)
        )
        names = (f"{request['label']} {request['number']} {n}" for n in count())  # a job that is done does nothing
        writes: dict[str, Write] = {
            "job": lambda some: _as_job(db, next(names), some),
            "plain": partial(_by_chunks, lambda chunk: db.executemany(SQL, chunk)),
            "large": partial(_by_chunks, lambda chunk: db.executemany(SQL, chunk), size=MOST * CHUNK),
            "psycopg": await stack.enter_async_context(_psycopg(dsn)),
        }
        per_s: dict[str, float] = {}
        await _make_clean(db, CHUNK)
        for write in writes.values():  # plans and types are known from here on
            await write(items[: CONNECTIONS * CHUNK])
        for name in order_of_round(list(writes), request["number"]):
            await _make_clean(db, len(items))
            per_s[name] = await _per_s(partial(writes[name], items), len(items))
        return per_s | await _again(db, request["again"], next(names))


async def _as_job(db: DatabasePool, name: str, items: Sequence[Item]) -> None:
    result = await db.job(name, SQL, items, chunk=CHUNK, at_once=CONNECTIONS).run()
    assert result.done == len(items), result


async def _again(db: DatabasePool, items: int, name: str) -> dict[str, float]:
    keys = range(items)

    async def run(*, trust: bool) -> None:
        await db.job(name, "delete from never where id = $1", keys, chunk=CHUNK, trust=trust).run()

    await run(trust=False)
    return {
        "again": await _per_s(partial(run, trust=False), items),
        "trust": await _per_s(partial(run, trust=True), items),
    }


async def _make_clean(db: DatabasePool, items: int) -> None:
    await db.execute(_TABLE)
    await db.execute(_FILL, items)
    await db.execute("vacuum analyze priced")
    await db.execute("checkpoint")


async def _per_s(work: Callable[[], Awaitable[object]], items: int) -> float:
    gc.collect()
    began = time.perf_counter()
    await work()
    return items / (time.perf_counter() - began)


async def _by_chunks(send: Write, items: Sequence[Item], size: int = CHUNK) -> None:
    """Whole chunks, by as many tasks as there are connections."""
    starts = iter(range(0, len(items), size))

    async def work() -> None:
        for start in starts:
            await send(items[start : start + size])

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))


@asynccontextmanager
async def _psycopg(dsn: str) -> AsyncIterator[Write]:
    from psycopg_pool import AsyncConnectionPool

    sql = "update priced set price = %s where id = %s"
    async with AsyncConnectionPool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False, timeout=60) as pool:
        await pool.wait()

        async def send(chunk: Sequence[Item]) -> None:
            async with pool.connection() as connection, connection.cursor() as cursor:
                await cursor.executemany(sql, [(price, key) for key, price in chunk])

        yield partial(_by_chunks, send)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, rounds in results.items():
        rows = [
            (label, f"{median(each[name] for each in rounds):,.0f}", f"{median(_ratios(rounds, name, 'plain')):.2f} x")
            for name, label in LABELS.items()
        ]
        rows += [
            ("a job that is done, run again", f"{median(each['again'] for each in rounds):,.0f}", ""),
            ("the same with trust=True, no digests", f"{median(each['trust'] for each in rounds):,.0f}", ""),
        ]
        title = f"{loop}: updates by key in chunks of {CHUNK}, {CONNECTIONS} connections"
        yield Table(title, ("by", "items/s", "of no ledger"), rows)


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, rounds in results.items():
        for than, what in (("plain", "executemany of its chunks"), ("large", "executemany in its transactions")):
            cost = 100 * (1 - median(_ratios(rounds, "job", than)))
            yield judge(f"{loop}: what a job's ledger takes off the items a second of {what}", cost, COST)
        yield judge(f"{loop}: a job that is done, run again", median(each["again"] for each in rounds), RERUN)


def _ratios(rounds: Sequence[Mapping[str, float]], name: str, than: str) -> list[float]:
    return [each[name] / each[than] for each in rounds]
