"""Leases: who gets which connection, what is owed before the next one sees it, and how a pool ends."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from dbpool.connection import Want
from dbpool.errors import AcquireTimeout, LineFull, UsageError
from tests.support.fakes import FakeConnection, Pool, hold, open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import NEVER, Script


def lost(pool: Pool) -> list[FakeConnection]:
    """Cut every connection; return them."""
    connections = list(pool.driver.open_now)
    for connection in connections:
        connection.lose()
    return connections


async def test_a_connection_passes_to_the_next_in_line_without_a_reset() -> None:
    pool = await open_pool(1)
    with pool.counting() as counts:
        numbers = await asyncio.gather(*(hold(pool, 1) for _ in range(5)))
    assert numbers == [0] * 5
    assert counts == {"sent": 0, "connects": 0, "resets": 0, "handed_on": 4}
    assert now() == pytest.approx(5, abs=0.1)
    pool.check_at_rest()


async def test_leases_and_statements_stand_in_one_line() -> None:
    pool = await open_pool(1)

    async def lease(sql: str) -> None:
        async with pool.leases.lease(30) as connection:
            await connection.run(sql, (), Want.ROWS, 1)

    async with pool.leases.lease(1):
        texts = [f"select {number}" for number in range(20)]
        tasks = [asyncio.create_task(pool.ask(sql) if at % 2 else lease(sql)) for at, sql in enumerate(texts)]
        await settle()
        assert pool.leases.gate.waiting == 20
    await asyncio.gather(*tasks)
    assert [sql for _, sql in pool.driver.sent] == texts
    pool.check_at_rest()


async def test_a_lease_that_may_have_changed_the_session_is_cleaned_before_the_next() -> None:
    pool = await open_pool(1)
    with pool.counting() as counts:
        await hold(pool, dirty=True)
        await hold(pool)
    assert counts["resets"] == pool.driver.opened[0].cleaned_total == 1
    assert pool.leases.idle == 1
    pool.check_at_rest()


@pytest.mark.parametrize(("reset", "dirty", "resets"), [("never", True, 0), ("always", False, 1), ("smart", False, 0)])
async def test_when_a_reset_is_owed_is_a_setting(reset: str, dirty: bool, resets: int) -> None:
    pool = await open_pool(1, reset=reset)
    with pool.counting() as counts:
        await hold(pool, dirty=dirty)
    assert counts["resets"] == resets


async def test_a_cleanup_keeps_the_permit_until_it_is_over() -> None:
    pool = await open_pool(1, Script(clean_s=2.0))
    first = asyncio.create_task(hold(pool, 1, dirty=True))
    second = asyncio.create_task(hold(pool))
    await asyncio.sleep(2)
    assert (pool.leases.gate.held, pool.leases.gate.waiting) == (1, 1)
    await outcomes(first, second)
    assert now() == pytest.approx(3, abs=0.1)
    pool.check_at_rest()


async def test_a_caller_that_ends_well_waits_for_its_cleanup() -> None:
    pool = await open_pool(1, Script(clean_s=2.0))
    began = now()
    await hold(pool, dirty=True)
    assert now() - began == pytest.approx(2)
    pool.check_at_rest()


async def test_a_cancelled_caller_returns_at_once_while_the_cleanup_goes_on() -> None:
    pool = await open_pool(1, Script(clean_s=2.0))
    task = asyncio.create_task(hold(pool, 10, dirty=True))
    await asyncio.sleep(1)
    task.cancel()
    cancelled_at = now()
    await outcomes(task)
    assert task.cancelled()
    assert now() == cancelled_at
    assert pool.leases.gate.held == 1
    assert await hold(pool) == 0
    assert now() - cancelled_at == pytest.approx(2)
    pool.check_at_rest()


async def test_a_caller_cancelled_while_its_cleanup_runs_does_not_end_the_cleanup() -> None:
    pool = await open_pool(1, Script(clean_s=2.0))
    task = asyncio.create_task(hold(pool, dirty=True))
    await asyncio.sleep(1)
    for _ in range(3):
        task.cancel()
        await settle()
    assert task.cancelled()
    assert await hold(pool) == 0
    assert pool.driver.opened[0].cleaned_total == 1
    pool.check_at_rest()


@pytest.mark.parametrize("trouble", [{"clean_error": ValueError("reset refused")}, {"clean_s": NEVER}])
async def test_a_cleanup_that_fails_discards_the_connection_and_frees_the_permit(trouble: dict[str, Any]) -> None:
    pool = await open_pool(1, reset_timeout=2.0)
    for name, value in trouble.items():
        setattr(pool.driver.script, name, value)
    began = now()
    await hold(pool, dirty=True)
    assert now() - began < 2.1
    assert pool.driver.opened[0].is_closed()
    assert pool.leases.counters.discarded_total == 1
    assert await hold(pool) == 1
    pool.check_at_rest()


async def test_a_connection_that_does_not_even_close_is_cut_off() -> None:
    pool = await open_pool(1, Script(clean_error=ValueError(), discard_s=NEVER), reset_timeout=2.0)
    await hold(pool, dirty=True)
    assert now() < 2.1
    assert pool.driver.size == 0
    pool.check_at_rest()


async def test_a_caller_whose_coroutine_is_closed_in_line_leaves_the_line() -> None:
    pool = await open_pool(1)
    async with pool.leases.lease(1):
        work = hold(pool)
        work.send(None)
        assert pool.leases.gate.waiting == 1
        work.close()
        assert pool.leases.gate.waiting == 0
    pool.check_at_rest()


async def test_a_lease_is_used_once() -> None:
    pool = await open_pool(2)
    async with pool.leases.lease(1) as connection:
        lease = pool.leases.lease(1)
        async with lease as other:
            with pytest.raises(UsageError):
                await lease.__aenter__()
            assert other is not connection
    pool.check_at_rest()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, TimeoutError])
async def test_whatever_ends_a_lease_its_permit_comes_back(error: type[BaseException]) -> None:
    pool = await open_pool(1)
    for dirty in (False, True):
        lease = pool.leases.lease(1)
        (await lease.__aenter__()).keeps_session = not dirty
        await lease.__aexit__(error, error(), None)
        assert await hold(pool) == 0
    pool.check_at_rest()


@pytest.mark.parametrize("error", [None, ValueError, asyncio.CancelledError])
async def test_a_lease_ends_its_loan(error: type[BaseException] | None) -> None:
    pool = await open_pool(1)
    ended = pool.driver.opened[0].loans_ended
    lease = pool.leases.lease(1)
    await lease.__aenter__()
    await lease.__aexit__(error, None if error is None else error(), None)
    assert pool.driver.opened[0].loans_ended == ended + 1
    pool.check()


async def test_a_lease_that_was_interrupted_is_cleaned_however_its_connection_looks() -> None:
    pool = await open_pool(1)
    holder = asyncio.create_task(hold(pool, 10))
    await settle()
    holder.cancel()
    assert await hold(pool) == 0
    assert pool.driver.opened[0].cleaned_total == 1
    pool.check_at_rest()


async def test_a_connection_lost_during_a_lease_is_replaced_for_the_next() -> None:
    pool = await open_pool(1)
    async with pool.leases.lease(1):
        waiting = asyncio.create_task(hold(pool))
        await settle()
        lost(pool)
    assert await waiting == 1
    pool.check_at_rest()


async def test_an_idle_connection_that_was_seen_to_die_is_replaced() -> None:
    pool = await open_pool(1)
    lost(pool)
    assert await hold(pool) == 1
    pool.check_at_rest()


@pytest.mark.parametrize(("rested_s", "pings"), [(0.9, 0), (1.1, 1), (100, 1)])
async def test_a_connection_is_asked_whether_it_lives_only_after_a_second_of_rest(rested_s: float, pings: int) -> None:
    pool = await open_pool(1, max_idle=1000.0)
    await asyncio.sleep(rested_s)
    assert await hold(pool) == 0
    assert pool.driver.opened[0].pinged_total == pings
    pool.check_at_rest()


@pytest.mark.parametrize("ping_s", [0.001, NEVER])
async def test_a_connection_that_died_at_rest_is_replaced_unseen(ping_s: float) -> None:
    pool = await open_pool(3)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(3)))
    await asyncio.sleep(10)
    for connection in pool.driver.open_now:
        connection.peer_is_gone = True
    pool.driver.script.ping_s = ping_s
    assert await hold(pool) == 3
    pool.check_at_rest()


async def test_a_connection_too_old_is_replaced_when_it_is_next_used() -> None:
    pool = await open_pool(1, max_lifetime=60.0, max_idle=1000.0)
    while now() < 50:  # 60 s less up to 10 % at random
        assert await hold(pool, 0.9) == 0
    await asyncio.sleep(3)
    async with pool.leases.lease(1):
        await asyncio.sleep(10)  # a sweep may not close it now
    assert await hold(pool) == 1
    pool.check_at_rest()


async def test_a_lease_refused_by_a_full_line_says_so() -> None:
    pool = await open_pool(1, max_waiting=0)
    async with pool.leases.lease(1):
        with pytest.raises(LineFull):
            await hold(pool)
    pool.check_at_rest()


async def test_a_lease_that_waits_too_long_says_so() -> None:
    pool = await open_pool(1)
    holder = asyncio.create_task(hold(pool, 5))
    await settle()
    began = now()
    with pytest.raises(AcquireTimeout, match=r"pool 'shop'.*1 of 1 permits held"):
        await hold(pool, timeout=2)
    assert 1.999 < now() - began < 2.011
    await holder
    pool.check_at_rest()


async def test_a_caller_cancelled_in_the_instant_a_connection_is_handed_to_it_hands_it_on() -> None:
    pool = await open_pool(1)
    async with pool.leases.lease(1):
        first, second = (asyncio.create_task(hold(pool)) for _ in range(2))
        await settle()
    first.cancel()  # it has the connection, but is not awake
    results = await outcomes(first, second)
    assert first.cancelled()
    assert results[1] == 0
    assert pool.driver.connects_tried == 1
    pool.check_at_rest()


async def test_a_caller_cancelled_while_its_connection_is_pinged_gives_it_back_clean() -> None:
    pool = await open_pool(1, Script(ping_s=1.0))
    await asyncio.sleep(5)
    task = asyncio.create_task(hold(pool))
    await settle()
    task.cancel()
    await outcomes(task)
    assert await hold(pool) == 0
    assert pool.driver.opened[0].cleaned_total == 1
    pool.check_at_rest()


async def test_min_connections_are_open_when_the_pool_is() -> None:
    pool = await open_pool(5, min_connections=3)
    await settle()
    await asyncio.sleep(0.1)
    assert pool.leases.idle == pool.driver.size == 3
    pool.check_at_rest()
