"""Connecting: on the pool's time, a few at once, one prober while it fails, and the cause told at once."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from dbpool.errors import AcquireTimeout, PoolClosed, ServerUnavailable
from tests.support.fakes import Pool, hold, new_pool, open_pool
from tests.support.loops import now, outcomes, settle
from tests.support.script import NEVER, Script

REFUSED = ConnectionRefusedError(111, "nobody listens")
PATIENCE_S = 1.0


async def open_and_lost(max_connections: int = 1, **options: float) -> Pool:
    """A pool whose server has just gone away, taking every connection with it."""
    pool = await open_pool(max_connections, None, **options)
    pool.driver.script.connect_error = REFUSED
    for connection in list(pool.driver.open_now):
        connection.lose()
    return pool


async def test_connecting_goes_on_for_a_caller_that_was_cancelled_and_leaves_a_spare() -> None:
    pool = await open_pool(2)
    async with pool.leases.lease(1):
        task = asyncio.create_task(hold(pool, 0))
        await settle()
        assert pool.leases.connector.opening == 1
        task.cancel()
        await outcomes(task)
        assert pool.leases.gate.held == 1
        assert pool.leases.connector.opening == 1
        await asyncio.sleep(0.1)
        assert pool.leases.idle == 1
    pool.check_at_rest()
    assert pool.driver.connects_tried == 2


async def test_the_next_caller_takes_over_the_connect_of_one_that_was_cancelled() -> None:
    pool = await open_pool(2)
    async with pool.leases.lease(1):
        first = asyncio.create_task(hold(pool, 0))
        await settle()
        first.cancel()
        assert await hold(pool, 0) == 1
    assert pool.driver.connects_tried == 2
    pool.check_at_rest()


async def test_a_caller_cancelled_in_the_instant_a_connection_is_given_to_it_gives_it_on() -> None:
    pool = await open_pool(3)
    pool.driver.script.connect_s = 5.0
    async with pool.leases.lease(1):
        first, second = asyncio.create_task(hold(pool)), asyncio.create_task(hold(pool))
        await settle()
    first.cancel()  # the connection is its, but it is not awake
    assert await second == 0
    assert now() < 1
    assert first.cancelled()
    await asyncio.sleep(10)
    pool.check_at_rest()


async def test_those_who_wait_for_a_connection_get_one_in_the_order_in_which_they_came() -> None:
    pool = await open_pool(4)
    pool.driver.script.connect_s = 5.0
    order: list[int] = []

    async def use(number: int) -> None:
        async with pool.leases.lease(20):
            order.append(number)

    async with pool.leases.lease(1):
        tasks = [asyncio.create_task(use(number)) for number in range(3)]
        await settle()
    await asyncio.gather(*tasks)
    assert order == [0, 1, 2]


async def test_a_caller_closed_while_it_waits_for_a_connect_takes_none() -> None:
    pool = await open_pool(2)
    async with pool.leases.lease(1):
        work = pool.leases.connector.obtain()
        work.send(None)
        work.close()  # GeneratorExit
        await asyncio.sleep(1)
        assert pool.leases.idle == 1
    pool.check_at_rest()


@pytest.mark.parametrize("most", [1, 2, 3])
async def test_no_more_connects_at_once_than_allowed(most: int) -> None:
    pool = await open_pool(10, max_connecting=most)
    await asyncio.gather(*(hold(pool, 1) for _ in range(10)))
    assert pool.driver.most_connecting == most
    assert pool.driver.size == 10
    pool.check_at_rest()


async def test_opening_with_connections_to_keep_connects_no_more_at_once_than_allowed() -> None:
    pool = await open_pool(10, min_connections=8, max_connecting=2)
    await asyncio.sleep(1)
    assert pool.driver.most_connecting <= 2
    assert pool.leases.idle == pool.driver.size == 8
    pool.check_at_rest()


async def test_a_connection_given_back_goes_to_the_caller_that_waits_for_a_connect() -> None:
    pool = await open_pool(2)
    pool.driver.script.connect_faults.append(5.0)
    first = asyncio.create_task(hold(pool, 1))
    await settle()
    began = now()
    assert await hold(pool, 0) == 0
    assert now() - began == pytest.approx(1)
    await first
    await asyncio.sleep(10)
    assert pool.leases.idle == 2  # the connect went on
    pool.check_at_rest()


async def test_a_hiccup_is_waited_out() -> None:
    pool = await open_and_lost()
    asyncio.get_running_loop().call_later(0.5, setattr, pool.driver.script, "connect_error", None)
    assert await hold(pool, 0) == 1
    assert now() < PATIENCE_S + 1
    pool.check_at_rest()


async def test_a_caller_waits_for_as_long_as_the_patience_and_then_fails_with_the_cause() -> None:
    pool = await open_and_lost()
    began = now()
    with pytest.raises(ServerUnavailable, match=r"shop.*fake.*nobody listens.*failed connects") as failure:
        await hold(pool, 0)
    assert PATIENCE_S <= now() - began <= PATIENCE_S + 1.1  # the backoff before the last try, and that try
    assert failure.value.__cause__ is REFUSED
    await settle()
    assert pool.leases.gate.held == 0


async def test_each_caller_is_told_of_an_outage_with_its_lane_in_line_and_after() -> None:
    pool = await open_and_lost(2)
    web = pool.lane("web")
    for _ in range(2):
        ends = await outcomes(*(asyncio.create_task(hold(pool, 0, line=line)) for line in (None, web)))
        named = [str(end).partition(" for ")[2].partition(":")[0] for end in ends]
        assert named == ["pool 'shop'", "lane 'web' of pool 'shop'"]


async def test_once_patience_is_over_callers_fail_at_once() -> None:
    pool = await open_and_lost(3)
    callers = [asyncio.create_task(hold(pool, 0)) for _ in range(20)]
    results = await outcomes(*callers)
    assert {type(error) for error in results} == {ServerUnavailable}
    assert len({id(error) for error in results}) == 20  # one each: a traceback is not shared
    await asyncio.sleep(1.1)  # the next try is due
    pool.driver.script.connect_s = 3.0  # but hangs
    probing = asyncio.create_task(hold(pool, 0))
    await asyncio.sleep(2)
    for _ in range(10):
        began = now()
        with pytest.raises(ServerUnavailable):
            await hold(pool, 0)
        assert now() == began
    await outcomes(probing)


async def test_one_prober_goes_on_during_an_outage() -> None:
    pool = await open_and_lost(10, max_connecting=5)
    pool.driver.most_connecting = 0
    callers = [asyncio.create_task(hold(pool, 0)) for _ in range(10)]
    await asyncio.sleep(0.02)  # the first ones have failed
    assert pool.leases.connector.opening == 1
    pool.driver.most_connecting = 0
    await outcomes(*callers)
    assert pool.driver.most_connecting == 1


async def test_probing_backs_off() -> None:
    pool = await open_and_lost(outage_patience=1000.0)
    tried = pool.driver.connects_tried
    with pytest.raises(AcquireTimeout, match="failed connects"):
        await hold(pool, 0, timeout=100)
    assert 100 <= pool.driver.connects_tried - tried <= 400  # at most a second between, half a second on average


async def test_nobody_probes_when_nobody_waits() -> None:
    pool = await open_and_lost()
    with pytest.raises(ServerUnavailable):
        await hold(pool, 0)
    await asyncio.sleep(5)
    tried = pool.driver.connects_tried
    await asyncio.sleep(100)
    assert pool.driver.connects_tried == tried
    assert pool.leases.connector.opening == 0


async def test_after_an_outage_the_first_caller_connects_and_all_is_well() -> None:
    pool = await open_and_lost(5)
    await outcomes(*(asyncio.create_task(hold(pool, 0)) for _ in range(5)))
    pool.driver.script.connect_error = None
    await asyncio.sleep(1.1)
    assert await hold(pool, 0) == 1
    await asyncio.gather(*(hold(pool, 0.1) for _ in range(50)))
    pool.check_at_rest()
    assert pool.driver.size == 5


async def test_all_who_come_together_long_after_an_outage_are_served() -> None:
    """They were refused beside the one whose connect found out that it was over."""
    pool = await open_and_lost(5, outage_patience=1.0)
    await outcomes(asyncio.create_task(hold(pool, 0)))
    await asyncio.sleep(3600)
    pool.driver.script.connect_error = None
    assert len(await asyncio.gather(*(hold(pool, 0.1) for _ in range(50)))) == 50
    pool.check_at_rest()


async def test_those_who_wait_when_the_server_comes_back_are_served() -> None:
    pool = await open_and_lost(3, outage_patience=60.0)
    callers = [asyncio.create_task(hold(pool, 0.1)) for _ in range(12)]
    await asyncio.sleep(10)
    pool.driver.script.connect_error = None
    results = await outcomes(*callers)
    assert set(results) <= {1, 2, 3}
    assert now() < 10 + 3
    pool.check_at_rest()


async def test_with_a_live_connection_left_nobody_is_refused() -> None:
    pool = await open_pool(2)
    pool.driver.script.connect_error = REFUSED
    holder = asyncio.create_task(hold(pool, 20))
    await settle()
    assert await hold(pool, 0) == 0  # waits 20 s for the one that is left, far beyond the patience
    await holder
    assert now() >= 20


async def test_when_the_last_connection_dies_those_who_waited_for_it_fail() -> None:
    pool = await open_pool(2)
    pool.driver.script.connect_error = REFUSED
    holder = asyncio.create_task(hold(pool, 20))
    waiting = asyncio.create_task(hold(pool, 0))
    await asyncio.sleep(5)
    assert not waiting.done()
    for connection in list(pool.driver.open_now):
        connection.lose()
    (error,) = await outcomes(waiting)
    assert isinstance(error, ServerUnavailable)
    assert now() < 7
    await outcomes(holder)


@pytest.mark.parametrize("error", [asyncpg.InvalidPasswordError("no"), asyncpg.InvalidCatalogNameError("no")])
async def test_a_server_that_denies_fails_callers_at_once(error: Exception) -> None:
    pool = await open_and_lost(3)
    pool.driver.script.connect_error = error
    began = now()
    results = await outcomes(*(asyncio.create_task(hold(pool, 0)) for _ in range(10)))
    assert {type(result) for result in results} == {ServerUnavailable}
    assert {result.__cause__ for result in results} == {error}
    assert now() - began < 0.1
    assert "Check the user" in str(results[0])


async def test_a_server_with_no_room_is_waited_for() -> None:
    pool = await open_and_lost()
    pool.driver.script.connect_error = None
    pool.driver.script.connect_faults.append(asyncpg.TooManyConnectionsError("sorry, too many clients already"))
    assert await hold(pool, 0) == 1


async def test_an_acquire_timeout_while_connecting_tells_the_last_connect_error() -> None:
    pool = await open_and_lost(outage_patience=60.0)
    began = now()
    with pytest.raises(AcquireTimeout, match="nobody listens"):
        await hold(pool, 0, timeout=2)
    assert now() - began == pytest.approx(2)
    assert pool.leases.gate.held == 0


async def test_a_connect_that_hangs_costs_its_caller_no_more_than_its_timeout() -> None:
    pool = await open_pool(2)
    pool.driver.script.connect_faults.append(NEVER)
    async with pool.leases.lease(1):
        began = now()
        with pytest.raises(AcquireTimeout):
            await hold(pool, 0, timeout=2)
        assert now() - began == pytest.approx(2)
        assert pool.leases.gate.held == 1
    await pool.leases.close(1)


@pytest.mark.parametrize("by", ["lease", "statement"])
async def test_a_time_out_while_a_connect_hangs_tells_of_the_whole_wait_and_of_the_connect(by: str) -> None:
    pool = await open_pool(2)
    pool.driver.script.connect_s = 9.0
    async with pool.leases.lease(1):
        holder = asyncio.create_task(hold(pool, 0, timeout=1.5))
        await settle()
        blocker = asyncio.create_task(hold(pool, 0, timeout=0.5))
        asked = hold(pool, 0, timeout=4) if by == "lease" else pool.ask(timeout=4)
        with pytest.raises(AcquireTimeout, match=r"after 4\.00 s: .*A connect has been under way for 4\.0 s") as told:
            await asked
        assert told.value.waited_s == pytest.approx(4, abs=0.02)
        assert "Shorten" not in str(told.value)
        first, second = await outcomes(holder, blocker)
        assert "A connect has been under way for 1.5 s" in str(first)
        assert "Shorten its transactions" in str(second)  # in line, for less time than a connect may well take
    await asyncio.sleep(10)
    pool.check_at_rest()


async def test_one_that_times_out_in_line_behind_a_connect_that_hangs_is_told_of_it() -> None:
    pool = await open_pool(2)
    pool.driver.script.connect_s = 9.0
    async with pool.leases.lease(1):
        holder = asyncio.create_task(hold(pool, 0, timeout=5))
        await settle()
        with pytest.raises(AcquireTimeout, match=r"2 of 2 permits held.*A connect has been under way for 2\.0 s"):
            await hold(pool, 0, timeout=2)
        await outcomes(holder)
    await asyncio.sleep(10)
    pool.check_at_rest()


async def test_opening_a_pool_without_a_server_says_so() -> None:
    pool = new_pool(3, Script(connect_error=REFUSED))
    with pytest.raises(ServerUnavailable) as failure:
        await pool.leases.open()
    assert failure.value.__cause__ is REFUSED
    assert now() < 3
    await pool.leases.close(1)
    pool.check_at_rest()


async def test_closing_fails_those_who_wait_for_a_connect_and_stops_it() -> None:
    pool = await open_pool(3)
    pool.driver.script.connect_s = NEVER
    async with pool.leases.lease(1):
        callers = [asyncio.create_task(hold(pool, 0)) for _ in range(2)]
        await settle()
        closing = asyncio.create_task(pool.leases.close(5))
        began = now()
        results = await outcomes(*callers)
        assert [type(result) for result in results] == [PoolClosed] * 2
        assert now() == began
        assert pool.driver.connecting == 0
    await closing
    assert pool.driver.size == 0


async def test_no_connection_is_opened_once_the_pool_is_closed() -> None:
    """A caller whose idle connection turns out to be dead while the pool closes must not leave a new one behind."""
    pool = await open_pool(1)
    await asyncio.sleep(2)  # so that it is pinged
    pool.driver.opened[0].peer_is_gone = True
    pool.driver.script.ping_s = 0.5
    pool.driver.script.connect_s = 5.0
    caller = asyncio.create_task(hold(pool, 0))
    await settle()
    await pool.leases.close(1)
    (error,) = await outcomes(caller)
    assert isinstance(error, PoolClosed)
    await asyncio.sleep(100)
    assert pool.driver.size == 0
    assert pool.leases.gate.held == 0
    pool.driver.check()


async def test_a_report_says_what_became_of_the_connects() -> None:
    pool = await open_pool(2)
    assert pool.leases.gate.report().notes == ("connections: 1 open",)
    pool.driver.script.connect_error = REFUSED
    async with pool.leases.lease(1):
        opening = asyncio.create_task(hold(pool, timeout=5))
        await asyncio.sleep(0.5)
        open_now, failed = pool.leases.gate.report().notes
        assert open_now == "connections: 1 open, 1 being opened"
        assert failed == "the last connect that failed: ConnectionRefusedError: [Errno 111] nobody listens"
        assert failed in str(pool.leases.gate.report())
    await outcomes(opening)
    await asyncio.sleep(10)  # until the connect that nobody waits for is given up
    pool.check_at_rest()
