"""Processes that share a budget, with a role that may open as many connections as oracle: one more is refused."""

from __future__ import annotations

import asyncio
import random
import sys
from asyncio.subprocess import PIPE, Process, create_subprocess_exec
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

import pytest

from dbpool import DatabasePool, FleetFull, ServerUnavailable, SettingsError
from dbpool.fleet import LOOK_EVERY_S
from tests.docs.guide import ROOT
from tests.support.databases import Database
from tests.support.pools import becomes, role_in, witness_of
from tests.support.proxy import Do, Message, proxy_before

BUDGET, MEMBERS, MOST = 30, 8, 20
SLOTS = BUDGET - MEMBERS - 1
PATIENCE_S = 40.0  # for eight processes to start, which are right about their shares two seconds later


class Worker:
    """One process of the fleet, and what it said."""

    def __init__(self, process: Process) -> None:
        self.process = process
        self.capacity = 0
        self.refusals: list[str] = []
        self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self.process.stdout is not None
        while line := (await self.process.stdout.readline()).decode():
            said, _, rest = line.strip().partition(" ")
            if said == "capacity":
                self.capacity = int(rest)
            else:
                self.refusals.append(rest)

    async def kill(self) -> None:
        with suppress(ProcessLookupError):  # it was killed before
            self.process.kill()
        await self.process.wait()
        await self._reading


async def started(dsn: str) -> Worker:
    arguments = ("-m", "tests.fleet.worker", dsn, str(BUDGET), str(MEMBERS), str(MOST))
    return Worker(await create_subprocess_exec(sys.executable, *arguments, cwd=ROOT, stdout=PIPE))


@asynccontextmanager
async def workers_of(dsn: str, count: int) -> AsyncIterator[list[Worker]]:
    workers: list[Worker] = []
    try:
        workers += await asyncio.gather(*(started(dsn) for _ in range(count)))
        yield workers
    finally:
        for worker in workers:
            await worker.kill()


