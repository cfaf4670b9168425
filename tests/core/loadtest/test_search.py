"""The search for the knee, on servers whose knee is known."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dbpool.core.loadtest.curve import Observation, spread
from dbpool.core.loadtest.search import Effort, Search, Status, Why
from tests.core.loadtest.simulated import Server, searched

EXACT = Effort(cap=200, noise=0.001, latency_limit_ms=1e9)
NOISY = replace(EXACT, noise=0.03)


@pytest.mark.parametrize("cores", [1, 2, 3, 4, 6, 8, 10, 16, 24, 48, 64])
def test_the_knee_of_a_plateau_is_found(cores: int) -> None:
    server = Server(cores)
    found = searched(server, EXACT)
    assert found.status is Status.BOUNDED
    assert found.knee is not None
    assert abs(found.knee.size - server.true_knee()) <= 0.1 * server.true_knee()
    assert found.knee.tps >= 0.95 * server.true_tps(200)


@pytest.mark.parametrize("think_s", [0.001, 0.002, 0.01])
@pytest.mark.parametrize("cores", [2, 8, 16])
def test_the_knee_of_a_server_that_is_not_always_busy_is_found(cores: int, think_s: float) -> None:
    server = Server(cores, think_s=think_s)
    found = searched(server, replace(EXACT, cap=400))
    assert found.status is Status.BOUNDED
    assert found.knee is not None
    assert abs(found.knee.size - server.true_knee()) <= max(1, 0.1 * server.true_knee())


@pytest.mark.parametrize("kappa", [0.0002, 0.001, 0.01])
@pytest.mark.parametrize("cores", [4, 10, 32])
def test_the_knee_of_a_server_that_gets_worse_is_found(cores: int, kappa: float) -> None:
    server = Server(cores, kappa=kappa)
    found = searched(server, EXACT)
    assert found.status is Status.BOUNDED
    assert found.knee is not None
    assert server.true_tps(found.knee.size) >= 0.93 * server.true_tps(server.true_knee())
    assert found.knee.size <= 1.25 * server.true_knee() + 1


@pytest.mark.parametrize("cores", [4, 10, 24])
def test_noise_moves_the_knee_by_little_and_the_range_tells(cores: int) -> None:
    servers = [Server(cores, noise=0.02, seed=seed) for seed in range(40)]
    found = [searched(server, NOISY, seed) for seed, server in enumerate(servers)]
    knees = [each.knee for each in found if each.status is Status.BOUNDED and each.knee is not None]
    true = servers[0].true_knee()
    assert len(knees) >= 34
    assert sum(abs(knee.size - true) <= max(1, 0.15 * true) for knee in knees) >= 0.9 * len(knees)
    assert sum(knee.low <= true <= (knee.high or 0) for knee in knees) >= 0.9 * len(knees)
    assert all(each.status in (Status.BOUNDED, Status.UNRESOLVED, Status.DRIFTING) for each in found)


def test_two_searches_on_the_same_quiet_server_differ_by_one_step_at_most() -> None:
    sizes = []
    for seed in range(30):
        knee = searched(Server(10, noise=0.01, seed=seed), replace(NOISY, noise=0.015), seed).knee
        assert knee is not None
        sizes.append(knee.size)
    assert max(sizes) - min(sizes) <= 1


def test_noise_that_drowns_the_knee_gives_none() -> None:
    found = [searched(Server(10, noise=0.3, seed=seed), replace(EXACT, noise=0.3), seed) for seed in range(20)]
    assert sum(each.status is Status.UNRESOLVED for each in found) >= 18


@pytest.mark.parametrize("cap", [1, 2, 3, 5, 8, 12, 15])
def test_a_cap_below_twice_the_knee_gives_a_lower_bound(cap: int) -> None:
    found = searched(Server(16), replace(EXACT, cap=cap))
    assert found.status is Status.LOWER_BOUND
    assert found.knee is not None
    assert found.at_least == found.knee.size == cap
    assert str(cap) in found.why


def test_a_cap_at_twice_the_knee_bounds_it() -> None:
    assert searched(Server(10), replace(EXACT, cap=20)).status is Status.BOUNDED
    assert searched(Server(10), replace(EXACT, cap=19)).status is Status.LOWER_BOUND


def test_a_slow_generator_is_never_taken_for_the_server() -> None:
    for share in (0.1, 0.3, 0.6, 0.99):
        server = Server(10)
        server.generator_tps = share * server.true_tps(10)
        found = searched(server, EXACT)
        assert found.status is Status.GENERATOR_BOUND
        assert found.knee is None
        assert found.at_least <= 10


def test_a_generator_that_pauses_once_is_asked_again() -> None:
    server = Server(10)
    search = Search(EXACT, Random(1))
    while search.probe is not None:
        observation = server.measure(search.probe.size, search.probe.why)
        search.observe(replace(observation, is_generator_bound=len(server.asked) % 5 == 0))
    assert search.outcome.status is Status.BOUNDED
    assert search.outcome.knee is not None
    assert search.outcome.knee.size == 10


@pytest.mark.parametrize("per_point", [-0.02, 0.02])
def test_a_server_that_drifts_is_noticed(per_point: float) -> None:
    found = searched(Server(10, drift=lambda before: 1 + per_point * before), EXACT)
    assert found.status is Status.DRIFTING
    assert found.knee is None
    assert found.at_least == 0


def test_a_hiccup_at_the_reference_is_no_drift() -> None:
    server = Server(10)
    search = Search(EXACT, Random(1))
    hiccups = 0
    while search.probe is not None:
        observation = server.measure(search.probe.size, search.probe.why)
        if search.probe.why is Why.REFERENCE and not hiccups:
            hiccups += 1
            observation = replace(observation, tps=observation.tps / 2, interval=None)
        search.observe(observation)
    assert hiccups
    assert search.outcome.status is Status.BOUNDED


def test_the_reference_is_measured_after_every_four_others() -> None:
    server = Server(24)
    searched(server, EXACT)
    runs, since = [], 0
    for _, why in server.asked:
        since += 1
        if why is Why.REFERENCE:
            runs.append(since - 1)
            since = 0
    assert runs
    assert set(runs) == {4}
    assert {size for size, why in server.asked if why is Why.REFERENCE} == {4}


def test_the_knee_and_its_neighbours_are_measured_again_before_they_are_believed() -> None:
    server = Server(10)
    searched(server, EXACT)
    assert {size for size, why in server.asked if why is Why.CONFIRM} >= {9, 10}


def test_sizes_are_filled_in_random_order() -> None:
    orders = set()
    for seed in range(6):
        server = Server(24)
        searched(server, EXACT, seed)
        orders.add(tuple(size for size, why in server.asked if why is Why.FILL))
    assert len(orders) > 1


def grown(server: Server) -> list[int]:
    searched(server, EXACT)
    return [size for size, why in server.asked if why is Why.GROW]


class Stairs(Server):
    """Twice as fast with every second doubling, up to 16."""

    def true_tps(self, size: int) -> float:
        return {1: 100.0, 2: 102.0, 3: 110.0}.get(size, 200.0 if size < 14 else 400.0)


def test_two_flat_doublings_end_the_growth() -> None:
    assert grown(Server(10)) == [1, 2, 4, 8, 16, 32, 64]


def test_flat_doublings_that_do_not_follow_each_other_do_not() -> None:
    assert grown(Stairs()) == [1, 2, 4, 8, 16, 32, 64]


def test_a_fall_ends_the_growth_at_once() -> None:
    assert grown(Server(10, kappa=0.004)) == [1, 2, 4, 8, 16]


def test_a_peak_between_two_doublings_is_seen() -> None:
    server = Server(12, kappa=0.004)
    found = searched(server, EXACT)
    assert server.true_tps(16) < server.true_tps(8) < 0.9 * server.true_tps(12)
    assert found.knee is not None
    assert found.knee.size == server.true_knee() == 11


def test_a_lucky_size_is_found_out_and_the_next_one_is_measured_again_too() -> None:
    server = Server(10)
    search = Search(EXACT, Random(1))
    while search.probe is not None:
        probe = search.probe
        observation = server.measure(probe.size, probe.why)
        if probe.size == 8 and probe.why is Why.GROW:
            observation = replace(observation, tps=server.true_tps(10), interval=None)
        search.observe(observation)
    assert search.outcome.knee is not None
    assert search.outcome.knee.size == 10
    assert search.outcome.knee.size in [size for size, why in server.asked if why is Why.CONFIRM]
    assert search.outcome.status is Status.BOUNDED


def test_a_knee_that_is_another_each_time_it_is_measured_again_is_unresolved() -> None:
    server = Server(10)
    search = Search(EXACT, Random(1))
    while search.probe is not None:
        probe = search.probe
        observation = server.measure(probe.size, probe.why)
        if probe.why is Why.CONFIRM:
            observation = replace(observation, tps=observation.tps / 2)
        search.observe(observation)
    assert search.outcome.status is Status.UNRESOLVED
    assert "measured again" in search.outcome.why


def test_a_server_that_becomes_a_little_faster_does_not_drift() -> None:
    found = searched(Server(10, drift=lambda before: 1 + 0.002 * before), EXACT)
    assert found.status is Status.BOUNDED


@pytest.mark.parametrize(("cores", "cap"), [(6, 10), (9, 16), (40, 64)])
def test_a_plateau_that_ends_early_is_not_said_to_grow(cores: int, cap: int) -> None:
    found = searched(Server(cores), replace(EXACT, cap=cap))
    assert (found.status, found.largest) == (Status.LOWER_BOUND, cap)
    assert "grew at" not in found.why
    assert f"less than twice {found.knee and found.knee.size}" in found.why


def test_a_server_that_refuses_lowers_the_cap() -> None:
    server = Server(16, limit=11)
    found = searched(server, EXACT)
    assert found.status is Status.LOWER_BOUND
    assert found.knee is not None
    assert found.knee.size <= 11
    assert server.asked[-1][0] <= 15


@pytest.mark.parametrize("limit", [33, 47, 65, 70, 100, 127])
def test_a_limit_far_below_the_cap_is_found_in_few_tries(limit: int) -> None:
    server = Server(128, limit=limit)
    found = searched(server, replace(EXACT, cap=500))
    assert found.status is Status.LOWER_BOUND
    assert max(size for size, _ in server.asked if size <= limit) == limit
    assert sum(size > limit for size, _ in server.asked) <= 7


def test_a_server_that_refuses_all_ends_the_search() -> None:
    found = searched(Server(16, limit=0), EXACT)
    assert (found.status, found.knee, found.at_least) == (Status.UNRESOLVED, None, 0)


def test_the_largest_size_within_the_latency_limit_is_found() -> None:
    server = Server(8, think_s=0.01)
    limit_ms = 9.0
    truth = next(size for size in range(1, 99) if (size / server.true_tps(size) - 0.01) * 3000 > limit_ms) - 1
    found = searched(server, replace(EXACT, latency_limit_ms=limit_ms))
    assert found.knee is not None
    assert found.latency_size is not None
    assert truth < found.knee.size
    assert abs(found.latency_size - truth) <= 0.1 * truth + 1


def test_a_hiccup_is_no_latency_limit() -> None:
    for slow in range(1, 12):
        server = Server(10)
        search = Search(replace(EXACT, latency_limit_ms=18.0), Random(1))
        while search.probe is not None:
            seen = server.measure(search.probe.size, search.probe.why)
            is_slow = len(server.asked) == slow and seen.service_p99_ms is not None
            search.observe(replace(seen, service_p99_ms=1000.0) if is_slow else seen)
        assert search.outcome.latency_size is None
        assert search.outcome.status is Status.BOUNDED


def test_a_latency_limit_beyond_the_knee_binds_nothing() -> None:
    assert searched(Server(10), replace(EXACT, latency_limit_ms=6.1)).latency_size is None


def test_a_latency_limit_that_nothing_keeps_leaves_no_size() -> None:
    assert searched(Server(10), replace(EXACT, latency_limit_ms=5.0)).latency_size == 0


def test_the_latency_limit_is_three_times_that_of_one_client_unless_given() -> None:
    found = searched(Server(10), replace(EXACT, latency_limit_ms=None))
    assert found.latency_limit_ms == pytest.approx(18)
    assert found.latency_size is None


def test_a_search_ends_within_its_measurements() -> None:
    found = searched(Server(64), replace(EXACT, most=9))
    assert (found.status, found.measured) == (Status.UNRESOLVED, 9)
    assert found.knee is not None


def test_a_search_that_is_stopped_knows_no_better() -> None:
    search = Search(EXACT, Random(1))
    assert search.outcome.knee is None
    search.observe(Observation(1, 500.0))
    assert search.outcome.status is Status.UNRESOLVED
    assert search.outcome.knee is not None


def test_another_size_than_asked_for_is_refused() -> None:
    with pytest.raises(ValueError, match="not for 7"):
        Search(EXACT, Random(1)).observe(Observation(7, 500.0))


@settings(max_examples=60)
@given(
    st.integers(1, 40),
    st.sampled_from([0.0, 0.001, 0.02]),
    st.sampled_from([0.0, 0.0005, 0.01]),
    st.sampled_from([0.0, 0.02, 0.1, 0.5]),
    st.integers(1, 100),
    st.integers(0, 999),
)
def test_every_search_ends_with_sizes_it_was_allowed(
    cores: int, think_s: float, kappa: float, noise: float, cap: int, seed: int
) -> None:
    server = Server(cores, think_s=think_s, kappa=kappa, noise=noise, seed=seed, limit=seed % 120)
    found = searched(server, replace(NOISY, cap=cap, latency_limit_ms=None), seed)
    assert found.measured == len(server.asked) <= NOISY.most
    assert all(1 <= size <= cap for size, _ in server.asked)
    if found.knee is not None:
        assert found.knee.low <= found.knee.size <= cap
        assert found.knee.high is None or found.knee.size <= found.knee.high


@pytest.mark.parametrize(
    ("low", "high", "many", "wanted"),
    [(8, 16, 3, [10, 12, 14]), (1, 2, 3, []), (1, 3, 3, [2]), (4, 8, 1, [6]), (5, 5, 3, []), (8, 16, 0, [])],
)
def test_sizes_are_spread_evenly(low: int, high: int, many: int, wanted: list[int]) -> None:
    assert spread(low, high, many) == wanted


@pytest.mark.parametrize("repeats", [2, 3, 4])
def test_the_knee_is_measured_as_often_as_asked(repeats: int) -> None:
    server = Server(noise=0.005)
    found = searched(server, Effort(cap=64, repeats=repeats))
    assert found.status is Status.BOUNDED
    assert found.knee is not None
    assert sum(size == found.knee.size for size, _ in server.asked) >= repeats


def test_a_search_by_several_processes_measures_none_but_what_all_have_a_part_of() -> None:
    server = Server()
    found = searched(server, Effort(cap=64, smallest=4))
    assert min(size for size, _ in server.asked) == 4
    assert found.status is Status.BOUNDED
    assert searched(Server(), Effort(cap=2, smallest=4)).status is Status.LOWER_BOUND


def test_on_a_flat_top_a_knee_that_wanders_within_its_range_is_found() -> None:
    quick = Effort(cap=64, fill=1, rounds=1, reference_every=6, resolution=0.25, noise=0.03, latency_limit_ms=1e9)
    for seed in range(60):
        server = Server(cores=2, service_s=0.001, think_s=0.0005, noise=0.03, seed=seed)
        assert searched(server, quick, seed=seed).status is Status.BOUNDED, seed
