"""How a pool ends: newcomers and waiters first, then leases, then connections; and never with something left open."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dbpool.errors import PoolClosed
from tests.support.fakes import Pool, hold, new_pool, open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import NEVER, Reply, Script


def assert_ended(pool: Pool) -> None:
    pool.check()
    assert (pool.leases.gate.held, pool.leases.gate.waiting) == (0, 0)
    assert pool.driver.size == pool.leases.idle == pool.driver.connecting == 0


async def test_closing_an_idle_pool_closes_its_connections() -> None:
    pool = await open_pool(3)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(3)))
    await pool.leases.close(5)
    assert_ended(pool)


async def test_closing_a_pool_that_was_never_opened_is_no_error() -> None:
    pool = new_pool(1)
    await pool.leases.close(5)
    assert_ended(pool)


async def test_waiters_fail_first_and_at_once() -> None:
    pool = await open_pool(1)
    holder = asyncio.create_task(hold(pool, 3))
    await settle()
    waiters = [asyncio.create_task(hold(pool)) for _ in range(5)]
    waiters += [asyncio.create_task(pool.ask()) for _ in range(5)]
    await settle()
    closing = asyncio.create_task(pool.leases.close(5))
    assert {type(error) for error in await outcomes(*waiters)} == {PoolClosed}
    assert now() < 0.1
    assert not holder.done()
    await closing
    assert await holder == 0
    assert now() == pytest.approx(3, abs=0.1)
    assert_ended(pool)


async def test_newcomers_are_refused_from_the_start() -> None:
    pool = await open_pool(2)
    holder = asyncio.create_task(hold(pool, 3))
    await settle()
    closing = asyncio.create_task(pool.leases.close(5))
    await settle()
    newcomers = [asyncio.create_task(hold(pool)), asyncio.create_task(pool.ask())]
    assert [type(error) for error in await outcomes(*newcomers)] == [PoolClosed] * 2
    await outcomes(holder, closing)
    assert_ended(pool)


async def test_leases_that_do_not_end_in_time_are_cut_off(caplog: pytest.LogCaptureFixture) -> None:
    pool = await open_pool(2)
    holders = [asyncio.create_task(hold(pool, 100)) for _ in range(2)]
    await asyncio.sleep(0.1)
    began = now()
    with caplog.at_level(logging.WARNING, "dbpool"):
        await pool.leases.close(5)
    assert now() - began == pytest.approx(5)
    assert pool.driver.size == 0
    assert "2 leases" in caplog.text
    await outcomes(*holders)  # each finds its connection closed when it ends
    assert_ended(pool)


async def test_idle_connections_that_do_not_end_in_time_are_told_apart_from_leases(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = await open_pool(1, Script(discard_s=NEVER, lingers_s=1.0))
    with caplog.at_level(logging.WARNING, "dbpool"):
        await pool.leases.close(0.04)
    assert now() < 0.1
    assert "1 idle connection had not ended 0.04 s after close(): cut off" in caplog.text
    assert " lease" not in caplog.text


async def test_a_single_lease_that_is_cut_off_is_told_as_one(caplog: pytest.LogCaptureFixture) -> None:
    pool = await open_pool(1)
    holder = asyncio.create_task(hold(pool, 100))
    await settle()
    with caplog.at_level(logging.WARNING, "dbpool"):
        await pool.leases.close(0.04)
    assert "1 lease had not ended 0.04 s after close(): cut off" in caplog.text
    await outcomes(holder)


async def test_a_server_that_does_not_take_the_cancelling_holds_nothing_up() -> None:
    pool = await open_pool(1, Script(stop_s=NEVER), reset_timeout=1.0)
    holder = asyncio.create_task(hold(pool, 100))
    await settle()
    await pool.leases.close(5)
    assert now() == pytest.approx(6, abs=0.1)
    await outcomes(holder)
    assert_ended(pool)


async def test_a_statement_under_way_is_given_its_time() -> None:
    pool = await open_pool(1)
    pool.driver.script.replies["select"] = Reply(3.0, rows=[[1]])
    asking = asyncio.create_task(pool.ask())
    await asyncio.sleep(0.1)
    await pool.leases.close(5)
    assert await asking == [[1]]
    assert_ended(pool)


async def test_a_cleanup_under_way_is_waited_for() -> None:
    pool = await open_pool(1, Script(clean_s=3.0))
    holder = asyncio.create_task(hold(pool, 1, dirty=True))
    await asyncio.sleep(2)
    await pool.leases.close(10)
    assert now() == pytest.approx(4, abs=0.1)
    await holder
    assert_ended(pool)


async def test_a_cleanup_that_does_not_end_in_time_is_cut_off() -> None:
    pool = await open_pool(1, Script(clean_s=NEVER, discard_s=NEVER), reset_timeout=100.0)
    holder = asyncio.create_task(hold(pool, dirty=True))
    await settle()
    await pool.leases.close(2)
    assert now() < 3
    await outcomes(holder)
    assert_ended(pool)


async def test_a_caller_whose_cleanup_is_cut_off_is_not_told_that_it_was_cancelled() -> None:
    pool = await open_pool(1, Script(clean_s=NEVER, discard_s=NEVER), reset_timeout=100.0)
    leasing = asyncio.create_task(hold(pool, dirty=True))
    await settle()
    await pool.leases.close(2)
    await asyncio.wait([leasing])
    assert not leasing.cancelled()
    assert await leasing == 0


async def test_a_statement_whose_cleanup_is_cut_off_still_gives_its_rows() -> None:
    pool = await open_pool(1, Script(clean_s=NEVER, discard_s=NEVER), reset_timeout=100.0)
    pool.driver.script.replies["sets"] = Reply(rows=[[1]])
    asking = asyncio.create_task(pool.ask("sets", "me"))
    await asyncio.sleep(1)
    await pool.leases.close(2)
    await asyncio.wait([asking])
    assert not asking.cancelled()
    assert await asking == [[1]]


async def test_closing_twice_is_no_error() -> None:
    pool = await open_pool(2)
    holder = asyncio.create_task(hold(pool, 3))
    await settle()
    await asyncio.gather(pool.leases.close(5), pool.leases.close(5))
    await pool.leases.close(5)
    await holder
    assert_ended(pool)


async def test_a_cancelled_close_cuts_everything_off() -> None:
    pool = await open_pool(2)
    holder = asyncio.create_task(hold(pool, 100))
    await settle()
    closing = asyncio.create_task(pool.leases.close(50))
    await asyncio.sleep(1)
    closing.cancel()
    await outcomes(closing)
    assert closing.cancelled()
    assert pool.driver.size == 0
    await outcomes(holder)
    assert_ended(pool)


async def test_a_cleanup_started_in_the_instant_of_the_cut_off_frees_its_permit() -> None:
    pool = await open_pool(1)
    async with pool.leases.lease(1) as connection:
        connection.keeps_session = False
        closing = asyncio.create_task(pool.leases.close(50))
        await settle()
        closing.cancel()  # cuts off in its next turn, before the cleanup has had its first
    await outcomes(closing)
    await asyncio.sleep(1)
    assert_ended(pool)


async def test_idle_connections_that_do_not_close_are_cut_off() -> None:
    pool = await open_pool(3, Script(discard_s=NEVER))
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(3)))
    began = now()
    await pool.leases.close(5)
    assert now() - began <= 5.1
    assert_ended(pool)


async def test_a_closed_pool_sweeps_no_more() -> None:
    pool = await open_pool(2, max_idle=10.0)
    await pool.leases.close(5)
    await asyncio.sleep(100)
    assert_ended(pool)


@pytest.mark.parametrize("connect_s", [0.5, 5.0, NEVER])
async def test_no_connection_is_left_by_a_connect_that_outlasts_the_close(connect_s: float) -> None:
    pool = await open_pool(3)
    pool.driver.script.connect_s = connect_s
    async with pool.leases.lease(1):
        callers = [asyncio.create_task(hold(pool, 100)) for _ in range(2)]
        await settle()
        closing = asyncio.create_task(pool.leases.close(1))
        await asyncio.sleep(2)
    await outcomes(closing, *callers)
    await asyncio.sleep(100)
    assert_ended(pool)