async def test_eight_processes_killed_and_restarted_keep_to_the_budget_and_share_it(database: Database) -> None:
    rng = random.Random(7)
    async with role_in(database, limit=BUDGET) as dsn, workers_of(dsn, MEMBERS) as workers:
        refusals: list[str] = []
        fair = [SLOTS // MEMBERS, SLOTS // MEMBERS + 1]
        await becomes(lambda: all(worker.capacity in fair for worker in workers), PATIENCE_S)
        for _ in range(3):
            victim = rng.choice(workers)
            workers.remove(victim)
            await victim.kill()
            refusals += victim.refusals
            await asyncio.sleep(rng.uniform(0.3, 1.0))
            workers.append(await started(dsn))
        await becomes(lambda: all(worker.capacity in fair for worker in workers), PATIENCE_S)
        assert sum(worker.capacity for worker in workers) <= SLOTS
        for victim in workers[1:]:
            await victim.kill()
            refusals += victim.refusals
        await becomes(lambda: workers[0].capacity == min(MOST, SLOTS), PATIENCE_S)  # what the dead had returns
        assert refusals + workers[0].refusals == []


def pool(
    dsn: str, most: int = 6, budget: int = 12, members: int = 3, *, name: str = "", **options: float
) -> DatabasePool:
    return DatabasePool(dsn, most, fleet_budget=budget, fleet_members=members, name=name, **options)  # type: ignore[arg-type]


async def test_one_alone_gets_what_it_may_have_and_resize_moves_that(database: Database) -> None:
    async with pool(database.dsn) as db:
        assert db.stats().capacity == 6
        db.resize(2)
        await becomes(lambda: db.stats().capacity == 2)
        db.resize(100)
        await becomes(lambda: db.stats().capacity == 12 - 3 - 1)


async def test_an_idle_pool_leaves_its_share_to_a_busy_one(database: Database) -> None:
    async with pool(database.dsn, most=8) as one, pool(database.dsn, most=8) as two:
        await becomes(lambda: (one.stats().capacity, two.stats().capacity) == (4, 4))
        for db in (one, two):  # nobody waits until ten seconds have shown that it has no use for them
            db._sizing._membership._demand._seen.clear()  # type: ignore[union-attr] # noqa: SLF001
        calls = [asyncio.create_task(one.fetch("select pg_sleep(3)")) for _ in range(8)]
        await becomes(lambda: one.stats().capacity == 7)
        assert two.stats().capacity == 1
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


async def test_connections_that_listen_are_beside_the_budget_and_take_nothing_from_it(database: Database) -> None:
    async with AsyncExitStack() as members:
        pools, calls = [], []
        for _ in range(3):
            db = await members.enter_async_context(pool(database.dsn, most=8))
            await members.enter_async_context(db.listen("orders"))
            pools.append(db)
            calls += [asyncio.create_task(db.fetch("select pg_sleep(0.1)")) for _ in range(400)]
            await becomes(lambda: sum(each.stats().capacity for each in pools) == 8)
        await becomes(lambda: sorted(each.stats().capacity for each in pools) == [2, 3, 3])
        for call in calls:
            call.cancel()
        await asyncio.wait(calls)


async def test_looking_at_the_fleet_does_not_undo_what_an_adaptive_pool_has_found(database: Database) -> None:
    async with pool(database.dsn, adaptive=True) as db:
        permits = db._leases.gate._permits  # noqa: SLF001 - what many callers would find by trying
        permits.limit = 2
        await asyncio.sleep(3 * LOOK_EVERY_S)
        assert (db.stats().limit, db.stats().capacity) == (2, 6)
        db.resize(5)
        await becomes(lambda: (db.stats().limit, db.stats().capacity) == (5, 5))


async def test_pools_with_a_name_that_is_not_ascii_see_each_other(database: Database) -> None:
    async with pool(database.dsn, 20, 24, 4, name="магазин") as one:
        assert one.stats().capacity == 19
        async with pool(database.dsn, 20, 24, 4, name="магазин") as two:
            await becomes(lambda: sorted(db.stats().capacity for db in (one, two)) == [9, 10])


async def test_one_process_too_many_is_told_so(database: Database) -> None:
    async with pool(database.dsn, members=1, budget=5):
        with pytest.raises(FleetFull, match=r"all 1 places of its fleet are taken\. Raise fleet_members"):
            await pool(database.dsn, members=1, budget=5).open()


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize("at", ["pg_backend_pid", "set_config", "pg_try_advisory_lock", "pg_stat_activity"])
async def test_a_server_that_goes_while_a_pool_joins_is_told_as_one_that_cannot_be_reached(
    database: Database, at: str, is_silent: bool
) -> None:
    def silent(message: Message) -> Do:
        return Do.STALL if at.encode() in message.body else Do.PASS

    async with proxy_before(database.dsn) as proxy:
        if is_silent:
            proxy.rule = silent
        else:
            proxy.cut(before="Parse", says=at)
        db = pool(proxy.dsn(), reset_timeout=0.5)
        with pytest.raises(ServerUnavailable, match="cannot join its fleet") as caught:
            await db.open()
        assert not isinstance(caught.value.__cause__, ServerUnavailable | None)
        await proxy.heal()
        async with db:
            assert db.stats().capacity == 6


async def test_a_member_whose_slots_were_lost_takes_new_ones(database: Database) -> None:
    async with pool(database.dsn) as db, witness_of(database) as witness:
        membership = db._sizing._membership  # type: ignore[union-attr] # noqa: SLF001
        assert membership is not None
        lost = membership._connection  # noqa: SLF001
        by_its_name = "application_name ~ '#[0-9a-f-]+ [0-9]+/[0-9]+$'"
        await witness.run(f"select pg_terminate_backend(pid) from pg_stat_activity where {by_its_name}")
        await becomes(lambda: membership._connection not in (None, lost))  # noqa: SLF001
        assert await db.fetchval("select 1") == 1
        await becomes(lambda: (membership.slots, db.stats().capacity) == (6, 6))


async def test_a_lane_that_reserves_after_the_pool_was_opened_keeps_its_reserve(database: Database) -> None:
    async with pool(database.dsn, most=8) as one:
        lane = one.lane("pay", reserved=4)
        async with pool(database.dsn, most=8) as two:
            db = one._sizing._membership  # type: ignore[union-attr] # noqa: SLF001
            assert db is not None
            db._demand._seen.clear()  # noqa: SLF001
            calls = [asyncio.create_task(two.fetch("select pg_sleep(3)")) for _ in range(8)]
            await becomes(lambda: one.stats().capacity == 5 and db.slots == 5)
            await becomes(lambda: two.stats().capacity == 3)
            assert await lane.fetchval("select 1") == 1
            for call in calls:
                call.cancel()
            await asyncio.wait(calls)


async def test_a_slot_is_kept_for_a_permit_whose_connection_is_still_to_be_opened(database: Database) -> None:
    async with pool(database.dsn) as db:
        membership = db._sizing._membership  # type: ignore[union-attr] # noqa: SLF001
        assert membership is not None
        permits = [db._leases.seize() for _ in range(5)]  # noqa: SLF001
        db.resize(1)
        await becomes(lambda: membership.slots == 5)
        for permit in permits:
            assert permit is not None
            db._leases.settle(permit)  # noqa: SLF001
        await becomes(lambda: membership.slots == 1)


async def test_who_cannot_take_slots_now_keeps_those_it_has(database: Database) -> None:
    async with pool(database.dsn, most=2) as db, witness_of(database) as witness:
        membership = db._sizing._membership  # type: ignore[union-attr] # noqa: SLF001
        assert membership is not None
        key, guard = membership._fleet.key, membership._fleet.guard  # noqa: SLF001
        await witness.run("select pg_advisory_lock($1, $2)", key, guard)
        db.resize(6)
        await witness.until_blocked()
        await witness.until_none_blocked()  # it has given up, for now
        assert membership.slots == 2
        await witness.run("select pg_advisory_unlock($1, $2)", key, guard)
        await becomes(lambda: db.stats().capacity == 6)


async def test_nothing_is_left_when_a_member_closes(database: Database) -> None:
    async with pool(database.dsn):
        pass
    async with witness_of(database) as witness:
        await witness.until_alone()


def test_a_budget_too_small_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"fleet_budget \(16\) must be more than twice fleet_members \(8\)"):
        DatabasePool("postgresql://h/d", fleet_budget=16)


@pytest.mark.parametrize("target", [None, "any", "standby", "prefer-standby", "read-only"])
def test_members_that_may_be_at_several_servers_are_refused(target: str | None) -> None:
    with pytest.raises(SettingsError, match="fleet_budget needs one server for all members"):
        DatabasePool("postgresql://a,b/d", fleet_budget=20, target_session_attrs=target)
    DatabasePool("postgresql://a,b/d", fleet_budget=20, target_session_attrs="primary")
    DatabasePool("postgresql://a/d", fleet_budget=20, target_session_attrs=target)
