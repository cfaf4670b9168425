"""The loop was blocked past time limits: what has arrived meanwhile counts, the late timers do not."""

from __future__ import annotations

import asyncio
import time

from tests.support.databases import Database
from tests.support.pools import pool_of

SQL = "select $1::int from pg_sleep(0.02)"


async def test_an_answer_that_came_while_the_loop_was_blocked_is_no_timeout_and_its_permit_is_passed_on(
    database: Database,
) -> None:
    async with pool_of(database, 1, query_timeout=0.3, acquire_timeout=0.3) as db:
        assert await db.fetchval(SQL, 0) == 0  # from now on it is prepared
        async with db.acquire():
            asked = [asyncio.create_task(db.fetchval(SQL, n)) for n in (1, 2)]
            await asyncio.sleep(0)
        time.sleep(0.5)  # noqa: ASYNC251 - the first of the two is under way, the second in line
        assert await asyncio.gather(*asked) == [1, 2]


async def test_a_transaction_that_ended_while_the_loop_was_blocked_gives_its_permit_to_who_stood_in_line(
    database: Database,
) -> None:
    async with pool_of(database, 1, query_timeout=0.3, acquire_timeout=0.3) as db:

        async def work(number: int) -> int:
            async with db.acquire() as connection:
                value: int = await connection.fetchval(SQL, number)
                return value

        assert await work(0) == 0
        asked = [asyncio.create_task(work(n)) for n in (1, 2)]
        await asyncio.sleep(0.001)
        time.sleep(0.5)  # noqa: ASYNC251 - as above
        assert await asyncio.gather(*asked) == [1, 2]
