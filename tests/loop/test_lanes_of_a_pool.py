"""Lanes of a pool: connections go from lane to lane, and limits hold for whatever its callers do."""

from __future__ import annotations

import asyncio
import random
from contextlib import AsyncExitStack

import pytest

from dbpool.connection import Want
from dbpool.core.pacing import Rate
from dbpool.core.permits import Line
from dbpool.errors import AcquireTimeout, PoolClosed, QueryTimeout
from dbpool.upkeep import LOOK_EVERY_S
from tests.support.fakes import Pool, hold, new_pool, open_pool
from tests.support.loops import SteppingLoop, now, outcomes, run, settle
from tests.support.script import NEVER, Reply, Script


async def pool_of(connections: int, script: Script | None = None, **options: object) -> Pool:
    """A pool whose connections are open, have prepared ``select``, and rest; then *script* begins."""
    pool = await open_pool(connections, None, **options)
    async with AsyncExitStack() as stack:
        for _ in range(connections):
            connection = await stack.enter_async_context(pool.leases.lease(1))
            await connection.run("select", (), Want.ROWS, 1)
    pool.driver.script = script or Script()
    return pool


async def in_line(pool: Pool, *lines: Line, sql: str = "select") -> list[asyncio.Task[object]]:
    """Have a one-shot statement wait in each, in that order."""
    tasks: list[asyncio.Task[object]] = []
    for number, line in enumerate(lines):
        tasks.append(asyncio.create_task(pool.ask(sql, f"caller {number}", line=line)))
        await settle()
    return tasks


# Connections go from lane to lane


async def test_a_connection_goes_straight_to_the_next_of_another_lane() -> None:
    pool = await pool_of(1)
    a, b = pool.lane("a"), pool.lane("b")
    with pool.counting() as counts:
        async with pool.leases.lease(1):
            tasks = await in_line(pool, a, b, a, pool.leases.gate.line)
            leases = [asyncio.create_task(hold(pool, 1, line=line)) for line in (a, b)]
            await settle()
        assert await outcomes(*tasks) == [[[f"caller {number}"]] for number in range(4)]
        assert await outcomes(*leases) == [0, 0]
    assert counts == {"sent": 4, "connects": 0, "resets": 0, "handed_on": 6}
    pool.check_at_rest()


async def test_the_next_statement_of_another_lane_is_sent_before_the_last_caller_wakes() -> None:
    pool = await pool_of(1)
    a, b = pool.lane("a"), pool.lane("b")
    sent_when_woken: list[int] = []

    async def ask(line: Line) -> None:
        await pool.ask(line=line)
        sent_when_woken.append(len(pool.driver.sent) - before)

    before = len(pool.driver.sent)
    await asyncio.gather(ask(a), ask(a), ask(b), ask(b))
    assert sent_when_woken == [2, 3, 4, 4]
    assert [pool.leases.counters.handed_on_total, a.granted_total, b.granted_total] == [3, 2, 2]
    pool.check_at_rest()


async def test_a_connection_that_another_lane_left_dirty_is_reset_first() -> None:
    pool = await pool_of(1)
    a, b = pool.lane("a"), pool.lane("b")
    with pool.counting() as counts:
        tasks = [*await in_line(pool, a, sql="sets"), *await in_line(pool, b)]
        await outcomes(*tasks)
    assert counts["resets"] == 1
    pool.check_at_rest()  # the fake saw that nobody met another's state


async def test_a_caller_cancelled_in_the_instant_of_its_grant_passes_the_connection_to_another_lane() -> None:
    pool = await pool_of(1)
    a, b = pool.lane("a"), pool.lane("b")
    async with pool.leases.lease(1):
        first = asyncio.create_task(hold(pool, line=a))
        await settle()
        (second,) = await in_line(pool, b)
    first.cancel()  # it has the connection, but is not yet awake
    await outcomes(first, second)
    assert first.cancelled()
    assert second.result() == [["caller 0"]]
    assert pool.driver.connects_tried == 1
    pool.check_at_rest()


# Limits


