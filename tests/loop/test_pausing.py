"""A pool that is paused in the very instants in which something else happens to it."""

from __future__ import annotations

import asyncio

import pytest

from dbpool import DatabasePool, LeasesRemain, PoolClosed, UsageError
from dbpool.events import ConnectionClosed, Paused, Reason, Resumed
from tests.support.facade import Faked, faked
from tests.support.loops import cancel_at_suspension, now, outcomes, settle
from tests.support.script import NEVER, Script


def reasons(pool: Faked) -> list[Reason]:
    return [event.reason for event in pool.told if isinstance(event, ConnectionClosed)]


async def is_granted(db: DatabasePool) -> bool:
    """Whether a caller gets a connection now."""
    try:
        async with db.acquire(timeout=1):
            return True
    except TimeoutError:
        return False


async def test_a_caller_granted_in_the_instant_of_the_pause_is_waited_for() -> None:
    async with faked(1) as pool:
        async with pool.db.acquire():
            (granted,) = pool.holds(5)
            await settle()
        await pool.db.pause()  # it holds its permit, and has not woken up yet
        assert granted.done()
        assert now() == pytest.approx(5, abs=0.1)
        assert not await is_granted(pool.db)


async def test_callers_that_come_in_a_pause_are_served_in_order_when_it_ends() -> None:
    served: list[int] = []

    async def come(number: int) -> None:
        async with pool.db.acquire():
            served.append(number)

    async with faked(1) as pool:
        await pool.db.pause()
        callers = [asyncio.create_task(come(number)) for number in range(20)]
        await asyncio.sleep(10)
        assert (served, pool.db.stats().waiting) == ([], 20)
        pool.db.resume()
        await asyncio.gather(*callers)
        assert served == list(range(20))


@pytest.mark.parametrize("order", ["resumed first", "timed out first"])
async def test_a_resume_in_the_instant_of_the_pauses_time_out_leaves_nobody_waiting(order: str) -> None:
    async with faked(1) as pool:
        loop = asyncio.get_running_loop()
        (holder,) = pool.holds(10)
        await settle()
        at = now() + 5
        if order == "resumed first":
            loop.call_at(at, pool.db.resume)
        pausing = asyncio.create_task(pool.db.pause(timeout=5))
        await settle()
        if order == "timed out first":
            loop.call_at(at, pool.db.resume)
        (caller,) = pool.holds(0)
        (error,) = await outcomes(pausing)
        assert isinstance(error, LeasesRemain)
        await asyncio.gather(holder, caller)
        assert pool.told == []


async def test_a_pause_whose_last_lease_ends_in_the_instant_of_its_time_out_is_one() -> None:
    async with faked(1) as pool:
        release = asyncio.get_running_loop().create_future()

        async def holds() -> None:
            async with pool.db.acquire():
                await release

        holder = asyncio.create_task(holds())
        await settle()
        asyncio.get_running_loop().call_at(now() + 5, release.set_result, None)
        (end,) = await outcomes(asyncio.create_task(pool.db.pause(timeout=5)))
        await holder
        assert (end, pool.told) == (None, [Paused()])
        assert not await is_granted(pool.db)
        pool.db.resume()
        assert await is_granted(pool.db)


async def test_a_pause_that_gives_up_leaves_another_one_paused() -> None:
    async with faked(1) as pool:
        (holder,) = pool.holds(10)
        await settle()
        hasty, patient = (asyncio.create_task(pool.db.pause(timeout=seconds)) for seconds in (5, 20))
        await outcomes(hasty, patient)
        assert isinstance(hasty.exception(), LeasesRemain)
        assert patient.exception() is None
        assert pool.told == [Paused()]
        assert not await is_granted(pool.db)
        pool.db.resume()
        assert await is_granted(pool.db)
        await holder


@pytest.mark.parametrize("disconnect", [False, True])
async def test_a_pause_whose_pool_is_resumed_meanwhile_says_so_and_leaves_it_resumed(disconnect: bool) -> None:
    async with faked(1) as pool:
        (holder,) = pool.holds(10)
        await settle()
        pausing = asyncio.create_task(pool.db.pause(timeout=20, disconnect=disconnect))
        await settle()
        pool.db.resume()
        with pytest.raises(UsageError, match="resumed while pause"):
            await pausing
        assert pool.told == []
        assert await is_granted(pool.db)
        await holder


async def test_pausing_twice_is_told_once_and_one_resume_ends_it() -> None:
    async with faked(1) as pool:
        pool.db.resume()
        await pool.db.pause()
        await pool.db.pause()
        pool.db.resume()
        pool.db.resume()
        assert pool.told == [Paused(), Resumed()]
        assert await is_granted(pool.db)


@pytest.mark.parametrize("disconnect", [False, True])
async def test_a_pause_cancelled_at_any_point_leaves_the_pool_as_it_was(disconnect: bool) -> None:
    async with faked(2, Script(discard_s=0.3)) as pool:
        at, task = 0, None
        while task is None or task.cancelled():
            await asyncio.gather(*pool.holds(0.1, 0.1))
            holder = pool.holds(1)
            await settle()
            at += 1
            task = await cancel_at_suspension(pool.db.pause(disconnect=disconnect), at)
            if not task.cancelled():
                pool.db.resume()
            assert await asyncio.gather(*(is_granted(pool.db) for _ in range(2))) == [True, True]
            await asyncio.gather(*holder)
            await asyncio.sleep(5)
            pool.check_at_rest()
        assert at > (2 if disconnect else 1)


