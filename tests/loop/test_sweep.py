"""Every operation, cancelled at each of its suspensions, once and three times in a row: nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import asyncpg
import pytest

from dbpool.connection import Want
from dbpool.errors import DbPoolError
from tests.support.fakes import Pool, hold, open_pool
from tests.support.loops import SteppingLoop, cancel_at_suspension, count_suspensions, outcomes, run, settle
from tests.support.script import NEVER, Reply, Script

MOST_SUSPENSIONS = 60
Operation = Callable[[Pool], Coroutine[Any, Any, object]]


async def ready(pool: Pool) -> None:
    """Its connection is idle and has prepared everything."""


async def unprepared(pool: Pool) -> None:
    pool.driver.opened[0].lose()


async def rested(pool: Pool) -> None:
    await asyncio.sleep(5)


async def dead_at_rest(pool: Pool) -> None:
    await asyncio.sleep(5)
    pool.driver.opened[0].peer_is_gone = True


async def busy(pool: Pool) -> None:
    asyncio.get_running_loop().create_task(hold(pool, 0.5, dirty=True))
    await settle()


async def slow_to_cancel(pool: Pool) -> None:
    pool.driver.script.cancel_s = 0.5


async def deaf(pool: Pool) -> None:
    pool.driver.script.cancel_s = pool.driver.script.clean_s = pool.driver.script.discard_s = NEVER


async def refusing(pool: Pool) -> None:
    pool.driver.opened[0].lose()
    pool.driver.script.connect_faults.extend([ConnectionRefusedError(), ConnectionRefusedError()])


SITUATIONS = [ready, unprepared, rested, dead_at_rest, busy, slow_to_cancel, deaf, refusing]


async def lease(pool: Pool) -> None:
    async with pool.leases.lease(20) as connection:
        await asyncio.sleep(0.01)
        connection.keeps_session = False
        await asyncio.sleep(0.01)


async def lease_statement(pool: Pool) -> None:
    async with pool.leases.lease(20) as connection:
        await connection.run("select", (), Want.ROWS, 1)


async def statement(pool: Pool) -> None:
    await pool.ask("select")


async def dirty_statement(pool: Pool) -> None:
    await pool.ask("sets")


async def failing_statement(pool: Pool) -> None:
    with suppress(asyncpg.UniqueViolationError):
        await pool.ask("fails")


async def statement_out_of_time(pool: Pool) -> None:
    with suppress(TimeoutError):
        await pool.ask("slow", timeout=1)


OPERATIONS = [lease, lease_statement, statement, dirty_statement, failing_statement, statement_out_of_time]


async def new_situation(situation: Operation) -> Pool:
    replies = {"fails": Reply(error=asyncpg.UniqueViolationError()), "slow": Reply(NEVER)}
    pool = await open_pool(1, Script(replies=replies), reset_timeout=1.0, outage_patience=10.0)
    for sql in ("select", "sets"):
        await pool.ask(sql)
    await situation(pool)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, SteppingLoop)
    loop.check = pool.check
    return pool


async def assert_usable(pool: Pool) -> None:
    """The pool gives all that it has, to somebody who comes now, and loses nothing."""
    pool.driver.script.cancel_s = pool.driver.script.clean_s = pool.driver.script.discard_s = 0.001
    pool.driver.script.connect_faults.clear()
    async with asyncio.timeout(10):
        assert await pool.ask("select") == []
    await asyncio.sleep(3)
    pool.check_at_rest()


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_an_operation_cancelled_anywhere_loses_nothing(operation: Operation, situation: Operation, times: int) -> None:
    async def one(at: int) -> bool:
        pool = await new_situation(situation)
        task = await cancel_at_suspension(operation(pool), at, times=times)
        if not task.cancelled():
            task.result()
        await assert_usable(pool)
        return task.cancelled()

    async def suspensions() -> int:
        return await count_suspensions(operation(await new_situation(situation)))

    number = run(suspensions(), SteppingLoop)
    assert 0 < number < MOST_SUSPENSIONS
    cancelled = [run(one(at), SteppingLoop) for at in range(1, number + 1)]
    assert all(cancelled)  # none is swallowed
    assert not run(one(number + 1), SteppingLoop)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("situation", SITUATIONS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_close_cancelled_anywhere_leaves_nothing_open(operation: Operation, situation: Operation, times: int) -> None:
    async def set_up() -> tuple[Pool, list[asyncio.Task[object]]]:
        pool = await new_situation(situation)
        tasks = [asyncio.create_task(operation(pool)) for _ in range(3)]
        await asyncio.sleep(0.005)
        return pool, tasks

    async def one(at: int) -> None:
        pool, tasks = await set_up()
        await cancel_at_suspension(pool.leases.close(2), at, times=times)
        for result in await outcomes(*tasks):
            assert result is None or isinstance(result, (DbPoolError, asyncpg.InterfaceError)), result
        await asyncio.sleep(30)
        pool.check()
        assert (pool.leases.gate.held, pool.leases.gate.waiting) == (0, 0)
        assert pool.driver.size == pool.driver.connecting == 0

    async def suspensions() -> int:
        pool, tasks = await set_up()
        number = await count_suspensions(pool.leases.close(2))
        await outcomes(*tasks)
        return number

    number = run(suspensions(), SteppingLoop)
    assert number < MOST_SUSPENSIONS
    for at in range(1, number + 2):
        run(one(at), SteppingLoop)


@pytest.mark.parametrize("situation", SITUATIONS)
def test_one_in_line_cancelled_anywhere_keeps_nobody_behind_it_waiting(situation: Operation) -> None:
    async def one(at: int) -> None:
        pool = await new_situation(situation)
        first = asyncio.create_task(cancel_at_suspension(statement(pool), at))
        behind = [asyncio.create_task(work) for work in (statement(pool), hold(pool), dirty_statement(pool))]
        await first
        assert await outcomes(*behind) == [None, behind[1].result(), None]
        await assert_usable(pool)

    for at in range(1, 6):
        run(one(at), partial(SteppingLoop, None))
