"""The demo's acts, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from time import perf_counter
from typing import TypeVar

import dbpool
from dbpool import DatabasePool, PoolStats, migrate
from dbpool.demo.database import OwnDatabase, own_database, server
from dbpool.demo.exhaustion import MAX_WAITING, TIMEOUT_S, Exhaustion, exhaust
from dbpool.demo.loading import Facts, Loading
from dbpool.demo.pictures import LoadingPicture, WorkloadPicture
from dbpool.demo.plan import DemoError, Plan
from dbpool.demo.report import Report
from dbpool.demo.screen import Screen
from dbpool.demo.transfers import TELLERS, TRANSFERS, Transfers
from dbpool.demo.watch import ServerCount, watching
from dbpool.demo.words import count, milliseconds, money, percent, seconds
from dbpool.demo.workload import Latency, Workload

T = TypeVar("T")

PATIENCE_S = 600.0  # the last of very many callers may wait long; this is no demo of time-outs, act 5 is


class Story:
    """One showing; ``tell`` it once."""

    def __init__(self, plan: Plan, screen: Screen, started_at: float) -> None:
        self._plan = plan
        self._screen = screen
        self._started_at = started_at

    async def tell(self) -> Report:
        """Show every act on a database made for it; nothing is left of it, however this ends."""
        plan, screen = self._plan, self._screen
        screen.title(
            "dbpool demo",
            f"{count(plan.callers, 'caller')}, {count(plan.connections, 'connection')}, {count(plan.orders, 'order')}",
        )
        screen.act("1  A server, and a first answer")
        starting = "starting an embedded PostgreSQL" if plan.dsn is None else "connecting"
        async with (
            _shown(screen, server(plan), starting, "stopping the embedded PostgreSQL") as dsn,
            _shown(screen, own_database(dsn, plan.connections), "making a database", "dropping the database") as own,
        ):
            return await self._tell_on(own)

    async def _tell_on(self, own: OwnDatabase) -> Report:
        plan, screen = self._plan, self._screen
        kind = "an embedded" if plan.dsn is None else "your"
        screen.done(f"{kind} PostgreSQL {own.server_version}, with a database of its own for this", self._clock())
        async with screen.busy("migrating"):
            await migrate.upgrade(own.dsn)
        screen.done("tables and indexes, by dbpool.migrate", self._clock())
        async with (
            DatabasePool(
                own.dsn,
                plan.connections,
                name="demo",
                acquire_timeout=PATIENCE_S,
                server_settings={"application_name": own.name},
            ) as db,
            watching(own.watcher, own.name) as server_count,
        ):
            loading = Loading(db, plan)
            first_result_s = await self._first_result(loading)
            facts, load_s = await self._load(loading)
            workload = await self._serve(db, server_count)
            transfers, before, after = await self._transfer(db)
            exhaustion = await self._exhaust(own)
            stats = db.stats()
        return self._report(
            own, stats, server_count, first_result_s, facts, load_s, workload, transfers, (before, after), exhaustion
        )
