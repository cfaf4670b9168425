"""The demo's acts, in order."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from time import perf_counter
from typing import TypeVar

import dbpool
from dbpool import DatabasePool, migrate
from dbpool.demo.database import OwnDatabase, own_database, server
from dbpool.demo.exhaustion import CONNECTIONS, MAX_WAITING, exhaust
from dbpool.demo.loading import Facts, Loading
from dbpool.demo.pictures import LoadingPicture, WorkloadPicture
from dbpool.demo.plan import Plan
from dbpool.demo.report import DataSet, Money, Pool, Refusals, Report, Setting, Speeds, Work
from dbpool.demo.screen import Screen
from dbpool.demo.shop import SHOP
from dbpool.demo.speeds import Racing
from dbpool.demo.transfers import TELLERS, TRANSFERS, Transfers
from dbpool.demo.watch import ServerCount, watching
from dbpool.demo.words import count, milliseconds, money, percent, seconds
from dbpool.demo.workload import Workload

T = TypeVar("T")

PATIENCE_S = 600.0  # the last of very many callers waits long; what a time-out looks like is an act of its own


class Story:
    """One showing; ``tell`` it once."""

    def __init__(self, plan: Plan, screen: Screen, started_at: float) -> None:
        self._plan = plan
        self._screen = screen
        self._started_at = started_at
        self._first_result_s = 0.0

    async def tell(self) -> Report:
        """Show every act on a database made for it; nothing is left of it, however this ends."""
        plan, screen = self._plan, self._screen
        people = f"{count(plan.callers, 'caller')} on {count(plan.connections, 'connection')}"
        screen.title("dbpool demo", f"{people}, {count(plan.orders, 'order')}, seed {plan.seed}")
        screen.act("1  A server, a schema, a first answer")
        # while the server starts, mostly in a process of its own: they are half of what is needed until a first answer
        imported = asyncio.get_running_loop().run_in_executor(None, _import_migrations)
        starting = "starting an embedded PostgreSQL" if plan.dsn is None else "connecting"
        async with (
            _shown(screen, server(plan), starting, "stopping the embedded PostgreSQL") as dsn,
            _shown(screen, own_database(dsn, plan.connections), "making a database", "dropping the database") as own,
        ):
            kind = "an embedded" if plan.dsn is None else "your"
            screen.done(f"{kind} PostgreSQL {own.server_version}, in it a database for this demo only", self._clock_s())
            with screen.busy("migrating"):
                await imported
                await migrate.upgrade(own.dsn, folder=SHOP)
            screen.done("tables and indexes, made by dbpool.migrate", self._clock_s())
            return await self._tell_on(own)

    async def _tell_on(self, own: OwnDatabase) -> Report:
        name = {"application_name": own.name}
        pool = DatabasePool(
            own.dsn, self._plan.connections, name="demo", acquire_timeout=PATIENCE_S, server_settings=name
        )
        async with watching(own.watcher, own.name) as server_count, pool as db:
            data = await self._load(db)
            work = await self._serve(db, server_count)
            speeds = await self._race(db)
            money_moved = await self._transfer(db)
            refusals = await self._exhaust(own)
            needed = _needed(db, server_count)
        setting = Setting(
            dbpool_version=dbpool.__version__,
            server_version=own.server_version,
            embedded=self._plan.dsn is None,
            seed=self._plan.seed,
            bound=self._plan.connections,
            callers=self._plan.callers,
            first_result_s=self._first_result_s,
            total_s=self._clock_s(),
        )
        return Report(setting, data, work, speeds, needed, money_moved, refusals)

    async def _load(self, db: DatabasePool) -> DataSet:
        plan, screen = self._plan, self._screen
        loading = Loading(db, plan)
        best = await loading.load_first()
        self._first_result_s = self._clock_s()
        screen.done(f"first answer: the best customers of {count(loading.rows, 'order')} so far", self._first_result_s)
        screen.table(
            ("customer", "region", "orders", "revenue"),
            [(row["name"], row["region"], f"{row['orders']:,}", money(row["amount_cents"])) for row in best],
        )

        screen.act(f"2  {count(plan.orders, 'order')}, copied through the pool")
        picture = LoadingPicture(loading, plan)
        with screen.live(picture.picture, picture.line):
            await loading.load_rest()
        with screen.busy("looking at what is there"):
            facts = await loading.facts()
        data = DataSet(
            orders=facts.orders,
            customers=facts.customers,
            load_s=loading.took_s,
            load_rows_per_s=facts.orders / loading.took_s,
            dataset_checksum=facts.checksum,
        )
        self._say_loaded(data, facts)
        return data

    def _say_loaded(self, data: DataSet, facts: Facts) -> None:
        screen = self._screen
        screen.done(
            f"{count(data.orders, 'order')} of {count(data.customers, 'customer')}, "
            f"{data.load_rows_per_s:,.0f} orders a second",
            data.load_s,
        )
        best = count(facts.best_customers, "customer")
        screen.done(f"skewed as in life: the best {best} placed {percent(facts.best_share)} of them")
        screen.done(
            f"{percent(facts.shipped_share)} shipped; amounts around {money(facts.median_cents)}, "
            f"the largest {money(facts.largest_cents)}"
        )
        screen.done(f"checksum {data.dataset_checksum}, the same whenever the seed is {self._plan.seed}")

    async def _serve(self, db: DatabasePool, server_count: ServerCount) -> Work:
        plan, screen = self._plan, self._screen
        people = f"{count(plan.callers, 'caller')}, {count(plan.connections, 'connection')}"
        screen.act(f"3  {people}, {plan.seconds:g} seconds")
        workload = Workload(db, plan)
        picture = WorkloadPicture(workload, server_count, db, plan)
        with screen.live(picture.picture, picture.line):
            await workload.run()
        work = workload.outcome()
        screen.done(f"{work.queries:,} queries, {work.throughput_per_s:,.0f} a second", work.queries_s)
        screen.done(
            f"half took under {milliseconds(work.p50_ms)}, 99 of 100 under {milliseconds(work.p99_ms)}; "
            f"{percent(work.waited_share)} of it in line"
        )
        return work

    async def _race(self, db: DatabasePool) -> Speeds:
        screen = self._screen
        screen.act("4  The same lookups, one by one and together")
        with screen.busy("looking single orders up, in three ways"):
            started_at = perf_counter()
            speeds = await Racing(db, self._plan).run()
            took_s = perf_counter() - started_at
        alone = speeds.lookups_alone_per_s
        ways = [
            ("each a statement", f"{count(self._plan.callers, 'caller')}: db.fetchrow()", alone),
            ("coalesced", "the same, coalesce=True", speeds.lookups_coalesced_per_s),
            ("mapped", "one db.map_row()", speeds.lookups_mapped_per_s),
        ]
        screen.table(
            ("", "", "lookups a second", ""),
            [(name, how, f"{per_s:,.0f}", f"{per_s / alone:.1f} x") for name, how, per_s in ways],
        )
        screen.done(f"on the same {count(self._plan.connections, 'connection')}", took_s)
        return speeds

    async def _transfer(self, db: DatabasePool) -> Money:
        screen = self._screen
        screen.act("5  Transactions that conflict are run again")
        transfers = Transfers(db, self._plan)
        before = await transfers.open_accounts()
        with screen.busy(f"{TRANSFERS} transfers between two accounts, {TELLERS} at a time"):
            started_at = perf_counter()
            await transfers.run()
            took_s = perf_counter() - started_at
        after = await transfers.balance()
        screen.done(f"{transfers.done} transfers between the same two accounts, {TELLERS} at a time", took_s)
        conflicts = f"{count(transfers.retries, 'conflict')} refused by the server (serializable)"
        screen.done(f"{conflicts}, each run again by db.run()" if transfers.retries else conflicts)
        if after == before:
            screen.done(f"{money(before)} in both accounts before, {money(after)} after")
        return Money(
            transfers=transfers.done,
            transfer_retries=transfers.retries,
            balance_before_cents=before,
            balance_after_cents=after,
        )

    async def _exhaust(self, own: OwnDatabase) -> Refusals:
        screen = self._screen
        screen.act(f"6  An exhausted pool: {CONNECTIONS} connections, both held, a line for {MAX_WAITING}")
        with screen.busy("asking it all the same"):
            refusals = await exhaust(own.dsn, f"{own.name} small")
        screen.done("AcquireTimeout, for a caller with a time limit", refusals.acquire_timeout_s)
        screen.quote(refusals.acquire_timeout_message)
        screen.done("LineFull, for one who would be the fourth in line", refusals.line_full_s)
        screen.quote(refusals.line_full_message)
        screen.done(f"{refusals.served_in_line} in line were served once the connections were back")
        screen.done(f"PoolDeadlock, when {CONNECTIONS} tasks hold one each and ask for another", refusals.deadlock_s)
        screen.quote(refusals.deadlock_message)
        return refusals

    def _clock_s(self) -> float:
        return perf_counter() - self._started_at


def show_summary(screen: Screen, report: Report) -> None:
    """Print the numbers that matter, with the verdict."""
    setting, work, pool, problems = report.setting, report.work, report.pool, report.problems()
    screen.act("Summary")
    screen.facts(
        [
            ("data", f"{report.data.orders:,} orders, {report.data.customers:,} customers"),
            ("first answer", f"{seconds(setting.first_result_s)} after the start"),
            ("throughput", f"{work.throughput_per_s:,.0f} queries a second"),
            (
                "latency",
                f"p50 {milliseconds(work.p50_ms)}   p90 {milliseconds(work.p90_ms)}   p99 {milliseconds(work.p99_ms)}",
            ),
            ("in line", f"{work.waited:,} of {work.queries:,} queries, {percent(work.waited_share)} of their time"),
            ("handed on", f"{pool.handed_on:,} times from caller to caller, {count(pool.resets, 'session reset')}"),
            ("conflicts", f"{report.money.transfer_retries} of them, run again"),
            ("connections", f"{pool.connects} opened; the bound is {setting.bound}"),
        ]
    )
    for problem in problems:
        screen.failed(problem)
    if not problems:
        screen.done(
            f"the server itself never counted more than {count(pool.server_connections_max, 'connection')}, "
            f"in {count(pool.server_connections_looks, 'look')}"
        )
    screen.done(f"all of it took {seconds(setting.total_s)}")


def _import_migrations() -> None:
    with suppress(ImportError):  # dbpool.migrate will say it better
        importlib.import_module("dbpool.migrate.moving")
        importlib.import_module("sqlalchemy.ext.asyncio")


def _needed(db: DatabasePool, server_count: ServerCount) -> Pool:
    stats = db.stats()
    return Pool(
        server_connections_max=server_count.most,
        server_connections_looks=server_count.looks,
        handed_on=stats.handed_on_total,
        resets=stats.resets_total,
        connects=stats.connects_total,
        discarded=stats.discarded_total,
    )


@asynccontextmanager
async def _shown(
    screen: Screen, manager: AbstractAsyncContextManager[T], entering: str, leaving: str
) -> AsyncIterator[T]:
    """The same as *manager*, telling what its beginning and end are about."""
    with screen.busy(entering):
        value = await manager.__aenter__()
    try:
        yield value
    except BaseException as error:
        with screen.busy(leaving):
            await manager.__aexit__(type(error), error, error.__traceback__)
        raise
    with screen.busy(leaving):
        await manager.__aexit__(None, None, None)
