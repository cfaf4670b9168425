"""Connections to keep are opened under nobody's permit, so that nobody stands in line for them."""

from __future__ import annotations

import asyncio

from tests.support.fakes import hold, kept_pool
from tests.support.loops import now


async def test_a_caller_of_a_pool_of_one_takes_the_only_permit_while_its_connection_is_opened_anew() -> None:
    pool = await kept_pool(1, min_connections=1)
    pool.driver.script.connect_s = 3.0
    next(iter(pool.driver.open_now)).lose()
    while not pool.leases.connector.opening:
        await asyncio.sleep(0.1)
    assert pool.leases.gate.held == 0
    began = now()
    caller = asyncio.ensure_future(hold(pool))
    await asyncio.sleep(0)
    assert (pool.leases.gate.held, pool.leases.gate.waiting) == (1, 0)
    assert await caller == 1
    assert now() - began <= 3.0
    assert pool.driver.connects_tried == 2  # and one was enough for both
    pool.check_at_rest()


async def test_a_server_that_is_gone_takes_no_permit_however_long_it_is_tried() -> None:
    pool = await kept_pool(1, min_connections=1, connect_timeout=2.0)
    pool.driver.script.connect_s = 1e6
    next(iter(pool.driver.open_now)).lose()
    for _ in range(600):
        await asyncio.sleep(0.1)
        assert pool.leases.gate.held == 0
    assert pool.driver.connects_tried > 3
    pool.driver.script.connect_s = 0.1
    await asyncio.sleep(20)
    assert pool.leases.idle == 1
    pool.check_at_rest()
