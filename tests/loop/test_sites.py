"""Places in the program that use a gate: which they are, how often and how long they held."""

from __future__ import annotations

import asyncio
import sys
import types
from collections.abc import Callable, Generator
from typing import Any

import pytest

from dbpool import sites as module
from dbpool.gate import Gate
from dbpool.sites import ASYNCIO, PACKAGE, Site, Sites
from tests.support.callers import Line
from tests.support.loops import now, outcomes, settle

HERE = "loop/test_sites.py"


def line() -> int:
    """Of whoever calls this."""
    return sys._getframe(1).f_lineno  # noqa: SLF001 - the public inspect.currentframe() gives this frame


def calls_from(filename: str) -> Callable[[Callable[[], Any]], Any]:
    """A function in a file of that name that calls what it is given."""
    names: dict[str, Any] = {}
    exec(compile("def call(f):\n    return f()", filename, "exec"), names)
    call: Callable[[Callable[[], Any]], Any] = names["call"]
    return call


def test_a_place_is_the_line_that_asks() -> None:
    site = Sites().of(1)
    assert str(site) == f"{HERE}:{line() - 1} in test_a_place_is_the_line_that_asks"


def test_the_same_place_is_one_and_two_in_a_line_are_two() -> None:
    sites = Sites()
    assert len({sites.of(1) for _ in range(10)}) == 1
    assert len({sites.of(1), sites.of(1)}) == 2


def test_this_packages_own_frames_are_no_place_of_the_program() -> None:
    sites = Sites()
    inside = calls_from(f"{PACKAGE}lane.py")
    site = inside(lambda: inside(lambda: sites.of(2)))
    assert str(site).startswith(f"{HERE}:{line() - 1} in ")


@pytest.mark.parametrize("name", ["_extras/jobs.py", "-jobs.py", ".py"])
def test_a_file_whose_name_only_begins_like_the_packages_is_a_place(name: str) -> None:
    site = calls_from(PACKAGE.removesuffix("/") + name)(lambda: Sites().of(2))
    assert str(site).endswith(f"{name.rpartition('/')[2]}:2 in call")


def test_a_file_whose_name_only_begins_like_asyncios_is_a_place() -> None:
    site = calls_from(ASYNCIO.removesuffix("/") + "_jobs.py")(lambda: Sites().of(2))
    assert str(site).endswith("asyncio_jobs.py:2 in call")


def test_code_of_no_function_has_no_name() -> None:
    names: dict[str, Any] = {"of": Sites().of}
    exec(compile("\nsite = of(1)", "/srv/app/jobs.py", "exec"), names)
    assert str(names["site"]) == "app/jobs.py:2"


def test_beyond_the_most_places_all_others_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SITES", 3)
    sites = Sites()
    found = [calls_from(f"/srv/app/made_{number}.py")(lambda: sites.of(2)) for number in range(6)]
    assert [str(site) for site in found[3:]] == ["elsewhere"] * 3
    assert len(set(found)) == 4
    for site in found:
        site.calls_total += 1
        site.held_s_total += 1.0
    assert [(use.where, use.calls_total) for use in sites.busiest(1)] == [("elsewhere", 3)]


def test_the_busiest_places_come_first_and_those_not_used_not_at_all() -> None:
    sites = Sites()
    short = sites.of(1)
    long = sites.of(1)
    sites.of(1)
    for site, held_s in ((short, 1.0), (long, 2.0), (short, 0.5)):
        site.calls_total += 1
        site.held_s_total += held_s
    assert [(use.calls_total, use.held_s_total) for use in sites.busiest(9)] == [(1, 2.0), (2, 1.5)]
    assert len(sites.busiest(1)) == 1


def test_two_calls_of_one_line_are_told_as_one_place() -> None:
    sites = Sites()
    for site in (sites.of(1), sites.of(1)):
        site.calls_total, site.held_s_total = 2, 1.5
    assert [(use.calls_total, use.held_s_total) for use in sites.busiest(9)] == [(4, 3.0)]


def test_a_place_without_code_is_elsewhere() -> None:
    assert str(Site(None, 0)) == "elsewhere"


# At a gate


async def test_each_place_is_counted_with_the_seconds_its_own_calls_held() -> None:
    gate = Gate(9)
    lane = gate.lane("a")

    async def quick() -> None:
        async with lane:
            await asyncio.sleep(1)

    async def slow() -> None:
        await asyncio.sleep(0.5)
        async with lane:
            await asyncio.sleep(3)

    async def enters() -> None:
        async with gate.enter(timeout=9):
            await asyncio.sleep(2)

    await asyncio.gather(quick(), quick(), slow(), enters())
    uses = [(use.where.rpartition(".")[2], use.calls_total, round(use.held_s_total, 6)) for use in gate.report().sites]
    assert sorted(uses) == [("enters", 1, 2), ("quick", 2, 2), ("slow", 1, 3)]


