"""A pool that is resized and drained in the very instants in which something else happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from dbpool.core.pacing import Rate
from dbpool.errors import SettingsError, UsageError
from dbpool.events import ConnectionClosed, Event, LeakSuspected, Reason, Resized
from tests.support.facade import Faked, faked
from tests.support.loops import JumpingLoop, now, settle
from tests.support.script import Script


def reasons(pool: Faked) -> list[Reason]:
    return [event.reason for event in pool.told if isinstance(event, ConnectionClosed)]


async def test_connections_that_come_while_the_pool_is_made_smaller_are_closed_when_their_lease_ends() -> None:
    async with faked(4, Script(connect_s=2.0)) as pool:
        holders = pool.holds(2.5, 2.5, 2.5, 2.5)
        await asyncio.sleep(1)
        assert pool.driver.connecting == 3
        pool.db.resize(2)
        await asyncio.gather(*holders)
        await asyncio.sleep(0.1)
        assert pool.driver.size == 2
        assert reasons(pool) == [Reason.SURPLUS] * 2


async def test_a_connection_that_comes_for_nobody_once_the_pool_is_smaller_is_closed_at_once() -> None:
    async with faked(4, Script(connect_s=2.0), max_connecting=4) as pool:
        callers = pool.holds(5, 5, 5, 5)
        await asyncio.sleep(0.1)
        for caller in callers[1:]:
            caller.cancel()
        pool.db.resize(1)
        await asyncio.sleep(2.5)
        assert pool.driver.size == 1
        assert reasons(pool) == [Reason.SURPLUS] * 3
        await asyncio.wait(callers)


async def test_a_resize_to_the_same_size_is_no_event() -> None:
    async with faked(2) as pool:
        pool.db.resize(2)
        assert pool.told == []
        pool.db.resize(3)
        assert pool.told == [Resized(2, 3)]


async def test_what_cannot_be_is_refused_with_what_may_be() -> None:
    async def wait(_: Event) -> None: ...

    class Waits:
        async def __call__(self, _: Event) -> None: ...

    async with faked(3, min_connections=2) as pool:
        with pytest.raises(SettingsError, match=r"spread_over must be a finite number of seconds, 0 to 1e9, not -1"):
            pool.db.drain(spread_over=-1)
        with pytest.raises(SettingsError, match="max_connections cannot become 1: min_connections is 2"):
            pool.db.resize(1)
        for listener in (wait, partial(wait), Waits()):
            with pytest.raises(UsageError, match="called, not awaited"):
                pool.db.on_event(listener)
        pool.db.resize(2)
        assert pool.db.drain(spread_over=0) == 2
        await asyncio.sleep(1)


async def test_idle_connections_beyond_the_new_size_are_closed_at_once_though_every_permit_is_held() -> None:
    async with faked(4) as pool:
        await asyncio.gather(*pool.holds(0.1, 0.1, 0.1, 0.1))
        holders = pool.holds(50, 50)
        await settle()
        pool.db.resize(2)
        await asyncio.sleep(0.1)
        assert pool.driver.size == 2
        assert reasons(pool) == [Reason.SURPLUS] * 2
        await asyncio.gather(*holders)


async def test_a_pool_made_smaller_and_larger_at_once_never_opens_more_than_it_may_have() -> None:
    async with faked(4, Script(discard_s=3.0)) as pool:
        await asyncio.gather(*pool.holds(0.1, 0.1, 0.1, 0.1))
        holders = pool.holds(20, 20)
        await settle()
        pool.db.resize(2)
        await asyncio.sleep(1)
        pool.db.resize(4)
        await asyncio.gather(*holders, *pool.holds(1, 1, 1, 1))
        pool.driver.check()


async def test_those_in_line_get_what_is_more_at_once_and_are_not_forgotten_when_it_is_less_again() -> None:
    async with faked(1, Script(connect_s=0.001)) as pool:
        holders = pool.holds(*[10] * 6)
        await settle()
        pool.db.resize(3)
        assert (pool.db.stats().held, pool.db.stats().waiting) == (3, 3)
        pool.db.resize(1)
        assert (pool.db.stats().held, pool.db.stats().waiting) == (3, 3)
        pool.db.resize(2)
        await asyncio.gather(*holders)
        assert now() == pytest.approx(30, abs=0.2)  # three at first, then two, and the one that is left
        await asyncio.sleep(0.1)
        assert pool.driver.size <= 2


async def test_a_paused_pool_can_be_resized_and_serves_by_its_new_size_when_it_is_resumed() -> None:
    async with faked(1) as pool:
        await pool.db.pause()
        holders = pool.holds(1, 1, 1)
        await settle()
        pool.db.resize(3)
        assert pool.db.stats().held == 0
        pool.db.resume()
        assert pool.db.stats().held == 3
        await asyncio.gather(*holders)


async def test_a_pace_is_kept_by_one_timer_however_often_the_pool_is_paused_and_resized() -> None:
    async with faked(1) as pool:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, JumpingLoop)
        lane = pool.db.lane("paced", rate=Rate(1, per=10))
        calls = [asyncio.create_task(lane.fetch("select 1", timeout=1000)) for _ in range(12)]
        await settle()
        for size in (1, 2) * 10:
            pool.db.resize(size)
            await pool.db.pause()
            pool.db.resume()
        before = loop.timers_started
        await asyncio.sleep(50)
        assert loop.timers_started - before < 100  # upkeep has its own
        await asyncio.gather(*calls)
        assert now() == pytest.approx(110, abs=1)


# Upkeep


def in_one_step(pool: Faked) -> Iterator[Callable[[], object]]:
    yield partial(pool.db.resize, 5)
    yield partial(pool.db.resize, 5)
    yield pool.db.drain


async def test_looking_several_times_in_one_step_opens_what_is_missing_once() -> None:
    async with faked(5, min_connections=2) as pool:
        for connection in list(pool.driver.open_now):
            connection.lose()
        pool.told.clear()
        tried = pool.driver.connects_tried
        for operate in in_one_step(pool):
            operate()
        await asyncio.sleep(1)
        assert pool.driver.connects_tried - tried == 2


async def test_draining_while_connections_are_opened_replaces_the_others_and_keeps_the_new() -> None:
    async with faked(3, Script(connect_s=1.0)) as pool:
        (old,) = pool.driver.open_now
        holders = pool.holds(5, 5, 5)
        await asyncio.sleep(0.5)
        assert pool.db.drain() == 1
        await asyncio.gather(*holders)
        await asyncio.sleep(0.1)
        assert reasons(pool) == [Reason.DRAINED]
        assert old.is_closed()
        assert pool.driver.size == 2


async def test_a_connection_drained_in_a_statement_is_not_handed_on_to_the_next_in_line() -> None:
    async with faked(1) as pool:
        calls = [asyncio.create_task(pool.db.fetchval("select $1", number)) for number in range(3)]
        await settle()
        assert pool.db.drain() == 1
        assert await asyncio.gather(*calls) == [0, 1, 2]
        assert reasons(pool) == [Reason.DRAINED]
        assert pool.driver.connects_tried == 2


async def test_a_drain_in_the_instant_of_a_hand_off_costs_nobody_anything() -> None:
    async with faked(1) as pool:
        async with pool.db.acquire():
            (next_one,) = pool.holds(1)
            calls = [asyncio.create_task(pool.db.fetchval("select $1", number)) for number in range(2)]
            await settle()
        pool.db.drain()  # the next one has permit and connection, and has not woken up yet
        await next_one
        assert await asyncio.gather(*calls) == [0, 1]
        assert reasons(pool) == [Reason.DRAINED]


async def test_callers_that_come_while_upkeep_has_the_last_permit_are_served_when_it_is_done() -> None:
    async with faked(1, Script(ping_s=2.0), keepalive=10.0) as pool:
        while not pool.db.stats().held:
            await asyncio.sleep(0.5)
        calls = [asyncio.create_task(pool.db.fetchval("select $1", number)) for number in range(3)]
        await settle()
        assert pool.db.stats().waiting == 3
        assert await asyncio.gather(*calls) == [0, 1, 2]
        assert pool.driver.connects_tried == 1


@pytest.mark.parametrize("doing", ["asking", "opening"])
async def test_upkeep_cancelled_before_its_first_turn_keeps_no_permit(doing: str) -> None:
    """As when a program cancels every task of its loop."""
    async with faked(2, keepalive=10.0, min_connections=1) as pool:
        (connection,) = pool.driver.open_now
        if doing == "opening":
            connection.lose()

        def is_busy() -> bool:
            return bool(pool.db.stats().held or pool.db.stats().opening)

        while not is_busy():
            pool.db.resize(2)  # has upkeep look
            if not is_busy():
                await asyncio.sleep(1)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await asyncio.sleep(0.1)
        assert pool.db.stats().held == 0
        await pool.hold(0, timeout=1)
        await asyncio.sleep(5)


async def test_a_listener_that_resizes_the_pool_while_upkeep_looks_does_not_keep_a_closed_pool_awake() -> None:
    async with faked(2, leak_after=2.0) as pool:
        pool.db.on_event(lambda event: pool.db.resize(2) if isinstance(event, LeakSuspected) else None)
        (holder,) = pool.holds(3)
        await asyncio.sleep(2.5)
        assert pool.told
        await holder
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    before = loop.timers_started
    await asyncio.sleep(1000)
    assert loop.timers_started - before < 10
