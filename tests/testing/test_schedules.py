"""``explore_schedules``: what only another order of events shows, at the step at which it happens."""

from __future__ import annotations

import asyncio
import random

import pytest

from dbpool import SettingsError, UsageError
from dbpool.testing import BrokenBySchedule, FakePool, at_every_step, explore_schedules


async def first_comes_first() -> None:
    order: list[int] = []

    async def come(number: int) -> None:
        await asyncio.sleep(0)
        order.append(number)

    await asyncio.gather(*map(come, range(3)))
    assert order == [0, 1, 2]


def test_an_order_that_asyncio_never_has_is_found_and_found_again() -> None:
    explore_schedules(first_comes_first, schedules=1)
    with pytest.raises(BrokenBySchedule, match="AssertionError in the schedule of seed") as caught:
        explore_schedules(first_comes_first)
    seed, steps = caught.value.seed, caught.value.steps
    assert seed > 0
    with pytest.raises(
        BrokenBySchedule, match=rf"explore_schedules\(first_comes_first, seed={seed}, schedules=1\)"
    ) as again:
        explore_schedules(first_comes_first, seed=seed, schedules=1)
    assert (again.value.seed, again.value.steps) == (seed, steps)
    assert isinstance(again.value.__cause__, AssertionError)


def test_the_check_is_called_after_every_step_and_ends_the_schedule_at_once() -> None:
    went_on = False

    async def main() -> None:
        nonlocal went_on
        async with FakePool(1, strict=False) as db:
            at_every_step(lambda: _assert(db.stats().held == 0))
            await db.execute("select 1")
            went_on = True

    with pytest.raises(BrokenBySchedule, match="held"):
        explore_schedules(main, schedules=1)
    assert not went_on


def _assert(holds: bool) -> None:
    assert holds, "held"


def test_a_pool_takes_the_same_steps_for_the_same_seed() -> None:
    async def main() -> None:
        async with FakePool(2, strict=False, min_connections=0) as db:
            await asyncio.gather(*(db.execute("select 1") for _ in range(5)))

    state = random.getstate()
    steps = [explore_schedules(main, seed=seed, schedules=1) for seed in (0, 7, 0, 7)]
    assert steps[:2] == steps[2:]
    assert random.getstate() == state


async def test_it_runs_loops_of_its_own() -> None:
    with pytest.raises(UsageError, match="call it where none runs"):
        explore_schedules(first_comes_first)
    with pytest.raises(UsageError, match="at_every_step"):
        at_every_step(lambda: None)


@pytest.mark.parametrize("wrong", [{"schedules": 0}, {"seed": -1}, {"seed": "1"}])
def test_numbers_out_of_range_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(SettingsError):
        explore_schedules(first_comes_first, **wrong)