@pytest.mark.parametrize("sql", ["select", "not prepared", "sets"])
async def test_a_lane_at_its_most_sends_no_more_statements_at_once(sql: str) -> None:
    pool = await pool_of(4, Script(replies={sql: Reply(1.0)}))
    batch = pool.lane("batch", at_most=2)
    tasks = await in_line(pool, *[batch] * 6, sql=sql)
    assert (batch.held, batch.waiting) == (2, 4)
    await pool.ask("quick")  # others go by
    assert now() < 1
    await outcomes(*tasks)
    assert now() == pytest.approx(3, abs=0.1)
    pool.check_at_rest()


async def test_leases_and_one_shots_share_the_most_of_their_lane() -> None:
    pool = await pool_of(4, Script(replies={"select": Reply(1.0)}))
    batch = pool.lane("batch", at_most=2)
    leases = [asyncio.create_task(hold(pool, 1, line=batch)) for _ in range(2)]
    await settle()
    tasks = await in_line(pool, batch, batch)
    assert (batch.held, batch.waiting, pool.leases.idle) == (2, 2, 2)
    await outcomes(*leases, *tasks)
    assert now() == pytest.approx(2, abs=0.1)
    pool.check_at_rest()


async def test_a_cleanup_counts_for_the_lane_of_its_caller() -> None:
    pool = await pool_of(2, Script(clean_s=5.0))
    batch = pool.lane("batch", at_most=1)
    dirty = asyncio.create_task(hold(pool, dirty=True, line=batch))
    await settle()
    (waiting,) = await in_line(pool, batch)
    assert (batch.held, batch.waiting) == (1, 1)
    assert pool.leases.gate.report().holders[0].doing == "its connection is being closed or reset"
    await outcomes(dirty, waiting)
    assert 5 < now() < 5.1
    pool.check_at_rest()


async def test_what_a_lane_reserves_is_there_while_everybody_else_holds_what_they_can() -> None:
    pool = await pool_of(3, Script(replies={"slow": Reply(50.0)}))
    kept = pool.lane("kept", reserved=1)
    tasks = await in_line(pool, *[pool.leases.gate.line] * 5, sql="slow")
    began = now()
    await pool.ask(line=kept)
    assert now() - began < 0.01
    for task in tasks:
        task.cancel()
    await outcomes(*tasks)
    await asyncio.sleep(1)
    pool.check_at_rest()


async def test_a_lane_with_a_rate_sends_as_often_as_it_may() -> None:
    pool = await pool_of(2)
    api = pool.lane("api", rate=Rate(1, per=2))
    began = now()
    with pool.counting() as counts:
        await asyncio.gather(*(pool.ask(line=api) for _ in range(5)), *(hold(pool, line=api) for _ in range(5)))
    assert now() - began == pytest.approx(18, abs=0.1)
    assert counts["connects"] == 0
    pool.check_at_rest()


@pytest.mark.parametrize("sql", ["select", "not prepared"])
async def test_a_time_out_in_a_lane_names_it_and_leaves_the_others_alone(sql: str) -> None:
    pool = await pool_of(2, Script(replies={"select": Reply(3.0)}))
    batch = pool.lane("batch", at_most=1)
    (first,) = await in_line(pool, batch)
    with pytest.raises(AcquireTimeout, match=r"lane 'batch' of pool 'shop' after 1\.0\d s: 1 of 2") as refusal:
        await pool.ask(sql, timeout=1.0, line=batch)
    assert refusal.value.lane == "batch"
    assert "SQL: select" in str(refusal.value)
    assert await pool.ask("quick") == []
    await first
    pool.check_at_rest()


async def test_a_closed_pool_fails_the_callers_of_every_lane_at_once() -> None:
    pool = await pool_of(1, Script(replies={"slow": Reply(NEVER)}))
    lines = [pool.leases.gate.line, pool.lane("a"), pool.lane("b", at_most=1)]
    (holder,) = await in_line(pool, lines[1], sql="slow")
    tasks = await in_line(pool, *lines, *lines)
    began = now()
    closing = asyncio.create_task(pool.leases.close(3))
    ends = await outcomes(*tasks)
    assert now() == began
    assert [type(end) for end in ends] == [PoolClosed] * 6
    await outcomes(closing, holder)
    assert (pool.leases.gate.held, pool.leases.gate.waiting, pool.driver.size) == (0, 0, 0)


# The pool's own work


