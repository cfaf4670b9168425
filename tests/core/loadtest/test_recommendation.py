"""Recommendations: the smallest bound wins and is named, and no more is claimed than was measured."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.loadtest.budget import Fleet, Slots
from dbpool.core.loadtest.curve import Knee
from dbpool.core.loadtest.recommendation import Binding, Grade, Recommendation, Tasks, Trust, recommend
from dbpool.core.loadtest.search import Outcome, Status

KNEE = Knee(size=20, low=18, high=24, tps=9600, peak_tps=10_000)
FOUND = Outcome(Status.BOUNDED, "", KNEE, at_least=18, latency_size=None, latency_limit_ms=30, measured=25)
LARGER = replace(FOUND, status=Status.LOWER_BOUND, why="throughput still grew at 20, the largest size")
SLOTS = Slots(100)
ALONE, PLAIN = Fleet(), Tasks()
BEST = Trust(repeats=3, off=0.02)


def advised(
    found: Outcome = FOUND,
    slots: Slots = SLOTS,
    fleet: Fleet = ALONE,
    tasks: Tasks = PLAIN,
    trust: Trust = BEST,
) -> Recommendation:
    return recommend(found, slots, fleet, tasks=tasks, trust=trust)


def test_the_knee_is_recommended_where_nothing_else_binds() -> None:
    assert advised() == Recommendation(
        Grade.A,
        ("20 connections give 96% of the peak, 10,000/s",),
        pool_size=20,
        per_instance=20,
        low=18,
        high=24,
        binding=Binding.KNEE,
    )


def test_the_latency_limit_binds_below_the_knee() -> None:
    found = advised(replace(FOUND, latency_size=12))
    assert (found.pool_size, found.low, found.high, found.binding) == (12, 12, 12, Binding.LATENCY)
    assert found.reasons == ("above 12 connections service p99 exceeds 30 ms",)


def test_what_fits_binds_below_the_knee() -> None:
    found = advised(fleet=Fleet(4, 2, reserve=20))
    assert (found.pool_size, found.per_instance, found.binding) == (20, 5, Binding.KNEE)
    found = advised(fleet=Fleet(4, 2, reserve=40))
    assert (found.pool_size, found.per_instance, found.binding) == (20, 5, Binding.KNEE)
    found = advised(fleet=Fleet(4, 2, reserve=68))
    assert (found.pool_size, found.per_instance, found.binding) == (16, 4, Binding.FLEET)
    assert (found.low, found.high) == (16, 16)
    assert "4 x 4 connections (times 2 during a deployment)" in found.reasons[0]


def test_a_knee_is_rounded_up_to_all_instances_and_a_latency_limit_down() -> None:
    assert advised(fleet=Fleet(3)).pool_size == 21
    assert advised(replace(FOUND, latency_size=11), fleet=Fleet(3)).pool_size == 9


def test_each_instance_has_at_least_one_and_it_is_said_what_that_breaks() -> None:
    found = advised(replace(FOUND, latency_size=2), fleet=Fleet(3))
    assert found.per_instance == 1
    assert "at least one" in found.reasons[1]


def test_what_the_last_slots_did_not_bring_is_not_bound_by_them() -> None:
    all_that_fits = replace(LARGER, is_refused=True, largest=KNEE.size)
    assert recommend(all_that_fits, SLOTS, Fleet()).binding is Binding.FLEET
    found = recommend(replace(all_that_fits, largest=KNEE.size + 5), SLOTS, Fleet())
    assert found.binding is Binding.KNEE
    assert not any("grew" in reason for reason in found.reasons)


@pytest.mark.parametrize("status", [Status.GENERATOR_BOUND, Status.DRIFTING])
def test_what_was_not_the_server_is_never_recommended(status: Status) -> None:
    found = advised(replace(FOUND, status=status, why="at size 4", knee=None))
    assert found == Recommendation(Grade.NONE, (f"{status.value}: at size 4",))
    assert advised(replace(FOUND, status=status, why="at size 4"), Slots(5)).grade is Grade.NONE


def test_an_unresolved_knee_is_not_recommended() -> None:
    found = advised(replace(FOUND, status=Status.UNRESOLVED, why="too noisy"))
    assert found.grade is Grade.NONE
    assert found.pool_size is None
    assert found.reasons == ("the measurements do not agree on a knee: too noisy",)


@pytest.mark.parametrize("status", [Status.UNRESOLVED, Status.LOWER_BOUND])
def test_a_bound_below_what_is_known_to_grow_needs_no_knee(status: Status) -> None:
    found = advised(replace(LARGER, status=status), Slots(10))
    assert (found.grade, found.pool_size, found.high, found.binding) == (Grade.A, 10, 10, Binding.FLEET)
    assert advised(replace(FOUND, status=status), Slots(18)).grade is Grade.A
    assert advised(replace(FOUND, status=status), Slots(19)).grade in (Grade.C, Grade.NONE)


def test_a_lower_bound_is_a_recommendation_of_the_lowest_grade() -> None:
    found = advised(LARGER)
    assert (found.grade, found.pool_size, found.low, found.high) == (Grade.C, 20, 18, None)
    assert "the knee may be larger" in found.reasons[1]
    assert advised(replace(LARGER, at_least=20)).grade is Grade.C


def test_tasks_that_hold_several_connections_raise_the_size() -> None:
    found = advised(tasks=Tasks(at_once=16, connections_each=3))
    assert (found.pool_size, found.binding, found.grade) == (33, Binding.DEADLOCK, Grade.A)
    assert (found.low, found.high) == (18, 33)
    assert found.reasons[-1] == "16 tasks that hold 3 connections each need 33, or they can wait for each other forever"


def test_tasks_that_cannot_fit_without_a_deadlock_leave_no_recommendation() -> None:
    found = advised(slots=Slots(32), tasks=Tasks(at_once=16, connections_each=3))
    assert found.grade is Grade.NONE
    assert found.reasons == (
        "16 tasks that hold 3 connections each need 33 in each instance, and there is room for 32",
    )
    assert advised(slots=Slots(33), tasks=Tasks(at_once=16, connections_each=3)).pool_size == 33


def test_no_room_is_no_recommendation() -> None:
    found = advised(slots=Slots(10, others=8), fleet=Fleet(2, 2))
    assert found.grade is Grade.NONE
    assert found.reasons == (
        "2 free slots less 0 in reserve are not enough for 2 instances, 2 times as many during a deployment",
    )


def test_a_latency_limit_that_nothing_keeps_is_no_recommendation() -> None:
    assert advised(replace(FOUND, latency_size=0)).reasons == ("even one connection takes more than 30 ms at p99",)


@pytest.mark.parametrize(
    ("trust", "grade"),
    [
        (Trust(3, 0.049), Grade.A),
        (Trust(3, 0.05), Grade.B),
        (Trust(2, 0.01), Grade.B),
        (Trust(3, 0.099), Grade.B),
        (Trust(3, 0.1), Grade.C),
        (Trust(3, None), Grade.C),
        (Trust(3, 0.01, ("unsteady",)), Grade.B),
        (Trust(1, 0.01, ("unsteady",)), Grade.C),
    ],
)
def test_the_grade_follows_from_repeats_width_and_doubts(trust: Trust, grade: Grade) -> None:
    found = advised(trust=trust)
    assert found.grade is grade
    assert (len(found.reasons) == 1) is (grade is Grade.A)


def test_what_lowers_the_grade_is_said() -> None:
    assert advised(trust=Trust(1, 0.07, ("unsteady",))).reasons[1:] == (
        "unsteady",
        "measured once; three repeats would show how much runs differ",
        "the throughput is known to 7% only",
    )


@given(
    st.sampled_from(Status),
    st.integers(1, 60),
    st.one_of(st.none(), st.integers(0, 60)),
    st.integers(1, 200),
    st.integers(1, 6),
    st.sampled_from([1.0, 1.5, 2.0]),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_what_is_recommended_always_fits_and_never_deadlocks(
    status: Status,
    size: int,
    latency_size: int | None,
    free: int,
    instances: int,
    surge: float,
    at_once: int,
    each: int,
) -> None:
    outcome = Outcome(status, "", Knee(size, max(1, size - 3), size + 2, 95, 100), size, latency_size, 5.0, 9)
    found = advised(outcome, Slots(free), Fleet(instances, surge), Tasks(at_once, each))
    if found.per_instance is None or found.pool_size is None or found.low is None:
        assert found.grade is Grade.NONE
        return
    assert found.pool_size == found.per_instance * instances
    assert found.pool_size * surge <= free
    assert found.per_instance >= at_once * (each - 1) + 1
    assert found.low <= found.pool_size
    assert found.high is None or found.pool_size <= found.high