async def test_waiting_in_line_is_not_holding() -> None:
    gate = Gate(1)
    callers = Line(gate)
    tasks = [*await callers.queue("a", "b", hold_s=1), *await callers.queue("c", timeout=0.5)]
    (cancelled,) = await callers.queue("d")
    cancelled.cancel()
    await outcomes(*tasks, cancelled)
    (use,) = gate.report().sites
    assert (use.calls_total, round(use.held_s_total, 6)) == (2, 2)


async def test_a_report_tells_who_holds_and_who_waits_and_where_they_stand() -> None:
    gate = Gate(1, name="lamp")
    lane = gate.lane("batch", at_most=1)

    async def nightly() -> None:
        async with lane:
            await asyncio.sleep(5)

    async def impatient() -> None:
        async with gate.enter():
            pass

    first = nightly.__code__.co_firstlineno
    holder = asyncio.create_task(nightly(), name="job 1")
    await settle()
    waiter = asyncio.create_task(impatient(), name="job 2")
    await asyncio.sleep(2)
    report = gate.report()
    (held,), (waiting,) = report.holders, report.waiters
    assert (held.lane, held.task, round(held.seconds, 6)) == ("batch", "job 1", 2)
    assert held.where.startswith(f"{HERE}:{first + 1} in test_a_report_tells")
    assert len(held.stack) == 1
    assert held.stack[0].startswith(f"{HERE}:{first + 2} in test_a_report_tells")
    assert (waiting.lane, waiting.task, round(waiting.seconds, 6)) == ("", "job 2", 2)
    assert waiting.where.startswith(f"{HERE}:{impatient.__code__.co_firstlineno + 1} in ")
    assert f"held 2.00 s by task 'job 1', for lane 'batch', from {HERE}:{first + 1}" in str(report)
    assert "lane 'batch': 1 held of at most 1, 0 waiting" in str(report)
    await outcomes(holder, waiter)
    assert (gate.report().holders, gate.report().waiters) == ((), ())


async def test_a_report_names_twenty_who_wait_and_counts_the_rest() -> None:
    gate = Gate(1)
    tasks = [asyncio.create_task(Line(gate).use(str(number)), name=f"job {number}") for number in range(30)]
    async with gate:
        await settle()
        report = gate.report()
        assert [waiter.task for waiter in report.waiters] == [f"job {number}" for number in range(20)]
        assert "waiting: 10 more" in str(report)
    await outcomes(*tasks)


async def test_a_time_out_names_three_who_hold_longest_and_counts_the_rest() -> None:
    gate = Gate(5, timeout=9)
    line = Line(gate)
    holders = []
    for number in range(5):
        holders += await line.queue(f"job {number}", hold_s=50)
        await asyncio.sleep(1)
    ends = await outcomes(*await line.queue("late"))
    message = str(ends[0])
    assert [message.count(f"'job {number}'") for number in range(5)] == [1, 1, 1, 0, 0]
    assert "held by 2 more: see report()" in message
    assert [holder.task for holder in ends[0].report.holders] == [f"job {number}" for number in range(5)]
    await outcomes(*holders)


async def test_those_who_time_out_together_share_one_look_and_later_ones_take_another() -> None:
    gate = Gate(1)
    lines = [Line(gate), Line(gate.lane("a"))]
    holder = await lines[0].queue("holder", hold_s=7)
    together = [asyncio.create_task(lines[number % 2].use("x", timeout=5)) for number in range(1000)]
    later = asyncio.create_task(lines[0].use("y", timeout=6))
    ends = await outcomes(*together, later)
    await outcomes(*holder)
    assert len({id(end.report) for end in ends[:-1]}) == 1
    assert ends[-1].report is not ends[0].report
    assert {end.lane for end in ends} == {"", "a"}


async def test_one_who_times_out_is_told_who_holds_now_though_another_was_told_a_moment_ago() -> None:
    gate = Gate(1)
    line = Line(gate)
    holders = await line.queue("before", hold_s=5.02)
    holders += await line.queue("after", hold_s=5)
    early = asyncio.create_task(line.use("early", timeout=5))
    late = asyncio.create_task(line.use("late", timeout=5.04))
    ends = await outcomes(early, late)
    assert [end.report.holders[0].task for end in ends] == ["before", "after"]
    assert now() < 5.1
    await outcomes(*holders)


async def test_a_report_of_a_gate_that_was_never_used_is_empty() -> None:
    report = Gate(2, name="lamp").report()
    assert str(report) == "lamp: 0 of 2 permits held, 0 waiting"


async def test_the_stack_of_a_holder_goes_through_whatever_it_awaits() -> None:
    gate = Gate(1)

    async def main() -> float:
        async with gate:
            return await inner()

    async def inner() -> float:
        return await asyncio.ensure_future(asyncio.sleep(1.0, await outermost()))

    @types.coroutine
    def outermost() -> Generator[Any, Any, float]:
        seconds: float = yield from nap()
        return seconds

    async def nap() -> float:
        await asyncio.sleep(3)
        return now()

    task = asyncio.create_task(main())
    await settle()
    (holder,) = gate.report().holders
    assert [frame.rpartition(".")[2] for frame in holder.stack] == ["main", "inner", "outermost", "nap"]
    await task
