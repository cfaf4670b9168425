"""Connections kept fresh while nobody looks."""

from __future__ import annotations

import asyncio
import logging

import pytest

from dbpool import events, upkeep
from dbpool.events import ConnectionClosed, ConnectionOpened, Event, Reason
from tests.support.fakes import Pool, hold, kept_pool
from tests.support.loops import JumpingLoop, now, settle
from tests.support.script import Reply, Script


def reasons(told: list[Event]) -> list[Reason]:
    return [event.reason for event in told if isinstance(event, ConnectionClosed)]


def listen(pool: Pool) -> list[Event]:
    told: list[Event] = []
    pool.leases.events.on(told.append)
    return told


async def test_connections_idle_for_too_long_are_closed_down_to_those_to_keep() -> None:
    pool = await kept_pool(5, max_idle=60.0, min_connections=2)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(5)))
    await asyncio.sleep(59)
    assert pool.driver.size == 5
    await asyncio.sleep(8)
    assert pool.leases.idle == pool.driver.size == 2
    await asyncio.sleep(1000)
    assert pool.driver.size == 2
    pool.check_at_rest()


async def test_those_that_rested_longest_are_closed_first() -> None:
    pool = await kept_pool(3, max_idle=60.0, max_lifetime=1e6)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(3)))
    used = await hold(pool)
    while now() < 100:
        assert await hold(pool, 0.1) == used  # the one that rested least is used first
        await asyncio.sleep(1)
    assert {connection.number for connection in pool.driver.open_now} == {used}
    pool.check_at_rest()


async def test_connections_too_old_are_closed_at_rest_even_those_to_keep() -> None:
    pool = await kept_pool(3, max_lifetime=60.0, max_idle=1000.0, min_connections=3)
    await asyncio.sleep(0.1)
    old = set(pool.driver.open_now)
    assert len(old) == 3
    await asyncio.sleep(66)
    assert all(connection.is_closed() for connection in old)
    pool.check()


async def test_closing_an_idle_connection_holds_a_permit_until_it_is_gone() -> None:
    pool = await kept_pool(2, Script(discard_s=3.0), max_idle=60.0)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(2)))
    while pool.leases.idle:
        await asyncio.sleep(0.5)
    assert pool.leases.gate.held == 2
    assert pool.driver.size == 2
    assert await hold(pool) == 2  # a place is free only when an old one is gone, and never a third is open
    await asyncio.sleep(10)
    pool.check_at_rest()


async def test_idle_connections_are_closed_only_while_a_permit_is_free() -> None:
    pool = await kept_pool(1, max_idle=10.0)
    async with pool.leases.gate.enter():
        await asyncio.sleep(30)
        assert pool.leases.idle == 1
    await asyncio.sleep(10)
    assert pool.leases.idle == 0
    pool.check_at_rest()


async def test_a_connection_in_use_that_is_too_old_is_closed_when_its_lease_ends_and_not_handed_on() -> None:
    pool = await kept_pool(1, max_lifetime=10.0)
    told = listen(pool)
    first = asyncio.create_task(hold(pool, 20.0))
    await settle()
    line = [asyncio.create_task(pool.ask()) for _ in range(3)]
    await asyncio.gather(first, *line)
    assert reasons(told) == [Reason.TOO_OLD]
    assert pool.driver.connects_tried == 2
    pool.check_at_rest()


async def test_a_saturated_pool_replaces_old_connections_too() -> None:
    pool = await kept_pool(2, max_lifetime=60.0)
    pool.driver.script.replies["select"] = Reply(after_s=0.2)
    told = listen(pool)

    async def work() -> None:
        while now() < 200:
            await pool.ask()

    await asyncio.gather(*(work() for _ in range(5)))
    assert set(reasons(told)) == {Reason.TOO_OLD}
    assert len(reasons(told)) >= 5
    pool.check_at_rest()


async def test_connections_to_keep_are_opened_again_when_they_are_lost() -> None:
    pool = await kept_pool(3, min_connections=2)
    await asyncio.sleep(0.1)
    told = listen(pool)
    for connection in list(pool.driver.open_now):
        connection.lose()
    await asyncio.sleep(12)
    assert pool.leases.idle == pool.driver.size == 2
    assert reasons(told) == [Reason.LOST] * 2
    assert sum(isinstance(event, ConnectionOpened) for event in told) == 2
    pool.check_at_rest()


async def test_connections_to_keep_are_tried_for_as_long_as_the_server_is_gone() -> None:
    pool = await kept_pool(2, min_connections=2)
    await asyncio.sleep(0.1)
    pool.driver.script.connect_error = ConnectionRefusedError(111, "nobody listens")
    for connection in list(pool.driver.open_now):
        connection.lose()
    await asyncio.sleep(60)
    assert pool.leases.gate.held <= 2
    pool.driver.script.connect_error = None
    await asyncio.sleep(30)
    assert pool.leases.idle == pool.driver.size == 2
    pool.check_at_rest()


async def test_the_connection_that_rested_longest_is_kept_alive_and_ages_all_the_same() -> None:
    pool = await kept_pool(2, keepalive=20.0, max_idle=100.0)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(2)))
    oldest, other = pool.leases.resting
    await asyncio.sleep(50)
    pings = [connection.pinged_total for connection in pool.driver.opened]
    assert all(pings), pings
    assert pool.leases.resting == [oldest, other]
    await asyncio.sleep(60)
    assert pool.driver.size == 0
    pool.check_at_rest()


