"""What the pool believes of a driver, as tests that the fake one and the real one both pass.

A class of tests is collected where a module imports it; ``leases`` comes from a fixture there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

import asyncpg
import pytest

from dbpool.connection import PooledConnection, Want
from dbpool.faults import is_stale_plan
from dbpool.leases import Leases

NUMBER = "select $1::int"
SLEEP = "select pg_sleep(2)"  # so long does a backend live on whose connection was cut
FAILS = "select 1 / 0"


async def answered(connection: PooledConnection, sql: str, *args: object) -> object:
    """Send with ``begin`` and drive it to its end, as a one-shot statement does."""
    begun = connection.begin(sql, args, Want.ROWS)
    assert begun is not None
    work, answer = begun
    await asyncio.wait([answer])
    try:
        work.send(None)
    except StopIteration as stop:
        rows: object = stop.value[0]
        return rows
    raise AssertionError("the work went on after its answer")


class DriverContract:
    async def test_a_connection_begins_quiet_and_open_and_owes_no_reset(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            assert connection.is_quiet
            assert connection.keeps_session
            assert not connection.is_closed()
            assert not connection.is_broken

    async def test_a_statement_is_begun_only_once_it_is_prepared(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            assert connection.begin(NUMBER, (1,), Want.ROWS) is None
            rows = await connection.run(NUMBER, (1,), Want.ROWS, 5)
            assert rows[0][0] == 1
            rows = await answered(connection, NUMBER, 2)
            assert rows[0][0] == 2  # type: ignore[index]
            assert connection.is_quiet

    async def test_arguments_that_do_not_fit_are_refused_before_anything_is_sent(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            await connection.run(NUMBER, (1,), Want.ROWS, 5)
            with pytest.raises(asyncpg.DataError):
                connection.begin(NUMBER, ("one",), Want.ROWS)
            assert connection.is_quiet
            with pytest.raises(asyncpg.DataError):
                await connection.run(NUMBER, ("one",), Want.ROWS, 5)
            assert connection.is_quiet
            rows = await answered(connection, NUMBER, 3)
            assert rows[0][0] == 3  # type: ignore[index]

    async def test_after_a_servers_error_the_connection_is_quiet(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            for _ in range(2):
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await connection.run(FAILS, (), Want.ROWS, 5)
                assert connection.is_quiet
            with pytest.raises(asyncpg.DivisionByZeroError):
                await answered(connection, FAILS)
            assert connection.is_quiet

    async def test_a_cancelled_statement_is_not_quiet_until_it_is_cleaned(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            running = asyncio.create_task(connection.run(SLEEP, (), Want.ROWS, 60))
            await asyncio.sleep(0.05)
            running.cancel()
            with suppress(asyncio.CancelledError):
                await running
            assert not connection.is_quiet
            assert not connection.is_closed()
            await connection.clean(5)
            assert connection.is_quiet

    async def test_a_begun_statement_whose_answer_is_cancelled_is_not_quiet_until_it_is_cleaned(
        self, leases: Leases
    ) -> None:
        async with leases.lease(5) as connection:
            with pytest.raises(TimeoutError):
                await connection.run(SLEEP, (), Want.ROWS, 0.05)
            await connection.clean(5)
            begun = connection.begin(SLEEP, (), Want.ROWS)
            assert begun is not None
            work, answer = begun
            await asyncio.sleep(0.05)
            answer.cancel()
            await asyncio.sleep(0)
            with pytest.raises(asyncio.CancelledError):
                work.send(None)
            assert not connection.is_quiet
            await connection.clean(5)
            assert connection.is_quiet

    async def test_a_statement_out_of_time_raises_timeout_error(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            with pytest.raises(TimeoutError):
                await connection.run(SLEEP, (), Want.ROWS, 0.05)
            assert not connection.is_quiet

    async def test_a_transaction_left_open_is_not_quiet_until_it_is_cleaned(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            await connection.run("begin", (), Want.STATUS, 5)
            assert not connection.is_quiet
            await connection.clean(5)
            assert connection.is_quiet

    async def test_cleaning_settles_the_debt_of_a_reset(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            connection.keeps_session = False
            await connection.clean(5)
            assert connection.keeps_session

    async def test_cleaning_keeps_what_is_prepared(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            await connection.run(NUMBER, (1,), Want.ROWS, 5)
            await connection.clean(5)
            rows = await answered(connection, NUMBER, 4)
            assert rows[0][0] == 4  # type: ignore[index]

    async def test_a_live_connection_answers_a_ping(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            assert await connection.ping(5)
            assert connection.is_quiet

    async def test_a_closed_connection_does_nothing_more(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            await connection.run(NUMBER, (1,), Want.ROWS, 5)
            size = leases.driver.size
            connection.terminate()
            await asyncio.sleep(0)
            assert connection.is_closed()
            assert not connection.is_quiet
            assert leases.driver.size == size - 1
            assert not await connection.ping(1)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                await connection.run(NUMBER, (1,), Want.ROWS, 5)
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
                await connection.clean(1)

    async def test_discarding_closes_whatever_the_state(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            with pytest.raises(TimeoutError):
                await connection.run(SLEEP, (), Want.ROWS, 0.05)
            await connection.discard(5)
            assert connection.is_closed()
            await connection.discard(5)  # twice does no harm

    async def test_a_cancelled_discard_closes_too(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            discarding = asyncio.create_task(connection.discard(5))
            await asyncio.sleep(0)
            discarding.cancel()
            await asyncio.wait([discarding])
            assert connection.is_closed()

    async def test_a_statement_cut_off_in_the_middle_tells_of_a_lost_connection(self, leases: Leases) -> None:
        async with leases.lease(5) as connection:
            running = asyncio.create_task(connection.run(SLEEP, (), Want.ROWS, 60))
            await asyncio.sleep(0.05)
            connection.terminate()
            with pytest.raises((asyncpg.PostgresConnectionError, asyncpg.InterfaceError)) as failure:
                await running
            assert not is_stale_plan(failure.value)
            assert connection.is_closed()

    async def test_terminating_the_driver_closes_every_connection(self, leases: Leases) -> None:
        async with leases.lease(5) as one, leases.lease(5) as other:
            assert leases.driver.size == 2
            leases.driver.terminate()
            await asyncio.sleep(0)
            assert one.is_closed()
            assert other.is_closed()
            assert leases.driver.size == 0
