"""Lanes of a gate: limits, reserves, shares; single instants, each with nothing awaited in between."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import repeat
from typing import Any

import pytest

from dbpool.core.pacing import Rate
from dbpool.entering import GateLane
from dbpool.errors import AcquireTimeout, LineFull, PoolClosed, SettingsError
from dbpool.gate import Gate
from tests.support.callers import Line, assert_empty
from tests.support.loops import now, outcomes, settle


async def enter_all(gate: GateLane, most: int) -> int:
    """How many of *most* callers of *gate* hold a permit at once; they all leave again."""
    line = Line(gate)
    tasks = await line.queue(*map(str, range(most)), hold_s=1)
    holding = len(line.through)
    await outcomes(*tasks)
    return holding


async def test_a_lane_at_its_most_waits_though_permits_are_free() -> None:
    gate = Gate(3)
    batch = gate.lane("batch", at_most=1)
    line = Line(batch)
    async with batch:
        (second,) = await line.queue("second")
        assert (gate.held, batch.held, batch.waiting) == (1, 1, 1)
        assert await enter_all(gate, 5) == 2  # and keeps nobody else out
        assert line.through == []
    assert await second == "second"
    assert_empty(gate)


async def test_what_a_lane_reserves_is_never_lent() -> None:
    gate = Gate(4)
    kept = gate.lane("kept", reserved=2)
    others, lane = Line(gate), Line(gate.lane("other"))
    tasks = [*await others.queue("a", "b", hold_s=5), *await lane.queue("c", "d", hold_s=5)]
    assert gate.held == 2
    async with kept, kept:
        assert (gate.held, kept.held) == (4, 2)
    await settle()
    assert (gate.held, gate.waiting) == (2, 2)
    await outcomes(*tasks)
    assert_empty(gate)


async def test_beyond_its_reserve_a_lane_has_what_is_free() -> None:
    gate = Gate(4)
    assert await enter_all(gate.lane("kept", reserved=2), 6) == 4
    assert_empty(gate)


async def test_a_reserve_made_late_takes_nothing_away_and_is_filled_first() -> None:
    gate = Gate(2)
    others = Line(gate)
    async with gate:
        async with gate:
            waiting = await others.queue("came first")
            late = Line(gate.lane("late", reserved=1))
            waiting += await late.queue("late", hold_s=1)
            assert gate.held == 2
        await settle()
        assert (late.through, others.through) == (["late"], [])
    await outcomes(*waiting)
    assert others.through == ["came first"]
    assert_empty(gate)


async def test_a_lane_of_a_gate_that_is_in_use_shares_its_permits() -> None:
    gate = Gate(1)
    async with gate:
        (caller,) = await Line(gate.lane("late")).queue("caller")
    assert await caller == "caller"
    assert_empty(gate)


async def test_each_lane_has_a_line_of_its_own_length() -> None:
    gate = Gate(1, max_waiting=2)
    short, none = gate.lane("short", max_waiting=1), gate.lane("none", max_waiting=0)
    async with gate:
        tasks = [
            *await Line(gate).queue("a", "b", "c"),
            *await Line(short).queue("d", "e"),
            *await Line(none).queue("f"),
        ]
        assert (gate.waiting, short.waiting, none.waiting) == (3, 1, 0)
    ends = await outcomes(*tasks)
    assert [end.lane if isinstance(end, LineFull) else end for end in ends] == ["a", "b", "", "d", "short", "none"]
    assert [line.refused_total for line in gate.lines] == [1, 1, 1]
    assert_empty(gate)


async def test_a_lane_that_is_full_is_named_with_its_numbers() -> None:
    gate = Gate(3, name="lamp")
    lane = gate.lane("batch", at_most=1, max_waiting=0)
    async with lane:
        with pytest.raises(LineFull, match=r"lane 'batch' of lamp .*1 of 3 permits held, 1 of its 1 by this lane") as e:
            await Line(lane).use("refused")
        assert (e.value.lane, e.value.capacity, e.value.held, e.value.waiting) == ("batch", 3, 1, 0)
    assert_empty(gate)


@pytest.mark.parametrize("at_most", [None, 1])
async def test_a_timeout_in_a_lane_names_the_lane_with_its_numbers(at_most: int | None) -> None:
    gate = Gate(1, name="lamp", timeout=5)
    lane = gate.lane("batch", at_most=at_most)
    by_lane = "1 of its 1 by this lane" if at_most else "1 by this lane"
    holder = await Line(lane).queue("holder", hold_s=20)
    with pytest.raises(AcquireTimeout, match=rf"lane 'batch' of lamp after 5\.0\d s: 1 of 1 .*, {by_lane}, 0") as e:
        await Line(lane).use("late")
    assert (e.value.lane, e.value.held, e.value.waiting) == ("batch", 1, 0)
    with pytest.raises(AcquireTimeout, match=r"from lamp after 5\.\d\d s: 1 of 1 permits held, 0") as e:
        await Line(gate).use("late, too")
    assert e.value.lane == ""
    await outcomes(*holder)
    assert [line.timeouts_total for line in gate.lines] == [1, 1]
    assert_empty(gate)


# Single instants


async def test_a_caller_cancelled_in_line_just_before_the_release_passes_the_permit_to_another_lane() -> None:
    gate = Gate(1)
    a, b = Line(gate.lane("a")), Line(gate.lane("b"))
    async with gate:
        first, second = *await a.queue("first"), *await b.queue("second")
        first.cancel()
    await outcomes(first, second)
    assert first.cancelled()
    assert b.through == ["second"]
    assert_empty(gate)


async def test_a_caller_cancelled_in_the_instant_of_its_grant_passes_the_permit_to_another_lane() -> None:
    gate = Gate(1)
    a, b = Line(gate.lane("a")), Line(gate.lane("b"))
    async with gate:
        first, second = *await a.queue("first"), *await b.queue("second")
    first.cancel()  # granted, but not yet awake
    assert (gate.held, gate.waiting) == (1, 1)
    await outcomes(first, second)
    assert first.cancelled()
    assert b.through == ["second"]
    assert_empty(gate)


async def test_a_caller_of_a_lane_at_its_most_cancelled_in_the_instant_of_its_grant_makes_room_in_the_lane() -> None:
    gate = Gate(9)
    lane = gate.lane("batch", at_most=1)
    line = Line(lane)
    async with lane:
        tasks = await line.queue("a", "b", "c")
    tasks[0].cancel()
    await outcomes(*tasks)
    assert line.through == ["b", "c"]
    assert_empty(gate)


async def test_a_release_in_the_instant_of_a_timeout_grants_whoever_still_waits_in_any_lane() -> None:
    gate = Gate(1)
    a, b = Line(gate.lane("a")), Line(gate.lane("b"))
    holder = await a.queue("holder", hold_s=5)
    tasks = [*await a.queue("hasty", timeout=5), *await b.queue("patient")]
    _, hasty, patient = await outcomes(*holder, *tasks)
    assert hasty == "hasty" or isinstance(hasty, AcquireTimeout)
    assert patient == "patient"
    assert_empty(gate)


async def test_close_fails_the_callers_of_every_lane_at_once_and_waits_for_the_holders_of_all() -> None:
    gate = Gate(4)
    lines = [Line(gate), Line(gate.lane("a", reserved=1)), Line(gate.lane("b", at_most=1))]
    holders = [task for line in lines for task in await line.queue("holder", hold_s=3)]
    waiters = [task for line in lines for task in await line.queue("x", "y", "z", hold_s=3)]
    assert (gate.held, gate.waiting) == (4, 8)
    gate.close_nowait()
    assert (gate.held, gate.waiting) == (4, 0)
    await gate.wait_empty()
    assert now() == 3
    ends = await outcomes(*waiters)
    assert sorted(type(end).__name__ for end in ends) == ["PoolClosed"] * 8 + ["str"]
    assert await outcomes(*holders) == ["holder"] * 3
    for line in lines:
        with pytest.raises(PoolClosed):
            await line.use("late")
    assert_empty(gate)


async def test_lanes_are_entered_nested_and_mixed() -> None:
    gate = Gate(6)
    a, b = gate.lane("a", at_most=3), gate.lane("b", reserved=2)
    async with a, b, gate, a:
        async with b.enter(timeout=1), a:
            assert (gate.held, a.held, b.held, gate.line.held) == (6, 3, 2, 1)
        assert (gate.held, a.held, b.held) == (4, 2, 1)
    assert_empty(gate)


async def test_whoever_leaves_a_lane_entered_by_many_tasks_is_the_one_no_longer_reported() -> None:
    lane = (gate := Gate(3)).lane("a")

    async def hold(seconds: float) -> None:
        async with lane:
            await asyncio.sleep(seconds)

    tasks = [asyncio.create_task(hold(seconds), name=f"for {seconds} s") for seconds in (1, 3, 2)]
    await settle()
    for left in [("for 1 s", "for 3 s", "for 2 s"), ("for 3 s", "for 2 s"), ("for 3 s",), ()]:
        assert tuple(holder.task for holder in gate.report().holders) == left
        await asyncio.sleep(1)
        await settle()
    await outcomes(*tasks)
    assert_empty(gate)


async def test_a_permit_entered_in_one_task_may_be_left_in_another() -> None:
    lane = (gate := Gate(1)).lane("a")
    await asyncio.create_task(lane.__aenter__())
    assert lane.held == 1
    await lane.__aexit__(None, None, None)
    assert_empty(gate)


# What is refused

REFUSED: dict[str, tuple[Callable[[Gate], object], str]] = {
    "a second lane of one name": (lambda gate: gate.lane("a"), "has a lane 'a' already"),
    "an empty name": (lambda gate: gate.lane(""), "needs a name"),
    "no name": (lambda gate: gate.lane(None), "needs a name"),  # type: ignore[arg-type]
    "more than there is": (lambda gate: gate.lane("b", reserved=4), "cannot reserve 4 of lamp's 4 permits: 3"),
    "what leaves none": (lambda gate: gate.lane("b", reserved=3), "3 are not reserved yet, and one must be left"),
    "more than its most": (lambda gate: gate.lane("b", reserved=2, at_most=1), "reserve 2 .* at most 1"),
    "less than nothing": (lambda gate: gate.lane("b", reserved=-1), "reserved must be .*-1"),
    "a most of none": (lambda gate: gate.lane("b", at_most=0), "at_most must be .*0"),
    "half a permit": (lambda gate: gate.lane("b", at_most=1.5), "at_most must be .*1.5"),  # type: ignore[arg-type]
    "a line of less": (lambda gate: gate.lane("b", max_waiting=-1), "max_waiting must be .*-1"),
    "a number as a rate": (lambda gate: gate.lane("b", rate=5), "must be a Rate, as .*, not 5"),  # type: ignore[arg-type]
    "a rate of none": (lambda gate: gate.lane("b", rate=Rate(0)), "above 0.* not 0"),
    "a size of none": (lambda gate: gate.resize(0), "capacity must be .*0"),
    "a size of the reserves": (lambda gate: gate.resize(1), "cannot be resized to 1: its lanes reserve 1 permits"),
}


@pytest.mark.parametrize("what", REFUSED)
async def test_what_no_lane_can_be_is_refused_and_changes_nothing(what: str) -> None:
    gate = Gate(4, name="lamp")
    a = gate.lane("a", reserved=1)
    refused, sentence = REFUSED[what]
    with pytest.raises(SettingsError, match=sentence):
        refused(gate)
    assert [line.name for line in gate.lines] == ["", "a"]
    assert gate.capacity == 4
    assert await enter_all(gate, 9) == 3
    assert await enter_all(a, 9) == 4
    assert_empty(gate)


def test_a_gate_refuses_what_is_no_rate() -> None:
    with pytest.raises(SettingsError, match="must be a Rate"):
        Gate(1, rate=(5, 60))  # type: ignore[arg-type]


# Sizes and pauses


async def test_a_gate_that_grows_grants_those_who_wait_at_once() -> None:
    gate = Gate(1)
    a, b = Line(gate.lane("a", at_most=1)), Line(gate.lane("b"))
    tasks = [*await a.queue("a", "a2", hold_s=5), *await b.queue("b", "b2", hold_s=5)]
    gate.resize(3)
    assert (gate.held, gate.waiting) == (3, 1)
    await settle()
    assert (now(), a.through, b.through) == (0, ["a"], ["b", "b2"])
    await outcomes(*tasks)
    assert_empty(gate)


async def test_a_gate_that_shrinks_takes_nothing_away_and_grants_nothing_above() -> None:
    line = Line(gate := Gate(3))
    tasks = await line.queue(*"abcdef", hold_s=5)
    gate.resize(1)
    assert (gate.held, gate.waiting) == (3, 3)
    await asyncio.sleep(6)
    assert (gate.held, line.through) == (1, ["a", "b", "c", "d"])
    await outcomes(*tasks)
    assert line.granted_at == pytest.approx([0, 0, 0, 5, 10, 15])
    assert_empty(gate)


async def test_paused_nobody_is_granted_and_resumed_everybody_who_can_be_is() -> None:
    gate = Gate(3)
    a, b = Line(gate.lane("a", at_most=1)), Line(gate)
    async with gate:
        gate.pause()
    tasks = [*await a.queue("a", "a2", hold_s=1), *await b.queue("b", hold_s=1)]
    assert (gate.held, gate.waiting, gate.is_paused) == (0, 3, True)
    assert "paused" in repr(gate)
    gate.resize(9)
    assert gate.held == 0
    gate.resume()
    assert (gate.held, gate.waiting, gate.is_paused) == (2, 1, False)
    await outcomes(*tasks)
    assert_empty(gate)


async def test_deadlines_pass_while_a_gate_is_paused_and_the_error_says_so() -> None:
    gate = Gate(3, timeout=5)
    line = Line(gate.lane("a"))
    gate.pause()
    (caller,) = await line.queue("caller")
    with pytest.raises(AcquireTimeout, match=r"0 of 3 permits held, 0 by this lane, paused, 0 other"):
        await caller
    assert 5 <= now() <= 5.01
    gate.resume()
    assert await line.use("next") == "next"
    assert_empty(gate)


async def test_a_paused_gate_that_is_closed_fails_those_who_wait_and_grants_nothing_when_resumed() -> None:
    gate = Gate(3)
    gate.pause()
    tasks = [*await Line(gate).queue("a"), *await Line(gate.lane("b")).queue("b")]
    await gate.close()
    gate.resume()
    assert [type(end) for end in await outcomes(*tasks)] == [PoolClosed, PoolClosed]
    assert now() == 0
    assert_empty(gate)


# Shares


async def keep_using(line: Line, hold_s: float, until_s: float) -> None:
    for name in map(str, repeat(0)):
        if now() >= until_s:
            return
        await line.use(name, hold_s=hold_s)


async def shares(gate: Gate, *lanes: GateLane, hold_s: Callable[[int], float], for_s: float) -> list[int]:
    """How often the callers of each lane were granted, with a hundred of them in each.

    Grants fall upon whole seconds, but for what is rounded off: so *for_s* better ends between two.
    """
    lines = [Line(lane) for lane in lanes]
    users = [keep_using(line, hold_s(at), for_s) for _ in range(100) for at, line in enumerate(lines)]
    await asyncio.gather(*users)
    assert_empty(gate)
    return [sum(time < for_s for time in line.granted_at) for line in lines]


@pytest.mark.parametrize(("capacity", "lanes"), [(1, 2), (1, 5), (2, 3), (3, 3), (4, 3), (7, 4)])
async def test_lanes_with_more_callers_than_permits_get_equal_shares(capacity: int, lanes: int) -> None:
    gate = Gate(capacity, timeout=1e6)
    ways = [gate.lane(str(number)) for number in range(lanes)]
    got = await shares(gate, *ways, hold_s=lambda _: 1.0, for_s=299.5)
    assert sum(got) == 300 * capacity
    assert max(got) - min(got) <= capacity, got


async def test_a_lane_whose_callers_hold_long_has_its_share_of_the_permits_and_no_more() -> None:
    gate = Gate(4, timeout=1e6)
    slow, quick = await shares(gate, gate.lane("slow"), gate.lane("quick"), hold_s=lambda at: 20 - 19 * at, for_s=199.5)
    assert 20 <= slow <= 24  # two permits, a tenth of the time each
    assert quick >= 390


async def test_shares_are_counted_beyond_the_reserves() -> None:
    gate = Gate(6, timeout=1e6)
    lines = [gate.lane("kept", reserved=2), gate.lane("a"), gate.lane("b", at_most=1)]
    kept, a, b = await shares(gate, *lines, hold_s=lambda _: 1.0, for_s=99.5)
    assert (kept + a, b) == (500, 100)
    assert abs(kept - 200 - a) <= 100  # a permit is not divisible


async def test_one_caller_at_a_time_is_granted_before_the_hundreds_of_another_lane() -> None:
    gate = Gate(1, timeout=1e6)
    many, one = Line(gate.lane("many")), Line(gate.lane("one"))
    crowd = [asyncio.create_task(many.use(str(number), hold_s=1)) for number in range(500)]
    await settle()
    waits: Counter[Any] = Counter()
    for _ in range(20):
        began = now()
        await one.use("one")
        waits[round(now() - began)] += 1
        await asyncio.sleep(3)
    assert set(waits) <= {0, 1}, waits
    await outcomes(*crowd)
    assert_empty(gate)