async def test_every_idle_connection_is_asked_in_its_time_however_many_there_are() -> None:
    pool = await kept_pool(40, Script(ping_s=0.05), keepalive=10.0, max_idle=1e6)
    await asyncio.gather(*(hold(pool, 5) for _ in range(40)))
    while now() < 100:
        quiet_s = [now() - connection.seen_alive_at for connection in pool.leases.resting]
        assert max(quiet_s) < 11
        assert pool.leases.gate.held <= upkeep.ASKED_AT_ONCE
        await asyncio.sleep(0.02)
    pings = [connection.pinged_total for connection in pool.driver.opened]
    assert 8 <= min(pings) <= max(pings) <= 10
    pool.upkeep.stop()
    await pool.leases.close(1)


async def test_a_short_time_of_rest_is_kept_too() -> None:
    pool = await kept_pool(2, max_idle=0.5, max_lifetime=1e6)
    await hold(pool, 1.0)
    came_to_rest = now()
    told = listen(pool)
    while not told:
        await asyncio.sleep(0.01)
    assert reasons(told) == [Reason.IDLE]
    assert 0.5 <= now() - came_to_rest < 0.6
    pool.check_at_rest()


async def test_what_no_permit_is_free_for_is_not_looked_at_all_the_time() -> None:
    pool = await kept_pool(1, max_idle=1.0, keepalive=1.0, max_lifetime=1.0)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, JumpingLoop)
    async with pool.leases.gate.enter():
        before = loop.timers_started
        await asyncio.sleep(60)
        assert loop.timers_started - before < 200
    await asyncio.sleep(6)
    assert pool.driver.size == 0
    pool.check_at_rest()


async def test_a_connection_that_does_not_answer_its_keepalive_is_closed() -> None:
    pool = await kept_pool(1, keepalive=20.0)
    told = listen(pool)
    pool.driver.opened[0].peer_is_gone = True
    await asyncio.sleep(30)
    assert reasons(told) == [Reason.UNANSWERED]
    pool.check_at_rest()


async def test_draining_replaces_every_connection_once_evenly_in_the_time_given() -> None:
    pool = await kept_pool(4, min_connections=4, max_idle=1000.0)
    await asyncio.sleep(0.1)
    told = listen(pool)
    old = set(pool.driver.open_now)
    began = now()
    assert pool.upkeep.drain(40.0) == 4
    closed_at: list[float] = []
    pool.leases.events.on(lambda event: closed_at.append(now()) if isinstance(event, ConnectionClosed) else None)
    await asyncio.sleep(60)
    assert reasons(told) == [Reason.DRAINED] * 4
    assert not old & pool.driver.open_now
    assert [round((at - began) / 10) for at in closed_at] == [0, 1, 2, 3]
    await asyncio.sleep(100)
    assert len(reasons(told)) == 4
    pool.check_at_rest()


async def test_a_connection_to_be_drained_later_that_ends_before_is_told_with_what_ended_it() -> None:
    pool = await kept_pool(3, max_lifetime=1e6)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(3)))
    told = listen(pool)
    pool.upkeep.drain(600.0)
    await asyncio.sleep(1)
    pool.leases.resting[0].terminate()
    await asyncio.sleep(6)
    await pool.leases.close(1)
    assert reasons(told) == [Reason.DRAINED, Reason.LOST, Reason.POOL_CLOSED]


async def test_draining_at_once_spares_what_a_lease_holds_until_it_ends() -> None:
    pool = await kept_pool(2)
    told = listen(pool)
    holder = asyncio.create_task(hold(pool, 5.0))
    await settle()
    await hold(pool)
    pool.upkeep.drain(0.0)
    await asyncio.sleep(1)
    assert len(reasons(told)) == 1
    assert await holder == 0
    await asyncio.sleep(0.1)
    assert reasons(told) == [Reason.DRAINED] * 2
    pool.check_at_rest()


async def test_a_lease_held_for_too_long_is_reported_with_where_it_stands_and_again_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = await kept_pool(2, leak_after=2.0)
    told = listen(pool)

    async def forgetful() -> None:
        async with pool.leases.lease(1, site=pool.leases.gate.sites.of(1)):
            await asyncio.sleep(10)

    with caplog.at_level(logging.WARNING, "dbpool"):
        task = asyncio.create_task(forgetful(), name="forgetful one")
        await asyncio.sleep(4)
        (suspected,) = told
        assert isinstance(suspected, events.LeakSuspected)
        assert suspected.holder.task == "forgetful one"
        assert "in test_a_lease_held_for_too_long" in suspected.holder.stack[-1]
        assert 1.999 <= suspected.holder.seconds < 2.2
        await task
        await asyncio.sleep(6)
    assert [type(event) for event in told] == [events.LeakSuspected, events.LeakReturned]
    assert "held for longer than leak_after=2 s" in caplog.text
    assert "returned after all: held 10.00 s by task 'forgetful one', from loop/test_upkeep.py" in caplog.text
    assert isinstance(told[1], events.LeakReturned)
    assert (round(told[1].holder.seconds, 2), told[1].holder.stack) == (10.0, ())
    pool.check_at_rest()


async def test_nobody_is_suspected_who_gives_back_in_time() -> None:
    pool = await kept_pool(1, leak_after=2.0)
    told = listen(pool)
    for _ in range(10):
        async with pool.leases.lease(1, site=pool.leases.gate.sites.of(1)):
            await asyncio.sleep(1.9)
    assert told == []
    pool.check_at_rest()


async def test_a_look_costs_nothing_to_those_who_wait_in_line() -> None:
    pool = await kept_pool(1, Script(discard_s=1.0), max_idle=2.0)
    holder = asyncio.create_task(hold(pool, 30.0))
    await settle()
    line = [asyncio.create_task(pool.ask("select", number)) for number in range(3)]
    pool.upkeep.look()
    assert [rows[0] for rows in await asyncio.gather(*line)] == [[0], [1], [2]]
    await holder
    await asyncio.sleep(20)
    pool.check_at_rest()
