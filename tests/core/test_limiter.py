"""The adaptive limit, in front of a simulated server."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from statistics import mean, median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.core.limiter import GradientLimiter
from tests.support.queueing import Fixed, Load, Server

MOST = 20
PHASE_S = 4.0
WAITS = Load(wait_s=0.005, cpu_s=0.0001, spread=0.1)  # each holder adds its share
WAITS_AT_RANDOM = Load(wait_s=0.01, cpu_s=0.0005, spread=1.0)
COMPUTES = Load(cpu_s=0.0035, contention=0.008)  # as many holders as processors, or a few more
COLLIDES = Load(wait_s=0.0002, cpu_s=0.0004, contention=0.08)  # each beyond the fourth makes all of them slower
MIXED = Load(wait_s=0.003, cpu_s=0.001)

# By name: the loads, and what p99 may be, as a share of that of the best fixed limit
CHANGING: dict[str, tuple[tuple[Load, ...], float]] = {
    "waits, computes, waits": ((WAITS, COMPUTES, WAITS), 1.0),
    "mixed, computes, mixed": ((MIXED, COMPUTES, MIXED), 1.05),
    "waits, collides, waits": ((WAITS, COLLIDES, WAITS), 0.7),
    "computes, waits, collides": ((COMPUTES, WAITS, COLLIDES), 1.0),
    "waits at random, collides, waits at random": ((WAITS_AT_RANDOM, COLLIDES, WAITS_AT_RANDOM), 1.2),
}


def adaptive(load: Load, *, seed: int = 1) -> Server:
    return Server(GradientLimiter(MOST), load, seed=seed)


@cache
def best_fixed(loads: tuple[Load, ...]) -> tuple[float, float]:
    """Queries a second over all phases, and p99, of the fixed limit with the most."""
    servers = [Server(Fixed(limit), loads[0]) for limit in (2, 3, 4, 8, 12, 16, MOST)]
    return max((mean(server.run_all(loads, PHASE_S)), server.p99_s()) for server in servers)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("name", CHANGING)
def test_it_is_within_five_per_cent_of_the_best_fixed_limit_though_the_load_changes(name: str, seed: int) -> None:
    loads, p99_share = CHANGING[name]
    server = adaptive(loads[0], seed=seed)
    rate = mean(server.run_all(loads, PHASE_S))
    best_rate, best_p99_s = best_fixed(loads)
    assert rate >= 0.95 * best_rate
    assert server.p99_s() <= p99_share * best_p99_s


@pytest.mark.parametrize("name", ["waits, collides, waits", "computes, waits, collides"])
def test_where_no_fixed_limit_is_right_for_long_it_is_far_better_than_all_of_them(name: str) -> None:
    loads, _ = CHANGING[name]
    best_rate, _ = best_fixed(loads)
    assert mean(adaptive(loads[0]).run_all(loads, PHASE_S)) >= 1.15 * best_rate


@pytest.mark.parametrize("load", [WAITS, WAITS_AT_RANDOM, COMPUTES, COLLIDES, MIXED])
def test_under_one_load_it_comes_close_to_the_limit_that_is_best_for_it(load: Load) -> None:
    server = adaptive(load)
    server.run(2.0)
    best_rate, _ = best_fixed((load,))
    assert server.run(PHASE_S) >= 0.93 * best_rate


@pytest.mark.parametrize("seed", range(2))
def test_it_is_back_at_the_maximum_within_a_second(seed: int) -> None:
    server = adaptive(COLLIDES, seed=seed)
    server.run(PHASE_S)
    assert server.limiter.limit <= 6
    server.run_all([WAITS], 1.0)
    assert server.limiter.limit >= 0.75 * MOST


def test_it_stays_at_the_maximum_while_each_holder_adds_its_share() -> None:
    server = adaptive(WAITS)
    server.run(1.0)
    server.limits.clear()
    server.run(10.0)
    assert min(server.limits) >= 0.75 * MOST
    assert server.limits.count(MOST) >= 0.9 * len(server.limits)


def test_it_stays_low_while_holders_collide() -> None:
    server = adaptive(COLLIDES)
    server.run(2.0)
    server.limits.clear()
    server.run(10.0)
    assert 3 <= median(server.limits) <= 5
    assert sum(2 <= limit <= 6 for limit in server.limits) >= 0.95 * len(server.limits)


@pytest.mark.parametrize(("load", "per_s"), [(WAITS, 10), (COMPUTES, 10), (COLLIDES, 40), (MIXED, 15)])
def test_the_limit_rests_most_of_the_time(load: Load, per_s: int) -> None:
    server = adaptive(load)
    server.run(PHASE_S)
    assert sum(after != before for before, after in pairwise(server.limits)) <= PHASE_S * per_s


@pytest.mark.parametrize("load", [WAITS, COMPUTES, COLLIDES])
def test_it_does_not_move_while_nobody_waits(load: Load) -> None:
    server = Server(GradientLimiter(MOST), load, callers=MOST)
    server.run(5.0)
    assert set(server.limits) == {MOST}


@pytest.mark.parametrize(("per_s", "least"), [(50, 1), (350, 6), (1500, 12), (3000, 16)])
def test_callers_who_come_at_random_raise_a_low_limit_until_few_of_them_wait(per_s: float, least: int) -> None:
    limiter = GradientLimiter(MOST)
    colliding = Server(limiter, COLLIDES)
    colliding.run(PHASE_S)
    assert limiter.limit <= 6
    server = Server(limiter, Load(wait_s=0.005, spread=0.1, per_s=per_s), now=colliding.now)
    server.run(2.0)
    server.responses_s.clear()
    assert server.run(PHASE_S) == pytest.approx(per_s, rel=0.15)
    assert server.p99_s() < 0.03
    assert limiter.limit >= least


def test_callers_who_would_choke_a_pool_of_the_maximum_are_all_served() -> None:
    load = Load(wait_s=0.0002, cpu_s=0.0004, contention=0.08, per_s=2500)
    server, choking = Server(GradientLimiter(MOST), load), Server(Fixed(MOST), load)
    server.run(10.0)
    choking.run(10.0)
    assert choking.waiting > 1000
    assert server.waiting < 100
    assert server.p99_s() < 0.1


def test_pauses_between_rushes_are_not_taken_for_a_slow_server() -> None:
    rush = Load(wait_s=0.005, spread=0.1, per_s=6000)
    server = Server(GradientLimiter(MOST), rush)
    for _ in range(20):
        server.run_all([rush], 0.2)
        server.run_all([Load(wait_s=0.005, spread=0.1, per_s=0.5)], 5.0)
    assert server.limits.count(MOST) >= 0.8 * len(server.limits)


def test_holders_who_began_under_another_limit_are_not_counted_in_a_trial() -> None:
    limiter = GradientLimiter(MOST)
    now = 0.0
    while limiter.left(MOST, 40, now) is None:
        now += 0.001
    assert limiter.limit == MOST // 2
    before = [limiter.left(MOST - n // 2, 40, now) for n in range(MOST)]
    trial = [limiter.left(MOST // 2, 40, now + n * 0.004) for n in range(1, 41)]
    assert before == [None] * MOST
    assert trial == [None] * 39 + [MOST]


def test_the_least_limit_is_kept() -> None:
    server = Server(GradientLimiter(MOST, least=8), COLLIDES)
    server.run(5.0)
    assert min(server.limits) == 8


def test_a_maximum_of_one_never_moves() -> None:
    server = Server(GradientLimiter(1), COLLIDES)
    server.run(2.0)
    assert set(server.limits) == {1}


leaves = st.lists(
    st.tuples(st.integers(1, 60), st.integers(0, 50), st.sampled_from([0.0, 1e-6, 1e-4, 0.003, 0.5, 100.0])),
    max_size=60,
)


@given(hard_max=st.integers(1, 60), least=st.integers(1, 60), leaves=leaves, repeat=st.integers(1, 20))
def test_whatever_it_is_told_the_limit_keeps_its_bounds(
    hard_max: int, least: int, leaves: list[tuple[int, int, float]], repeat: int
) -> None:
    least = min(least, hard_max)
    limiter = GradientLimiter(hard_max, least)
    now = 0.0
    for held, waiting, pause_s in leaves * repeat:
        before = limiter.limit
        now += pause_s
        told = limiter.left(held, waiting, now)
        assert least <= limiter.limit <= hard_max
        assert told == (limiter.limit if limiter.limit != before else None)
