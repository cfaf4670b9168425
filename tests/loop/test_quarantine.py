"""A permit is free when the server's end of its connection is gone, at most ``quarantine_timeout`` later.

The fake server counts, whenever one is opened, what is open, being opened and lingering: never more than the bound.
"""

from __future__ import annotations

import asyncio

import pytest

from dbpool import DatabasePool
from dbpool.errors import AcquireTimeout, QueryTimeout
from dbpool.events import ConnectionClosed, LeakSuspected, Quarantined, QuarantineEnded, Reason
from tests.support.fakes import Pool, cut_off, hold, kept_pool, open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import NEVER, Reply, Script

LINGERS_S = 5.0


def lingering(**script: float) -> Script:
    return Script(lingers_s=LINGERS_S, **script)  # type: ignore[arg-type] # its other fields are none of this file's


def unanswering(pool: Pool, ping_s: float = NEVER, discard_s: float = NEVER) -> None:
    """From now on nothing answers that rests."""
    pool.driver.script.ping_s, pool.driver.script.discard_s = ping_s, discard_s


# A lease ends


async def test_the_permit_of_a_connection_cut_off_by_its_holder_is_free_when_the_backend_is_gone() -> None:
    pool = await open_pool(1, lingering())
    began = now()
    await cut_off(pool)
    assert now() == began  # its holder is not kept
    assert (pool.leases.gate.held, pool.leases.zombies, pool.leases.idle, pool.driver.size) == (1, 1, 0, 0)
    assert await hold(pool) == 1
    assert now() - began == pytest.approx(LINGERS_S, abs=0.1)
    pool.check_at_rest()


async def test_only_the_permit_of_what_was_cut_off_is_kept_back() -> None:
    pool = await open_pool(3, lingering())
    began = now()
    await cut_off(pool)
    assert sorted(await asyncio.gather(*(hold(pool, 0.1) for _ in range(4)))) == [1, 1, 2, 2]
    assert now() - began < LINGERS_S
    assert pool.leases.zombies == 1
    await asyncio.sleep(LINGERS_S)
    pool.check_at_rest()


async def test_a_connection_that_does_not_close_in_time_is_waited_for_after_the_cut() -> None:
    pool = await open_pool(1, lingering(clean_s=NEVER, discard_s=NEVER), reset_timeout=2.0)
    began = now()
    await hold(pool, dirty=True)
    assert now() - began == pytest.approx(4, abs=0.1)  # two for the reset, two for the farewell
    assert pool.leases.zombies == 1
    assert await hold(pool) == 1
    assert now() - began == pytest.approx(4 + LINGERS_S, abs=0.1)
    pool.check_at_rest()


@pytest.mark.parametrize("clean_error", [None, ValueError("reset refused")])
async def test_an_orderly_end_leaves_nothing_to_wait_for(clean_error: Exception | None) -> None:
    pool = await open_pool(1, lingering())
    pool.driver.script.clean_error = clean_error
    told = pool.listen()
    await hold(pool, dirty=True)
    assert (pool.leases.gate.held, pool.leases.zombies) == (0, 0)
    assert [event for event in told if isinstance(event, Quarantined | QuarantineEnded)] == []
    pool.check_at_rest()


async def test_a_connection_that_the_server_ended_leaves_nothing_to_wait_for() -> None:
    pool = await open_pool(1, lingering())
    told = pool.listen()
    async with pool.leases.lease(1) as connection:
        connection.lose()  # type: ignore[attr-defined] # the fake's
    assert told == [ConnectionClosed(Reason.LOST, is_gone=True)]
    pool.check_at_rest()


async def test_a_statement_whose_cancel_goes_unanswered_keeps_its_permit_but_not_its_caller() -> None:
    pool = await open_pool(1, lingering(cancel_s=NEVER, discard_s=NEVER), reset_timeout=1.0)
    pool.driver.script.replies["slow"] = Reply(NEVER)
    with pytest.raises(QueryTimeout):
        await pool.ask("slow", timeout=1)
    assert now() == pytest.approx(1, abs=0.1)
    pool.driver.script.cancel_s = 0.0
    assert await hold(pool) == 1
    assert now() == pytest.approx(3 + LINGERS_S, abs=0.2)
    pool.check_at_rest()


def cancel_cleanups() -> None:
    for task in asyncio.all_tasks():
        if "Leases._clean" in repr(task.get_coro()):
            task.cancel()


