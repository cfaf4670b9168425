"""What a curve shows without the search that measured it."""

from __future__ import annotations

import pytest

from dbpool.core.loadtest.curve import Curve, Observation
from dbpool.core.loadtest.intervals import around
from dbpool.core.loadtest.search import Effort, Status
from dbpool.core.loadtest.sizes import Sizes, sizes_of
from dbpool.core.loadtest.verdict import outcome_of
from dbpool.errors import SettingsError
from tests.core.loadtest.simulated import Server, searched


def curve(tps: dict[int, float], *, noise: float = 0.01, p99: dict[int, float] | None = None) -> Curve:
    made = Curve(noise=noise)
    for size, each in tps.items():
        made.add(Observation(size, each, around(each, 0.01 * each), (p99 or {}).get(size)))
    return made


PLATEAU = {1: 100.0, 2: 200.0, 4: 390.0, 8: 400.0, 16: 401.0}


def test_a_plateau_is_bounded() -> None:
    found = outcome_of(curve(PLATEAU))
    assert (found.status, found.knee and found.knee.size) == (Status.BOUNDED, 4)


def test_a_curve_that_still_grows_is_a_lower_bound() -> None:
    found = outcome_of(curve({1: 100.0, 2: 200.0, 4: 400.0}))
    assert found.status is Status.LOWER_BOUND
    assert found.at_least == 3


def test_noise_leaves_it_unresolved() -> None:
    assert outcome_of(curve(PLATEAU, noise=0.4)).status is Status.UNRESOLVED


def test_nothing_measured_is_no_knee() -> None:
    assert outcome_of(Curve()).status is Status.UNRESOLVED
    assert outcome_of(Curve(), is_generator_bound=True).status is Status.GENERATOR_BOUND


def test_what_lies_beyond_the_generators_limit_is_not_known() -> None:
    found = outcome_of(curve({1: 100.0, 2: 200.0}), is_generator_bound=True)
    assert (found.status, found.knee, found.at_least) == (Status.GENERATOR_BOUND, None, 2)
    assert outcome_of(curve(PLATEAU), is_generator_bound=True).status is Status.BOUNDED


@pytest.mark.parametrize("status", [Status.DRIFTING, Status.GENERATOR_BOUND])
def test_what_the_curve_cannot_show_is_kept(status: Status) -> None:
    found = outcome_of(curve(PLATEAU), found=(status, "so it was"))
    assert (found.status, found.why, found.knee) == (status, "so it was", None)


def test_a_search_that_came_to_no_end_is_not_ended_by_its_curve() -> None:
    found = outcome_of(curve(PLATEAU), found=(Status.UNRESOLVED, "stopped"))
    assert (found.status, found.knee and found.knee.size) == (Status.UNRESOLVED, 4)


def test_latency_binds_below_the_knee_only() -> None:
    p99 = {1: 1.0, 2: 4.0, 4: 5.0, 8: 9.0, 16: 20.0}
    assert outcome_of(curve(PLATEAU, p99=p99)).latency_size == 1
    assert outcome_of(curve(PLATEAU, p99=p99), latency_limit_ms=4.5).latency_size == 2
    assert outcome_of(curve(PLATEAU, p99=p99), latency_limit_ms=8.0).latency_size is None
    assert outcome_of(curve(PLATEAU, p99=p99), latency_limit_ms=0.5).latency_size == 0


def test_it_agrees_with_the_search_that_measured_it() -> None:
    server = Server(cores=10)
    found = searched(server, Effort(cap=64))
    again = Curve()
    for size, why in list(server.asked):
        again.add(server.measure(size, why))
    judged = outcome_of(again)
    assert judged.knee is not None
    assert found.knee is not None
    assert (judged.status, judged.knee.size) == (found.status, found.knee.size)


@pytest.mark.parametrize(
    ("text", "means"),
    [("1..64", Sizes(64)), ("8", Sizes(8, (8,))), ("4, 2,8,4", Sizes(8, (2, 4, 8)))],
)
def test_sizes_are_a_range_or_a_list(text: str, means: Sizes) -> None:
    assert sizes_of(text) == means


@pytest.mark.parametrize("text", ["", "0", "2..8", "1..", "a", "1,,2", "-4", "1..10001", "99999999999"])
def test_other_sizes_are_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(SettingsError, match="pool"):
        sizes_of(text)
