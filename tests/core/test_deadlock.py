"""Deadlocks, against a search through all that can happen."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from dbpool.core.deadlock import Knot, find_deadlock


@dataclass(frozen=True)
class Hold:
    """A permit of *lane*; *task* None: anybody can give it back."""

    task: str | None
    lane: str = "web"
    number: int = 0


@dataclass(frozen=True)
class Wait:
    task: str
    lane: str = "web"


@dataclass(frozen=True)
class Scene:
    """All tasks are in *awaits*, *waits* or neither; those in neither can run.

    Args:
        capacity: permits of all lanes together.
        shares: most permits of each lane that has fewer than all.
    """

    capacity: int
    holds: tuple[Hold, ...] = ()
    waits: tuple[Wait, ...] = ()  # in order of arrival
    awaits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    shares: dict[str, int] = field(default_factory=dict)

    def has_room(self, lane: str, holds: Iterable[Hold]) -> bool:
        lanes = [hold.lane for hold in holds]
        return len(lanes) < self.capacity and lanes.count(lane) < self.shares.get(lane, self.capacity)

    # What find_deadlock asks.

    def waiter_of(self, task: str) -> Wait | None:
        return next((wait for wait in self.waits if wait.task == task), None)

    def lane_of(self, waiter: Wait) -> str:
        return waiter.lane

    def arrival_of(self, waiter: Wait) -> float:
        return self.waits.index(waiter)

    def in_the_way_of(self, lane: str) -> list[Hold]:
        if self.has_room(lane, self.holds):
            return []
        own = [hold for hold in self.holds if hold.lane == lane]
        return own if len(own) >= self.shares.get(lane, self.capacity) else list(self.holds)

    def task_of(self, holder: Hold) -> str | None:
        return holder.task

    def awaited_by(self, task: str) -> tuple[str, ...]:
        return self.awaits.get(task, ())


def hold(*tasks: str | None, lane: str = "web") -> tuple[Hold, ...]:
    return tuple(Hold(task, lane, number) for number, task in enumerate(tasks))


def wait(*tasks: str, lane: str = "web") -> tuple[Wait, ...]:
    return tuple(Wait(task, lane) for task in tasks)


def knot(scene: Scene, lane: str = "web") -> Knot[Wait, Hold] | None:
    return find_deadlock(lane, scene)


NONE = [
    pytest.param(Scene(2, hold("a"), wait("b")), id="a permit is free"),
    pytest.param(Scene(1, (), wait("b")), id="nobody holds"),
    pytest.param(Scene(1, hold("a"), wait("b")), id="the holder runs"),
    pytest.param(Scene(1, hold(None), wait("a")), id="anybody can give it back"),
    pytest.param(Scene(2, hold("a", None), wait("a")), id="anybody can give one of them back"),
    pytest.param(Scene(2, hold("a", "b"), wait("a")), id="one of the holders runs"),
    pytest.param(Scene(1, hold("a"), wait("b"), {"a": ("b", "c")}), id="one of those awaited runs"),
    pytest.param(Scene(1, hold("a"), wait("d"), {"a": ("b",), "b": ("c",)}), id="one awaited by one awaited runs"),
    pytest.param(Scene(1, hold("a"), wait("c"), {"a": ("b",), "b": ("a",)}), id="no refusal would help"),
    pytest.param(
        Scene(3, (*hold("a", lane="batch"), *hold("b", "c")), wait("a", "b"), {}, {"batch": 1}),
        id="a holder of another lane runs, and its permit would do",
    ),
    pytest.param(
        Scene(2, hold("a") + hold("b", lane="batch"), wait("a", lane="batch"), {}, {"batch": 1}),
        id="the lane's own holder runs",
    ),
]


@pytest.mark.parametrize("scene", NONE)
def test_there_is_no_deadlock_if(scene: Scene) -> None:
    assert knot(scene, scene.waits[0].lane) is None


def test_a_task_that_waits_for_a_second_permit_of_one_is_refused() -> None:
    (mine,), (waiter,) = hold("a"), wait("a")
    assert knot(Scene(1, (mine,), (waiter,))) == Knot(waiter, (mine,), (waiter,), (mine,))


def test_the_last_of_those_who_wait_for_each_other_is_refused() -> None:
    holders, waiters = hold("a", "b", "c"), wait("b", "c", "a")
    assert knot(Scene(3, holders, waiters)) == Knot(waiters[2], (holders[0],), waiters, holders)


def test_a_child_whose_parent_holds_the_permit_is_refused() -> None:
    (parents,), (first, last) = hold("parent"), wait("child", "other child")
    scene = Scene(1, (parents,), (first, last), {"parent": ("middle",), "middle": ("child", "other child")})
    assert knot(scene) == Knot(last, (parents,), (first, last), (parents,))


def test_a_bystander_is_not_refused_though_it_came_last() -> None:
    (mine,), (waiter, bystander) = hold("a"), wait("a", "bystander")
    assert knot(Scene(1, (mine,), (waiter, bystander))) == Knot(waiter, (mine,), (waiter,), (mine,))


def test_one_who_holds_and_waits_behind_a_deadlock_of_another_lane_is_not_refused() -> None:
    inner, outer = hold("a", lane="batch"), hold("b")
    waiters = wait("a", lane="batch") + wait("b", lane="batch") + wait("c")
    scene = Scene(2, inner + outer, waiters, {}, {"batch": 1})
    assert knot(scene, "web") == knot(scene, "batch") == Knot(waiters[0], inner, waiters[:1], inner)


def test_two_tasks_that_each_hold_what_the_other_waits_for_are_a_deadlock_across_lanes() -> None:
    holders = hold("a", lane="one") + hold("b", lane="two")
    waiters = wait("b", lane="one") + wait("a", lane="two")
    scene = Scene(9, holders, waiters, {}, {"one": 1, "two": 1})
    for lane in "one", "two":
        found = knot(scene, lane)
        assert found is not None
        assert (found.victim, found.own, found.waiters) == (waiters[1], holders[:1], waiters)
        assert set(found.holders) == set(holders)


def test_a_lane_that_may_be_served_is_not_taken_for_the_deadlocked_ones_it_also_needs() -> None:
    lanes = tuple("stuvwxyz")
    stuck = tuple(Hold(lane, lane) for lane in lanes)
    waiters = tuple(Wait(lane, lane) for lane in lanes)
    scene = Scene(
        99, hold("a") + stuck, wait("b") + waiters, {"a": ("runs", *lanes)}, dict.fromkeys(("web", *lanes), 1)
    )
    assert knot(scene) is None
    assert all(knot(scene, lane) is not None for lane in lanes)


def test_a_look_at_one_holder_is_enough_if_it_runs() -> None:
    class Watched(Scene):
        def in_the_way_of(self, lane: str) -> Iterator[Hold]:  # type: ignore[override]
            yield self.holds[0]
            raise AssertionError("looked further")

    assert knot(Watched(2, hold("a", "b"), wait("c"))) is None


def test_all_holders_are_looked_at_before_the_many_whom_one_awaits() -> None:
    class Watched(Scene):
        def awaited_by(self, task: str) -> tuple[str, ...]:
            assert not task.startswith("child")
            return super().awaited_by(task)

    children = tuple(f"child {number}" for number in range(1000))
    assert knot(Watched(2, hold("parent", "b"), wait("c"), {"parent": children})) is None


def test_a_long_way_to_the_deadlock_is_no_matter() -> None:
    tasks = [f"{number}" for number in range(5000)]
    awaits = {one: (other,) for one, other in pairwise(tasks)}
    assert knot(Scene(1, hold(tasks[0]), wait(tasks[-1]), awaits)) is not None


# The model. Anything may happen that is not known to be impossible: a task that runs may end, or go on for ever; one
# that awaits others goes on when one of them has ended; a free permit may go to any waiter.

TASKS = "abcdef"


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    """Some tasks hold, some of these and some others wait or await, nobody waits for what is free."""
    lanes = ("web", "batch")
    capacity = draw(st.integers(1, 4))
    shares = draw(st.dictionaries(st.sampled_from(lanes), st.integers(1, capacity)))
    owners = draw(st.lists(st.sampled_from((*TASKS, *TASKS, *TASKS, None)), min_size=1, max_size=capacity))
    holds: list[Hold] = []
    for number, owner in enumerate(owners):
        lane = draw(st.sampled_from(lanes))
        if Scene(capacity, shares=shares).has_room(lane, holds):
            holds.append(Hold(owner, lane, number))
    scene = Scene(capacity, tuple(holds), shares=shares)
    full = [lane for lane in lanes if not scene.has_room(lane, holds)]
    assume(full)
    waits, awaits = [], {}
    for task in draw(st.permutations(TASKS)):
        doing = draw(st.sampled_from(("wait", "wait", "await", "await", "run")))
        if doing == "wait":
            waits.append(Wait(task, draw(st.sampled_from(full))))
        elif doing == "await":
            others = st.sampled_from(TASKS.replace(task, ""))
            awaits[task] = tuple(draw(st.sets(others, min_size=1, max_size=3)))
    assume(waits)
    return Scene(capacity, tuple(holds), tuple(waits), awaits, shares)


def can_happen(scene: Scene, refused: Wait | None = None) -> tuple[set[Wait], set[Hold]]:
    """Who can ever be served, and who can ever leave, when *refused* is told that it will not be."""
    served: set[Wait] = set()
    left: set[Hold] = set()
    start = (
        frozenset(scene.holds),
        frozenset(set(scene.waits) - {refused}),
        frozenset(scene.awaits),
        frozenset[str](),  # ended
    )
    ahead, known = [start], {start}
    while ahead:
        holds, waits, awaits, ended = ahead.pop()
        left |= set(scene.holds) - holds
        served |= set(scene.waits) - {refused} - waits
        blocked = {wait.task for wait in waits} | awaits
        steps = [(holds - {one}, waits, awaits, ended) for one in holds if one.task is None]
        steps += [
            (holds | {Hold(one.task, one.lane, -1)}, waits - {one}, awaits, ended)
            for one in waits
            if scene.has_room(one.lane, holds)
        ]
        steps += [(holds, waits, awaits - {one}, ended) for one in awaits if ended & set(scene.awaits[one])]
        steps += [
            (frozenset(hold for hold in holds if hold.task != task), waits, awaits, ended | {task})
            for task in set(TASKS) - blocked - ended
        ]
        ahead += set(steps) - known
        known.update(steps)
    return served, left


def has_ring(awaits: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether some tasks await each other."""
    rest = dict(awaits)
    while free := [task for task, others in rest.items() if not set(others) & set(rest)]:
        for task in free:
            del rest[task]
    return bool(rest)


@settings(max_examples=80, deadline=None)
@given(scenes())
def test_a_knot_is_what_can_never_move_unless_one_of_it_is_refused(scene: Scene) -> None:
    served, left = can_happen(scene)
    for lane in {waiter.lane for waiter in scene.waits}:
        found = knot(scene, lane)
        doomed = [waiter for waiter in scene.waits if waiter.lane == lane and waiter not in served]
        if found is None:
            assert not doomed or has_ring(scene.awaits)
            continue
        assert doomed == [waiter for waiter in scene.waits if waiter.lane == lane]
        assert not served & set(found.waiters)
        assert not left & set(found.holders)
        assert found.victim == max(found.waiters, key=scene.arrival_of)
        assert found.own
        _, left_then = can_happen(scene, refused=found.victim)
        assert set(found.own) <= left_then
        for outside in set(scene.waits) - set(found.waiters):
            _, left_then = can_happen(scene, refused=outside)
            assert not left_then & set(found.holders)