@pytest.mark.parametrize("reserved", [1, 2])
async def test_a_pool_opens_as_many_connections_as_it_is_to_have_whatever_its_lanes_reserve(reserved: int) -> None:
    pool = new_pool(3, min_connections=3)
    pool.lane("kept", reserved=reserved, rate=Rate(1, per=100))
    await pool.leases.open()
    assert now() < 1
    assert (pool.driver.size, pool.leases.idle) == (3, 3)
    pool.check_at_rest()


async def test_an_idle_connection_is_closed_though_only_reserved_permits_are_free() -> None:
    pool = await pool_of(3, Script(discard_s=2.0), max_idle=1.0, max_waiting=0)
    pool.upkeep.start()
    pool.lane("kept", reserved=2)
    holder = asyncio.create_task(hold(pool, LOOK_EVERY_S + 1))  # leaves while the connections are being closed
    while pool.leases.idle:
        await asyncio.sleep(0.1)
    assert pool.leases.gate.held == 3
    await outcomes(holder)
    await asyncio.sleep(2 * LOOK_EVERY_S)
    assert pool.driver.size == 0
    pool.check_at_rest()


async def test_no_connection_is_closed_for_its_age_while_every_permit_is_held() -> None:
    pool = await pool_of(2, max_lifetime=1.0)
    pool.upkeep.start()
    a = pool.lane("a", rate=Rate(1, per=1000))
    await pool.ask(line=a)
    async with pool.leases.lease(1), pool.leases.lease(1):
        (waiting,) = await in_line(pool, a)
        await asyncio.sleep(3 * LOOK_EVERY_S)
        assert pool.driver.size == 2
    waiting.cancel()
    await outcomes(waiting)
    pool.check_at_rest()


# Everything at once


async def schedule(seed: int, loop: SteppingLoop) -> None:
    """Random callers in four lanes, some cancelled and some out of time; nobody else goes without."""
    rng = random.Random(seed)
    pool = await open_pool(
        rng.randint(2, 5), Script(replies={"slow": Reply(0.5)}, clean_s=rng.choice([0.001, 0.05])), query_timeout=2.0
    )
    lines = [pool.leases.gate.line, pool.lane("most", at_most=rng.randint(1, 3)), pool.lane("kept", reserved=1)]
    lines.append(pool.lane("rate", rate=Rate(rng.choice([2, 50]), burst=rng.randint(1, 3))))
    loop.check = pool.check
    tasks: list[asyncio.Task[object]] = []
    cancelled: set[asyncio.Task[object]] = set()
    for _ in range(rng.randint(20, 60)):
        line, patience = rng.choice(lines), rng.choice([0.1, 1e4, 1e4])
        if rng.random() < 0.3:
            work: asyncio.Task[object] = asyncio.create_task(
                hold(pool, rng.choice([0, 0.1]), dirty=rng.random() < 0.2, timeout=patience, line=line)
            )
        else:
            sql = rng.choice(["select", "select", "sets", "slow"])
            work = asyncio.create_task(pool.ask(sql, len(tasks), timeout=patience, line=line))
        tasks.append(work)
        if rng.random() < 0.3:
            await asyncio.sleep(rng.choice([0, 0.01, 0.2]))
        if rng.random() < 0.3:
            victim = rng.choice(tasks)
            cancelled.add(victim)
            victim.cancel()
    ends = await outcomes(*tasks)
    for number, (task, end) in enumerate(zip(tasks, ends, strict=True)):
        gave_up = isinstance(end, asyncio.CancelledError) and task in cancelled
        in_vain = isinstance(end, AcquireTimeout | QueryTimeout)
        assert end == [[number]] or isinstance(end, int) or gave_up or in_vain, repr(end)
        assert not isinstance(end, AcquireTimeout) or end.waited_s < 1, "whoever had the time was granted nothing"
    await asyncio.sleep(5)
    pool.check_at_rest()
    for line in lines:
        assert (line.held, line.waiting) == (0, 0)
    await pool.leases.close(5)


def test_no_permit_or_connection_is_lost_between_lanes() -> None:
    for seed in range(80):
        loop = SteppingLoop(seed if seed % 2 else None)
        try:
            run(schedule(seed, loop), lambda loop=loop: loop)  # type: ignore[misc]
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
