"""Whom a step waits for, seen by a second connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

from dbpool.migrate.connecting import connected
from dbpool.migrate.reports import Blocker, Waiting

if TYPE_CHECKING:
    from dbpool.migrate.run import Run

    Row = tuple[int, str, str, str, float]

FIRST_LOOK_S = 0.5  # most runs end before it
LOOKS_A_TRY = 4  # so that none is missed
LEAST_S, MOST_S = 0.05, 0.5  # between two looks

_BLOCKERS = """
SELECT pid, coalesce(application_name, '') AS application, coalesce(state, '') AS state,
       left(coalesce(query, ''), 80) AS query, coalesce(extract(epoch FROM now() - xact_start), 0)::float8 AS for_s
FROM pg_stat_activity WHERE pid = ANY (pg_blocking_pids({pid})) ORDER BY xact_start
"""


@asynccontextmanager
async def watching(run: Run) -> AsyncIterator[None]:
    """Keep ``run.blockers`` up to date for the length of the block; without a connection to spare nothing is seen."""
    if run.dsn is None:
        yield
        return
    task = asyncio.create_task(_watch(run, run.dsn))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, Exception):
            await task


async def _watch(run: Run, dsn: str) -> None:
    every_s = min(max(run.table_locks.timeout_s / LOOKS_A_TRY, LEAST_S), MOST_S)
    await asyncio.sleep(FIRST_LOOK_S)
    async with connected(dsn) as connection:
        while True:
            if (running := run.running) is not None and run.pid is not None:
                rows: list[Row] = [
                    tuple(row) for row in await connection.exec_driver_sql(_BLOCKERS.format(pid=run.pid))
                ]
                await connection.rollback()
                if rows:
                    run.blockers = tuple(
                        Blocker(pid, name, state, query, for_s) for pid, name, state, query, for_s in rows
                    )
                    run.tell(Waiting(running, run.blockers))
            await asyncio.sleep(every_s)
