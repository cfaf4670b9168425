"""How a quarantine ends, and what is told of it."""

from __future__ import annotations

import asyncio

import pytest

from dbpool.errors import AcquireTimeout
from dbpool.events import ConnectionClosed, ConnectionOpened, Event, Quarantined, QuarantineEnded, Reason
from tests.support.fakes import cut_off, hold, open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import NEVER, Script

LINGERS_S = 5.0


async def test_a_backend_that_outlives_the_quarantine_is_given_up() -> None:
    pool = await open_pool(1, Script(lingers_s=NEVER), quarantine_timeout=3.0)
    told = pool.listen()
    await cut_off(pool)
    assert await hold(pool) == 1
    assert now() == pytest.approx(3, abs=0.1)
    assert [event for event in told if isinstance(event, QuarantineEnded)] == [
        QuarantineEnded(is_gone=False, zombies=0)
    ]
    pool.check_at_rest()


async def test_a_connect_given_up_that_outlives_the_quarantine_is_told() -> None:
    pool = await open_pool(
        1, Script(lingers_s=NEVER), connect_timeout=1.0, quarantine_timeout=3.0, outage_patience=60.0
    )
    told = pool.listen()
    await cut_off(pool)  # so that the next one connects
    pool.driver.script.connect_faults.append(10.0)
    assert await hold(pool) == 1
    assert [event for event in told if isinstance(event, QuarantineEnded)] == [
        QuarantineEnded(is_gone=False, zombies=0)
    ] * 2
    pool.check_at_rest()


# What it tells


async def test_what_happens_is_told_in_its_order_and_before_the_permit_is_free() -> None:
    pool = await open_pool(1, Script(lingers_s=LINGERS_S))
    told = pool.listen()
    held: list[int] = []
    pool.leases.events.on(lambda _: held.append(pool.leases.gate.held))
    await cut_off(pool)
    await hold(pool)
    kinds = [ConnectionClosed(Reason.LOST, is_gone=False), Quarantined(1), QuarantineEnded(is_gone=True, zombies=0)]
    assert told[:3] == kinds
    assert [type(event) for event in told[3:]] == [ConnectionOpened]
    assert held == [1, 1, 1, 1]


async def test_what_is_told_counts_as_zombies_does_also_when_several_begin_and_end_at_once() -> None:
    pool = await open_pool(3, Script(lingers_s=LINGERS_S))
    counts: list[tuple[int, int]] = []

    def count(event: Event) -> None:
        if isinstance(event, Quarantined | QuarantineEnded):
            counts.append((event.zombies, pool.leases.zombies))

    pool.leases.events.on(count)
    async with pool.leases.lease(1) as one, pool.leases.lease(1) as two, pool.leases.lease(1) as three:
        for connection in (one, two, three):
            connection.terminate()
    await asyncio.sleep(LINGERS_S + 0.1)
    assert counts == [(1, 1), (2, 2), (3, 3), (2, 2), (1, 1), (0, 0)]
    pool.check_at_rest()


@pytest.mark.parametrize(("stop_s", "stops"), [(0.0, 6), (NEVER, 1)])
async def test_the_server_is_asked_to_stop_what_runs_ever_more_rarely_while_it_answers(
    stop_s: float, stops: int
) -> None:
    pool = await open_pool(1, Script(lingers_s=LINGERS_S, stop_s=stop_s))
    await cut_off(pool)
    assert await hold(pool) == 1
    assert now() == pytest.approx(LINGERS_S, abs=0.1)
    assert pool.driver.opened[0].stopped_total == stops
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


# Closing


@pytest.mark.parametrize(("timeout", "ends_at"), [(100.0, LINGERS_S), (2.0, 2.0)])
async def test_closing_waits_for_zombies_as_long_as_it_may_and_leaves_nothing(timeout: float, ends_at: float) -> None:
    pool = await open_pool(2, Script(lingers_s=LINGERS_S))
    began = now()
    await cut_off(pool)
    await pool.leases.close(timeout)
    assert now() - began == pytest.approx(ends_at, abs=0.1)
    pool.check_at_rest()
    await settle()
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_closing_does_not_wait_for_connects_that_were_given_up() -> None:
    pool = await open_pool(1, Script(lingers_s=LINGERS_S), connect_timeout=1.0, outage_patience=60.0)
    pool.driver.opened[0].lose()
    pool.driver.script.connect_s = NEVER
    with pytest.raises(AcquireTimeout):
        await hold(pool, timeout=2)
    assert pool.leases.zombies == 1
    began = now()
    await pool.leases.close(100)
    assert now() == began
    pool.check_at_rest()


async def test_a_holder_that_outlives_the_pool_leaves_nothing() -> None:
    pool = await open_pool(2, Script(lingers_s=NEVER))
    holders = [asyncio.create_task(hold(pool, 100)) for _ in range(2)]
    await asyncio.sleep(1)
    await pool.leases.close(1)
    await outcomes(*holders)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    pool.check_at_rest()


async def test_a_cancelled_close_waits_for_no_zombie() -> None:
    pool = await open_pool(1, Script(lingers_s=LINGERS_S))
    await cut_off(pool)
    closing = asyncio.create_task(pool.leases.close(100))
    await asyncio.sleep(1)
    closing.cancel()
    await outcomes(closing)
    assert now() == pytest.approx(1, abs=0.1)
    await settle()
    pool.check_at_rest()
