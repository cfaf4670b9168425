"""What a gate refuses, before a permit is taken."""

from __future__ import annotations

from typing import Any

import pytest

from dbpool.core.pacing import Rate
from dbpool.errors import AcquireTimeout, LineFull, SettingsError, UsageError
from dbpool.gate import Gate
from tests.support.callers import Line, assert_empty
from tests.support.fakes import open_pool
from tests.support.loops import outcomes


async def test_what_enter_gives_is_used_once() -> None:
    gate = Gate(2)
    stay = gate.enter()
    async with stay:
        with pytest.raises(UsageError, match="used already"):
            await stay.__aenter__()
    assert_empty(gate)


@pytest.mark.parametrize(
    "options", [{"capacity": 0}, {"capacity": True}, {"capacity": 1, "max_waiting": -1}, {"capacity": 1, "timeout": 0}]
)
def test_a_gate_refuses_numbers_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        Gate(**options)


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), float("inf"), True])
async def test_a_timeout_out_of_range_takes_no_permit(timeout: float) -> None:
    gate = Gate(1)
    with pytest.raises(SettingsError):
        async with gate.enter(timeout=timeout):
            pass
    assert_empty(gate)


async def test_a_full_line_refuses_a_statement() -> None:
    pool = await open_pool(1, max_waiting=0)
    async with pool.leases.lease(1):
        with pytest.raises(LineFull):
            await pool.ask()
    pool.check_at_rest()


async def test_a_time_out_in_a_lane_names_the_holders_of_that_lane_first() -> None:
    gate = Gate(9)
    lane = gate.lane("narrow", at_most=1)
    others = await Line(gate).queue(*"abcdef", hold_s=9)
    mine = await Line(lane).queue("mine", hold_s=9)
    with pytest.raises(AcquireTimeout) as told:
        await Line(lane).use("late", timeout=1)
    assert "'mine', for lane 'narrow'" in str(told.value).split("\n")[1]
    await outcomes(*others, *mine)
    assert_empty(gate)


async def test_a_time_out_in_a_pause_says_that_it_is_paused() -> None:
    gate = Gate(2, name="lamp")
    gate.pause()
    with pytest.raises(AcquireTimeout, match=r"lamp is paused: call resume\(\)\."):
        await Line(gate).use("late", timeout=1)
    assert_empty(gate)


async def test_a_time_out_for_a_rate_says_the_rate_and_when_it_grants_again() -> None:
    gate = Gate(5, name="lamp", rate=Rate(2, per=60))
    await Line(gate).use("first")
    with pytest.raises(
        AcquireTimeout, match=r"Its rate, 2 per 60 s, held it back: the next permit is due in 2[89]\.\d\d s"
    ) as told:
        await Line(gate).use("late", timeout=1)
    assert "capacity" not in str(told.value)
    assert_empty(gate)


async def test_a_time_out_in_a_lane_that_holds_all_it_may_says_to_raise_that() -> None:
    gate = Gate(5)
    lane = gate.lane("narrow", at_most=2)
    holders = await Line(lane).queue("a", "b", hold_s=9)
    with pytest.raises(AcquireTimeout, match=r"The lane's at_most, 2, held it back: .* raise it\.") as told:
        await Line(lane).use("late", timeout=1)
    assert "capacity" not in str(told.value)
    await outcomes(*holders)
    assert_empty(gate)


async def test_a_time_out_for_want_of_permits_is_told_so_though_the_lane_has_a_rate_and_a_limit() -> None:
    gate = Gate(1, advice=lambda: "Use a candle.")
    lane = gate.lane("paced", at_most=1, rate=Rate(1, per=60))
    holders = await Line(gate).queue("a", hold_s=9)
    with pytest.raises(AcquireTimeout, match=r"Use a candle\."):
        await Line(lane).use("late", timeout=1)
    await outcomes(*holders)
    assert_empty(gate)