async def test_a_pause_that_disconnects_waits_for_a_connect_whose_caller_has_left() -> None:
    async with faked(2, Script(connect_s=3.0)) as pool:
        async with pool.db.acquire():
            with pytest.raises(TimeoutError):
                await pool.hold(0, timeout=1)
        await pool.db.pause(disconnect=True)
        assert pool.driver.size == pool.driver.connecting == 0
        await asyncio.sleep(20)
        assert pool.driver.size == 0


async def test_a_pause_that_disconnects_stays_without_connections_and_resume_opens_those_to_keep() -> None:
    async with faked(3, min_connections=2) as pool:
        await pool.db.pause(disconnect=True)
        pool.driver.script.connect_error = ConnectionRefusedError(111, "it is restarted")
        await asyncio.sleep(60)
        assert pool.driver.size == 0
        assert set(reasons(pool)) == {Reason.PAUSED}
        callers = pool.holds(0, 0, 0)
        await settle()
        pool.driver.script.connect_error = None
        pool.db.resume()
        assert await outcomes(*callers) == [None] * 3
        await asyncio.sleep(1)
        assert pool.driver.size >= 2


async def test_a_resume_opens_the_connections_to_keep_though_nobody_asks() -> None:
    async with faked(3, min_connections=2) as pool:
        await pool.db.pause(disconnect=True)
        await asyncio.sleep(1)
        pool.db.resume()
        await asyncio.sleep(1)
        assert pool.driver.size == 2


async def test_a_pause_that_disconnects_closes_also_what_no_free_permit_is_for() -> None:
    async with faked(3) as pool:
        await asyncio.gather(*pool.holds(0.1, 0.1, 0.1))
        pool.db.lane("kept", reserved=2)
        await pool.db.pause(disconnect=True)
        assert pool.driver.size == 0
        pool.db.resume()


async def test_a_resume_while_connections_are_being_closed_keeps_to_the_bound() -> None:
    async with faked(2, Script(discard_s=3.0)) as pool:
        await asyncio.gather(*pool.holds(0.1, 0.1))
        pausing = asyncio.create_task(pool.db.pause(disconnect=True))
        await asyncio.sleep(1)
        pool.db.resume()
        await asyncio.gather(*pool.holds(1, 1, 1))
        pool.driver.check()
        assert isinstance((await outcomes(pausing))[0], UsageError)


@pytest.mark.parametrize("held_s", [0.0, 2.0])
async def test_a_pause_that_disconnects_keeps_to_its_time_and_cuts_off_what_does_not_close(held_s: float) -> None:
    async with faked(2, Script(discard_s=NEVER)) as pool:
        await asyncio.gather(*pool.holds(0.1, 0.1))
        (holder,) = pool.holds(held_s)
        await settle()
        began = now()
        await pool.db.pause(timeout=3.0, disconnect=True)
        assert now() - began == pytest.approx(3)
        assert pool.driver.size == 0
        assert reasons(pool) == [Reason.PAUSED] * 2
        await holder
        pool.driver.script.discard_s = 0.0
        pool.db.resume()
        assert await is_granted(pool.db)


async def test_a_pause_that_is_closing_connections_when_the_pool_is_closed_says_so_at_once() -> None:
    async with faked(2, Script(discard_s=3.0)) as pool:
        pausing = asyncio.create_task(pool.db.pause(disconnect=True))
        await asyncio.sleep(1)
        began = now()
        closing = asyncio.create_task(pool.db.close())
        (error,) = await outcomes(pausing)
        assert isinstance(error, PoolClosed)
        assert now() == began
        await closing


async def test_an_idle_connection_being_kept_alive_is_waited_for_and_disconnected() -> None:
    async with faked(1, Script(ping_s=2.0), keepalive=10.0) as pool:
        while not pool.db.stats().held:
            await asyncio.sleep(0.5)
        await pool.db.pause(disconnect=True)
        assert (pool.driver.size, reasons(pool)) == (0, [Reason.PAUSED])


# Pause meets close


async def test_a_pool_closed_in_a_pause_refuses_those_who_waited_for_its_end() -> None:
    async with faked(1) as pool:
        await pool.db.pause()
        callers = pool.holds(0, 0)
        await settle()
        closing = asyncio.create_task(pool.db.close())
        assert {type(error) for error in await outcomes(*callers)} == {PoolClosed}
        await closing
        for use in (pool.db.pause, pool.db.close):
            (error,) = await outcomes(asyncio.create_task(use()))
            assert isinstance(error, PoolClosed if use == pool.db.pause else type(None))
        with pytest.raises(PoolClosed):
            pool.db.resume()


@pytest.mark.parametrize("held_s", [3.0, 100.0])
async def test_a_pause_whose_pool_is_closed_meanwhile_says_that_it_is_closed(held_s: float) -> None:
    async with faked(1) as pool:
        holder = pool.holds(held_s)
        await settle()
        pausing = asyncio.create_task(pool.db.pause(timeout=10))
        await settle()
        began = now()
        closing = asyncio.create_task(pool.db.close(timeout=5))
        (error,) = await outcomes(pausing)
        assert isinstance(error, PoolClosed)
        assert now() == began
        await closing
        assert Paused() not in pool.told
        await outcomes(*holder)