async def test_a_cleanup_cancelled_before_its_first_turn_leaves_its_permit_in_quarantine() -> None:
    pool = await open_pool(1, lingering())
    async with pool.leases.lease(1) as connection:
        connection.is_broken = True
        asyncio.get_running_loop().call_soon(cancel_cleanups)
    assert (pool.leases.gate.held, pool.leases.zombies) == (1, 1)
    await asyncio.sleep(LINGERS_S + 0.1)
    pool.check_at_rest()


# A holder wants another connection


async def test_a_caller_whose_connection_does_not_answer_waits_for_its_end_before_a_new_one() -> None:
    pool = await open_pool(1, lingering(), reset_timeout=1.0)
    await asyncio.sleep(10)
    unanswering(pool)
    began = now()
    assert await hold(pool) == 1
    assert now() - began == pytest.approx(2 + LINGERS_S, abs=0.1)  # asked, told to close, seen off
    pool.check_at_rest()


async def test_all_that_rest_and_do_not_answer_are_seen_off_one_by_one() -> None:
    pool = await open_pool(3, lingering(), reset_timeout=1.0)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(3)))
    await asyncio.sleep(10)
    unanswering(pool)
    assert await hold(pool) == 3
    pool.check_at_rest()


async def test_a_connection_cut_off_at_rest_is_waited_for_by_the_caller_who_finds_it() -> None:
    pool = await open_pool(1, lingering())
    pool.driver.opened[0].terminate()
    assert await hold(pool) == 1
    assert now() == pytest.approx(LINGERS_S, abs=0.1)
    pool.check_at_rest()


async def test_a_caller_out_of_time_in_that_wait_leaves_the_permit_in_quarantine() -> None:
    pool = await open_pool(1, lingering(), reset_timeout=1.0)
    await asyncio.sleep(10)
    unanswering(pool)
    began = now()
    with pytest.raises(AcquireTimeout):
        await hold(pool, timeout=4)
    assert now() - began == pytest.approx(4, abs=0.02)
    assert (pool.leases.gate.held, pool.leases.zombies) == (1, 1)
    with pytest.raises(AcquireTimeout, match="in quarantine: the backend of its connection may live on"):
        await hold(pool, timeout=1)
    assert await hold(pool) == 1
    assert now() - began == pytest.approx(2 + LINGERS_S, abs=0.1)
    pool.check_at_rest()


@pytest.mark.parametrize("after_s", [0.5, 1.5, 2.0, 4.0, 2.0 + LINGERS_S])
async def test_a_caller_cancelled_at_any_stage_of_that_returns_at_once(after_s: float) -> None:
    pool = await open_pool(1, lingering(), reset_timeout=1.0)
    await asyncio.sleep(10)
    unanswering(pool)
    task = asyncio.create_task(hold(pool))
    await asyncio.sleep(after_s)
    task.cancel()
    began = now()
    await outcomes(task)
    assert task.cancelled()
    assert now() == began
    unanswering(pool, 0.0, 0.0)
    await hold(pool)
    await asyncio.sleep(0.1)
    pool.check_at_rest()


async def test_a_caller_cancelled_in_the_instant_the_backend_is_gone_frees_the_permit() -> None:
    pool = await open_pool(1, lingering())
    pool.driver.opened[0].terminate()
    task = asyncio.create_task(hold(pool))
    await settle()
    pool.driver.remains[0].end()
    for _ in range(4):  # from the end to its waiter there are a few turns of the loop
        await asyncio.sleep(0)
    task.cancel()
    await outcomes(task)
    await asyncio.sleep(0.1)
    pool.check_at_rest()


# Connections at rest


async def test_an_idle_connection_that_does_not_close_keeps_the_permit_it_is_closed_under() -> None:
    pool = await kept_pool(2, lingering(), max_idle=60.0, reset_timeout=1.0)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(2)))
    unanswering(pool, ping_s=0.001)
    while pool.leases.zombies < 2:
        await asyncio.sleep(0.5)
    assert pool.leases.gate.held == 2
    assert await hold(pool) == 2  # when the first of them is gone
    await asyncio.sleep(10)
    pool.check_at_rest()


