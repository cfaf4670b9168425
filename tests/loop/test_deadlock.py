"""Callers who wait for each other, told so at once; and those who only look as if they did."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from dbpool.core.pacing import Rate
from dbpool.core.permits import Line as Lane
from dbpool.errors import AcquireTimeout, PoolDeadlock
from dbpool.gate import Gate
from dbpool.waiter import Waiter
from tests.support.callers import Line, assert_empty
from tests.support.fakes import hold, kept_pool, open_pool
from tests.support.loops import now, outcomes, running_loop, settle
from tests.support.script import Reply, Script

AT_ONCE_S = 0.001


async def nested(gate: Gate) -> str:
    async with gate:
        await asyncio.sleep(1)
        async with gate.enter(timeout=30):
            return "served"


async def in_a_group(gate: Gate) -> str:
    async def child() -> None:
        async with gate.enter(timeout=30):
            pass

    async with gate:
        await asyncio.sleep(1)
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())
    return "served"


async def gathered(gate: Gate) -> str:
    async def child() -> str:
        async with gate.enter(timeout=30):
            return "served"

    async with gate:
        await asyncio.sleep(1)
        return (await asyncio.gather(child(), child()))[0]


async def through_an_exit_stack(gate: Gate) -> str:
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(gate.enter())
        await asyncio.sleep(1)
        await stack.enter_async_context(gate.enter())
        return "served"


NESTED: list[Callable[[Gate], Awaitable[str]]] = [nested, in_a_group, gathered, through_an_exit_stack]


@pytest.mark.parametrize("work", NESTED)
@pytest.mark.parametrize("permits", [1, 3])
async def test_of_those_who_wait_for_each_other_the_newest_is_told_at_once_and_the_others_are_served(
    work: Callable[[Gate], Awaitable[str]], permits: int
) -> None:
    gate = Gate(permits)
    began = now()
    results = await outcomes(*(asyncio.ensure_future(work(gate)) for _ in range(permits)))
    assert now() - began < 1 + AT_ONCE_S
    told = [result for result in results if result != "served"]
    assert len(told) == 1
    error = told[0].exceptions[0] if isinstance(told[0], BaseExceptionGroup) else told[0]
    assert isinstance(error, PoolDeadlock)
    assert f"in {work.__name__}" in error.held_at[0]
    assert work.__name__ in error.waiting_at
    assert_empty(gate)


async def test_both_places_are_named_with_their_lines() -> None:
    gate = Gate(1, name="the gate")
    first_line = test_both_places_are_named_with_their_lines.__code__.co_firstlineno
    with pytest.raises(PoolDeadlock, match=r"the gate can never serve this caller.*its own task holds") as told:
        async with gate:
            async with gate:
                pass
    assert told.value.held_at == (
        f"loop/test_deadlock.py:{first_line + 4} in {told.value.held_at[0].split(' in ')[1]}",
    )
    assert f"loop/test_deadlock.py:{first_line + 5} in" in told.value.waiting_at
    assert_empty(gate)


async def test_what_is_told_fits_one_holder_and_several() -> None:
    alone, shared = Gate(1), Gate(2)
    with pytest.raises(PoolDeadlock, match="the only one that it could get is held by a task that waits in line, or"):
        await through_an_exit_stack(alone)
    with pytest.raises(PoolDeadlock, match="all 2 that it could get are held by tasks that wait in line, or for some"):
        async with shared:
            await through_an_exit_stack(shared)


async def test_a_bystander_in_the_line_of_a_deadlock_is_served_and_not_told() -> None:
    gate = Gate(1)
    tangled = asyncio.create_task(nested(gate))
    await settle()
    bystanders = [asyncio.create_task(nested_once(gate)) for _ in range(3)]
    await asyncio.sleep(2)
    results = await outcomes(tangled, *bystanders)
    assert isinstance(results[0], PoolDeadlock)
    assert results[1:] == ["served"] * 3
    assert_empty(gate)


async def nested_once(gate: Gate) -> str:
    async with gate:
        return "served"


async def test_a_holder_that_begins_to_wait_for_a_task_already_in_line_is_found_soon() -> None:
    gate = Gate(1)

    async def parent() -> None:
        async with gate:
            child = asyncio.create_task(nested_once(gate))
            await asyncio.sleep(5)  # the child stands in line, and this could still go on
            await child

    began = now()
    with pytest.raises(PoolDeadlock):
        await parent()
    assert now() - began < 5.2
    assert_empty(gate)


async def test_a_permit_that_another_task_can_give_back_is_no_deadlock() -> None:
    gate = Gate(1)
    stay = gate.enter()
    await stay.__aenter__()

    async def leave_later() -> None:
        await asyncio.sleep(5)
        await stay.__aexit__()

    other = asyncio.create_task(leave_later())
    async with gate.enter(timeout=30):
        assert now() > 4.9
    await other
    assert_empty(gate)


async def test_one_who_can_go_on_saves_all_who_wait() -> None:
    gate = Gate(2)

    async def slow() -> str:
        async with gate:
            await asyncio.sleep(5)
        return "served"

    results = await outcomes(asyncio.create_task(slow()), asyncio.create_task(nested(gate)))
    assert results == ["served", "served"]
    assert_empty(gate)


async def test_a_child_that_can_fail_on_its_own_ends_its_group_so_that_is_no_deadlock() -> None:
    gate = Gate(1)

    async def child() -> None:
        async with gate:
            pass

    async def fails() -> None:
        await asyncio.sleep(5)
        raise ValueError

    with pytest.raises(BaseExceptionGroup) as told:
        async with gate:
            async with asyncio.TaskGroup() as group:
                group.create_task(child())
                group.create_task(fails())
    assert [type(error) for error in told.value.exceptions] == [ValueError]
    assert_empty(gate)


async def test_a_pace_a_pause_and_a_time_limit_of_ones_own_are_no_deadlocks() -> None:
    paced = Gate(2, rate=Rate(1, per=10))
    async with paced:
        async with paced.enter(timeout=20):
            pass
    paused = Gate(1)
    async with paused:
        paused.pause()
        with pytest.raises(AcquireTimeout, match="paused"):
            async with paused.enter(timeout=1):
                pass
    paused.resume()
    assert_empty(paced)
    assert_empty(paused)


async def test_a_lane_at_its_most_can_be_deadlocked_while_others_are_not() -> None:
    gate = Gate(3)
    lane = gate.lane("narrow", at_most=1)
    with pytest.raises(PoolDeadlock, match="lane 'narrow'"):
        async with lane:
            async with lane:
                pass
    async with lane:
        async with gate:
            pass
    assert_empty(gate)


async def test_a_reserve_that_can_come_free_is_no_way_out_for_those_who_may_not_have_it() -> None:
    gate = Gate(2)
    gate.lane("kept", reserved=1)
    with pytest.raises(PoolDeadlock):
        async with gate:
            async with gate:
                pass
    assert_empty(gate)


async def test_leases_wait_for_each_other_too_and_every_permit_comes_back() -> None:
    pool = await open_pool(2)

    async def work() -> int:
        async with pool.leases.lease(30):
            await asyncio.sleep(1)
            return await hold(pool)

    results = await outcomes(*(asyncio.create_task(work()) for _ in range(2)))
    assert sorted(type(result).__name__ for result in results) == ["PoolDeadlock", "int"]
    pool.check_at_rest()


async def test_holders_that_are_suspected_of_a_leak_are_told_of_a_deadlock_like_others() -> None:
    pool = await kept_pool(1, leak_after=2.0)
    with pytest.raises(PoolDeadlock):
        async with pool.leases.lease(30, site=pool.leases.gate.sites.of(1)):
            await asyncio.sleep(4)
            assert pool.leases.suspects
            await hold(pool)
    pool.check_at_rest()


async def test_a_one_shot_call_inside_a_lease_is_told_and_one_that_is_under_way_holds_nobody_up() -> None:
    pool = await open_pool(2)

    under_way = asyncio.create_task(pool.ask())
    await settle()
    async with pool.leases.lease(30):
        assert await pool.ask("select", 1) == [[1]]
    await under_way
    solo = await open_pool(1)
    with pytest.raises(PoolDeadlock):
        async with solo.leases.lease(30):
            await solo.ask()
    pool.check_at_rest()
    solo.check_at_rest()


async def test_the_next_look_is_one_timer_while_somebody_waits_and_none_soon_after() -> None:
    gate = Gate(1)
    lines = [Line(gate), Line(gate.lane("a"))]
    tasks = await lines[0].queue("holder", hold_s=5)
    assert running_loop().looks_set == 0
    for line in lines:
        tasks += await line.queue("a", "b", "c")
        assert running_loop().looks_set == 1
    await asyncio.sleep(3)
    assert running_loop().looks_set == 1
    await outcomes(*tasks)
    await asyncio.sleep(1)
    assert running_loop().looks_set == 0
    assert_empty(gate)


async def test_a_permit_that_the_pools_own_work_holds_comes_back_so_that_is_no_deadlock() -> None:
    gate = Gate(2)
    loop = asyncio.get_running_loop()
    own = Waiter(Lane(reserved=2))  # as Leases has one: it may use what lanes have reserved
    assert gate.seize(own, loop)
    loop.call_later(5, gate.leave, own)
    async with gate:
        async with gate.enter(timeout=30):
            assert now() > 4.9
    assert_empty(gate)


async def test_a_reserve_lent_to_the_pools_own_work_frees_others_when_its_lane_gives_back() -> None:
    gate = Gate(3)
    kept = gate.lane("kept", reserved=1)
    own = Waiter(Lane(reserved=3))
    assert gate.seize(own, asyncio.get_running_loop())

    async def use_kept() -> None:
        async with kept:
            await asyncio.sleep(5)

    other = asyncio.create_task(use_kept())
    await settle()
    async with gate:
        async with gate.enter(timeout=30):
            assert now() > 4.9
    await other
    gate.leave(own)
    assert_empty(gate)


async def test_a_deadlock_behind_a_one_shot_call_is_found_soon_both_while_it_runs_and_after() -> None:
    pool = await open_pool(3, Script(replies={"slow": Reply(10)}))
    lane = pool.leases.gate.add_line("batch", 1, 0, None, None)
    calling = asyncio.create_task(pool.ask("slow"))
    await settle()
    with pytest.raises(PoolDeadlock):
        async with pool.leases.lease(30, lane):
            await hold(pool, line=lane)
    assert now() < 1
    await calling
    pool.check_at_rest()


async def test_a_deadlock_that_comes_about_when_a_one_shot_call_ends_is_found_soon() -> None:
    pool = await open_pool(2, Script(replies={"slow": Reply(5)}))

    async def asks_for_a_second() -> None:
        async with pool.leases.lease(60):
            await asyncio.sleep(2)
            await hold(pool, timeout=60)

    async def waits_for(other: asyncio.Task[None]) -> None:
        async with pool.leases.lease(60):
            await other

    calling = asyncio.create_task(pool.ask("slow"))
    await settle()
    first = asyncio.create_task(asks_for_a_second())
    await asyncio.sleep(1)
    ends = await outcomes(first, asyncio.create_task(waits_for(first)), calling)
    assert [type(end) for end in ends[:2]] == [PoolDeadlock] * 2
    assert now() < 6
    pool.check_at_rest()
