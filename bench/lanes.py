"""What lanes and reports cost: the same lookups without them and with all of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import asdict
from functools import partial
from statistics import median
from typing import Any, Final

from bench import process
from bench.contenders import CONNECTIONS, SQL, Access
from bench.lookups import Block, random_keys, run_block
from bench.order import order_of_round
from bench.process import progress
from bench.ratios import as_table, lines
from bench.tables import Table
from bench.targets import TARGET_TASKS, Judged, Target, judge
from dbpool import DatabasePool

KEPT: Final = Target(at_least=0.97, unit=" x")
REPORT_EVERY_S: Final = 0.1

PLAIN: Final = "dbpool"
WITH_ALL: Final = "dbpool-lanes"


def measure_often(request: dict[str, Any], *, loop: str) -> dict[str, Any]:
    """The rounds of several processes.

    Args:
        request: ``dsn``, ``label``, ``processes``, ``rounds`` (of a process), ``lookups`` (a block).
    Returns: ``blocks``, and ``report_s``, the median time of a report.
    """
    blocks, reports = [], []
    for number in range(request["processes"]):
        progress(f"{request['label']}: lanes and reports, process {number + 1} of {request['processes']}")
        measured = process.measure("lanes", {**request, "first": number * request["rounds"]}, loop=loop)
        blocks += measured["blocks"]
        reports.append(measured["report_s"])
    return {"blocks": blocks, "report_s": median(reports)}


async def measure(request: dict[str, Any]) -> dict[str, Any]:
    """The same connections by no lane, then by three, block by block in turn.

    Two pools, even two in one process, differ by more than is to be seen here: in where their server processes are.
    So it is one pool, and what cannot be had and not had at once is there for both: ``leak_after``, which looks at the
    holders now and then, and that lanes are declared, which costs nothing before somebody comes by them.
    """
    blocks: list[dict[str, Any]] = []
    reports: list[float] = []
    async with DatabasePool(
        request["dsn"], max_connections=CONNECTIONS, min_connections=CONNECTIONS, leak_after=REPORT_EVERY_S
    ) as db:
        lanes = [db.lane("web"), db.lane("jobs", at_most=6), db.lane("others")]
        accesses = {
            PLAIN: Access((partial(db.fetchrow, SQL),)),
            WITH_ALL: Access(tuple(partial(lane.fetchrow, SQL) for lane in lanes)),
        }
        for access in accesses.values():
            await run_block(access, TARGET_TASKS, random_keys(request["lookups"]))
        for number in range(request["rounds"]):
            for name in order_of_round(list(accesses), number):
                keys = random_keys(request["lookups"])
                async with _reports(db, reports) if name == WITH_ALL else nullcontext():
                    figures = await run_block(accesses[name], TARGET_TASKS, keys)
                blocks.append(asdict(Block(name, TARGET_TASKS, request["first"] + number, len(keys), *figures)))
    return {"blocks": blocks, "report_s": median(reports)}


@asynccontextmanager
async def _reports(db: DatabasePool, seconds: list[float]) -> AsyncIterator[None]:
    """Listen to events and ask for reports meanwhile; note what each took."""
    stop_listening = db.on_event(lambda _: None)
    reporting = asyncio.create_task(_report_on(db, seconds))
    try:
        yield
    finally:
        reporting.cancel()
        stop_listening()


async def _report_on(db: DatabasePool, seconds: list[float]) -> None:
    await asyncio.sleep(0)  # until everybody has asked
    while True:
        started = time.perf_counter()
        db.report()
        seconds.append(time.perf_counter() - started)
        await asyncio.sleep(REPORT_EVERY_S)


def tables(results: Mapping[str, Any]) -> Iterator[Table]:
    for loop, measured in results.items():
        title = f"{loop}: lanes, and a report of {measured['report_s'] * 1e3:.1f} ms ten times a second"
        found = lines(measured["blocks"], TARGET_TASKS, ours=WITH_ALL)
        yield as_table(title, found, ours={WITH_ALL}, targets={PLAIN: KEPT}, claim="of that")


def judged(results: Mapping[str, Any]) -> Iterator[Judged]:
    for loop, measured in results.items():
        for line in lines(measured["blocks"], TARGET_TASKS, ours=WITH_ALL):
            if line.contender == PLAIN:
                yield judge(f"{loop}, {TARGET_TASKS} tasks: with lanes and reports over without", line.ratio, KEPT)