async def test_a_permit_in_quarantine_is_no_leak() -> None:
    pool = await kept_pool(1, Script(lingers_s=NEVER), leak_after=1.0, quarantine_timeout=10.0)
    told = pool.listen()
    timers = pool.leases.loop.timers_started  # type: ignore[attr-defined] # the jumping loop's
    async with pool.leases.lease(1, site=pool.leases.gate.sites.of(0)) as connection:
        connection.terminate()
    await asyncio.sleep(9)
    assert [event for event in told if isinstance(event, LeakSuspected)] == []
    assert pool.leases.loop.timers_started - timers < 20  # type: ignore[attr-defined] # nor looked at all the time
    await asyncio.sleep(2)
    pool.check_at_rest()


async def facade(monkeypatch: pytest.MonkeyPatch, script: Script, max_connections: int) -> tuple[DatabasePool, Pool]:
    """A whole pool on a fake server, by its front and by its parts; open, with all its connections at rest."""
    pool = await open_pool(max_connections, script)
    monkeypatch.setattr("dbpool.pool.Leases", lambda *_, **__: pool.leases)
    db = await DatabasePool("postgresql://app@fake/shop", max_connections)
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(max_connections)))
    return db, pool


async def test_a_pause_that_disconnects_ends_when_the_backends_are_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    db, pool = await facade(monkeypatch, lingering(discard_s=NEVER), 3)
    began = now()
    await db.pause(disconnect=True)
    assert now() - began == pytest.approx(5 + LINGERS_S, abs=0.1)
    assert (pool.driver.size, pool.driver.lingering, db.stats().zombies) == (0, 0, 0)
    db.resume()
    await hold(pool)
    pool.check_at_rest()


@pytest.mark.parametrize("how", ["cancelled", "resumed"])
@pytest.mark.parametrize("after_s", [0.0, 1.0, 7.0])
async def test_a_pause_that_ends_while_it_disconnects_leaves_the_bound_true(
    monkeypatch: pytest.MonkeyPatch, how: str, after_s: float
) -> None:
    db, pool = await facade(monkeypatch, lingering(discard_s=NEVER), 3)
    pausing = asyncio.create_task(db.pause(disconnect=True))
    await settle()
    await asyncio.sleep(after_s)
    if how == "cancelled":
        pausing.cancel()
        await outcomes(pausing)
        assert pausing.cancelled()
    else:
        db.resume()
    await asyncio.gather(*(hold(pool, 1) for _ in range(6)))
    await outcomes(pausing)
    pool.check_at_rest()


# Connects that were given up


@pytest.mark.parametrize("capacity", [1, 3])
async def test_a_connect_given_up_keeps_the_place_of_a_connection(capacity: int) -> None:
    pool = await open_pool(capacity, lingering(), connect_timeout=1.0, outage_patience=60.0)
    await cut_off(pool)
    await asyncio.sleep(LINGERS_S + 0.1)
    pool.driver.script.connect_s = NEVER
    callers = [asyncio.create_task(hold(pool, timeout=2)) for _ in range(capacity)]
    await asyncio.sleep(1.5)
    assert pool.leases.zombies == pool.leases.connector.opening == pool.driver.lingering == capacity
    assert {type(end) for end in await outcomes(*callers)} == {AcquireTimeout}
    assert pool.leases.gate.held == 0  # it is the opener that keeps the place
    tried = pool.driver.connects_tried
    pool.driver.script.connect_s = 0.01
    began = now()
    await asyncio.gather(*(hold(pool) for _ in range(capacity)))
    assert now() - began == pytest.approx(LINGERS_S - 1, abs=0.6)  # with a pause between two tries
    assert pool.driver.connects_tried > tried
    await asyncio.sleep(LINGERS_S)
    pool.check_at_rest()


async def test_a_connect_given_up_keeps_its_place_no_longer_than_the_settings_say() -> None:
    pool = await open_pool(1, connect_timeout=1.0, quarantine_timeout=3.0, outage_patience=60.0)
    pool.driver.opened[0].lose()
    pool.driver.script.lingers_s = NEVER
    pool.driver.script.connect_faults.append(NEVER)
    assert await hold(pool) == 1
    assert now() == pytest.approx(1 + 3, abs=0.6)
    pool.check_at_rest()


async def test_a_spare_serves_those_who_wait_behind_a_connect_given_up() -> None:
    pool = await open_pool(2, lingering(), connect_timeout=1.0)
    holder = asyncio.create_task(hold(pool, 2))
    await settle()
    pool.driver.script.connect_faults.append(NEVER)
    assert await hold(pool) == 0
    assert now() == pytest.approx(2, abs=0.1)
    await holder
    assert pool.leases.zombies == 1
    await asyncio.sleep(10)
    pool.check_at_rest()
