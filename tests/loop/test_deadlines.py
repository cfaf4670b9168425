"""Deadlines by the thousand: never early, at most one tick late, on a handful of timers."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool.deadlines import TICKS_PER_S, Bucket, Deadlines, forget
from tests.support.loops import JumpingLoop, now, run

TICK_S = 1 / TICKS_PER_S
LEEWAY_S = 1e-6  # floating point


class Due:
    """Something with a deadline."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.bucket: Bucket | None = None


class Watch:
    """Deadlines, and when each expired."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.expired: list[tuple[Due, float]] = []
        self.deadlines: Deadlines[Due] = Deadlines(self.expire)

    def expire(self, due: Due) -> None:
        self.expired.append((due, self.loop.time()))

    def add(self, after_s: float) -> Due:
        due = Due(self.loop.time() + after_s)
        self.deadlines.add(due, self.loop)
        return due

    @property
    def timers(self) -> int:
        assert isinstance(self.loop, JumpingLoop)
        return self.loop.timers_started

    def assert_on_time(self, *dues: Due) -> None:
        assert {due for due, _ in self.expired} == set(dues)
        assert len(self.expired) == len(dues)
        for due, at in self.expired:
            assert 0 <= at - due.deadline <= TICK_S + LEEWAY_S


@pytest.mark.parametrize("after_s", [0.0, 1e-6, 0.005, TICK_S, 0.29, 0.57, 1.0, 3.14159, 86_400.0, -1.0])
async def test_a_deadline_is_never_early_and_at_most_one_tick_late(after_s: float) -> None:
    watch = Watch()
    await asyncio.sleep(1.005)
    due = Due(now() + after_s)
    watch.deadlines.add(due, watch.loop)
    await asyncio.sleep(100_000)
    ((_, at),) = watch.expired
    assert max(due.deadline, 1.005) <= at <= max(due.deadline, 1.005) + TICK_S + LEEWAY_S


async def test_a_deadline_moved_later_expires_then() -> None:
    watch = Watch()
    due = watch.add(1)
    due.deadline += 4
    await asyncio.sleep(4.9)
    assert not watch.expired
    await asyncio.sleep(1)
    watch.assert_on_time(due)


async def test_a_deadline_may_be_moved_later_again_and_again() -> None:
    watch = Watch()
    due = watch.add(1)
    for _ in range(100):
        await asyncio.sleep(0.5)
        due.deadline = now() + 1
    assert not watch.expired
    await asyncio.sleep(2)
    watch.assert_on_time(due)


async def test_a_deadline_moved_earlier_is_taken_out_first_and_expires_then() -> None:
    watch = Watch()
    due = watch.add(10)
    forget(due)
    due.deadline = now() + 1
    watch.deadlines.add(due, watch.loop)
    await asyncio.sleep(20)
    watch.assert_on_time(due)


async def test_what_is_forgotten_does_not_expire() -> None:
    watch = Watch()
    kept, forgotten = watch.add(1), watch.add(1)
    forget(forgotten)
    forget(forgotten)  # twice does no harm
    await asyncio.sleep(2)
    watch.assert_on_time(kept)


async def test_what_has_expired_is_forgotten_already() -> None:
    watch = Watch()
    due = watch.add(1)
    await asyncio.sleep(2)
    assert due.bucket is None
    forget(due)
    watch.assert_on_time(due)


async def test_what_an_earlier_expiry_forgets_does_not_expire() -> None:
    watch = Watch()
    first, second, third = watch.add(1), watch.add(1), watch.add(1)

    def expire(due: Due) -> None:
        watch.expire(due)
        forget(second)

    watch.deadlines = Deadlines(expire)
    for due in (first, second, third):
        forget(due)
        watch.deadlines.add(due, watch.loop)
    await asyncio.sleep(2)
    watch.assert_on_time(first, third)


async def test_an_expiry_may_add_what_is_due_now() -> None:
    watch = Watch()
    late: list[Due] = []

    def expire(due: Due) -> None:
        watch.expire(due)
        if len(watch.expired) < 5:
            late.append(watch.add(0))

    watch.deadlines = Deadlines(expire)
    first = watch.add(1)
    await asyncio.sleep(3)
    watch.assert_on_time(first, *late)
    assert len(late) == 4


async def test_an_expiry_that_raises_does_not_hold_back_the_others() -> None:
    watch = Watch()

    def expire(due: Due) -> None:
        watch.expire(due)
        if len(watch.expired) == 1:
            raise ValueError("mine alone")

    watch.loop.set_exception_handler(lambda _, context: raised.append(context["exception"]))
    raised: list[BaseException] = []
    watch.deadlines = Deadlines(expire)
    dues = [watch.add(1) for _ in range(3)]
    await asyncio.sleep(2)
    watch.assert_on_time(*dues)
    assert [type(error) for error in raised] == [ValueError]


async def test_those_due_together_expire_in_the_order_in_which_they_were_added() -> None:
    watch = Watch()
    dues = [watch.add(1.009 - number * 1e-6) for number in range(1000)]
    await asyncio.sleep(2)
    assert [due for due, _ in watch.expired] == dues


async def test_thousands_due_together_share_few_timers() -> None:
    watch = Watch()
    before = watch.timers
    dues = [watch.add(30 + number / 1e6) for number in range(10_000)]  # within a hundredth of a second
    assert watch.timers - before <= 2
    for due in dues:
        forget(due)
    assert watch.timers - before <= 2
    assert not any(due.bucket for due in dues)


async def test_one_caller_at_a_time_does_not_start_a_timer_for_each_call() -> None:
    watch = Watch()
    before = watch.timers
    for _ in range(10_000):
        due = watch.add(30)
        forget(due)
    assert watch.timers - before == 1


async def test_closing_forgets_all_and_stops_every_timer() -> None:
    watch = Watch()
    dues = [watch.add(after_s) for after_s in (1, 1, 2, 3)]
    watch.deadlines.close()
    assert not any(due.bucket for due in dues)
    for due in dues:
        forget(due)
    await asyncio.sleep(10)
    assert not watch.expired


async def test_deadlines_can_be_used_again_after_closing() -> None:
    watch = Watch()
    watch.add(1)
    watch.deadlines.close()
    again = watch.add(1)
    await asyncio.sleep(10)
    watch.assert_on_time(again)


# One step of a schedule: what is done, to which of those added so far, and with how many seconds
steps = st.tuples(
    st.sampled_from(["add", "add", "forget", "later", "earlier", "wait"]),
    st.integers(0, 50),
    st.floats(0, 3) | st.sampled_from([0.0, TICK_S, 0.5, 1.0]),
)


@settings(max_examples=150, deadline=None)
@given(schedule=st.lists(steps, max_size=40))
def test_under_any_schedule_all_but_the_forgotten_expire_on_time(
    schedule: list[tuple[str, int, float]],
) -> None:
    async def main() -> None:
        watch = Watch()
        live: list[Due] = []
        gone: set[Due] = set()
        for what, which, seconds in schedule:
            live = [due for due in live if due.bucket is not None]
            due = live[which % len(live)] if live else None
            if what == "add":
                live.append(watch.add(seconds))
            elif what == "wait":
                await asyncio.sleep(seconds)
            elif due is None:
                continue
            elif what == "later":
                due.deadline += seconds
            else:
                forget(due)
                gone.add(due)
                if what == "earlier":
                    due.deadline = max(now(), due.deadline - seconds)
                    watch.deadlines.add(due, watch.loop)
                    gone.discard(due)
        await asyncio.sleep(200)
        expired = dict(watch.expired)
        assert len(expired) == len(watch.expired)
        assert not gone & set(expired)
        assert all(due in expired for due in live if due not in gone)
        assert all(0 <= at - due.deadline <= TICK_S + LEEWAY_S for due, at in watch.expired)

    run(main())
