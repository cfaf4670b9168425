from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dbpool.loadtest.scripts.prng import Prng

seeds = st.integers(-(1 << 63), (1 << 64) - 1)


@given(seeds, st.integers(-(1 << 63), (1 << 63) - 1), st.integers(0, (1 << 64) - 1))
def test_a_number_of_a_range_lies_in_it(seed: int, low: int, span: int) -> None:
    prng = Prng(seed)
    assert all(low <= prng.uniform(low, low + span) <= low + span for _ in range(5))


@given(seeds)
def test_a_double_lies_from_zero_to_below_one_and_has_52_bits(seed: int) -> None:
    prng = Prng(seed)
    doubles = [prng.double() for _ in range(5)]
    assert all(0.0 <= double < 1.0 and (double * 2**52).is_integer() for double in doubles)


@given(seeds)
def test_a_sequence_that_is_set_back_repeats_itself(seed: int) -> None:
    prng = Prng(seed)
    prng.uint64()
    state = prng.state
    drawn = [prng.uint64() for _ in range(5)]
    prng.state = state
    assert [prng.uint64() for _ in range(5)] == drawn


def test_where_there_is_no_choice_nothing_is_drawn() -> None:
    prng = Prng(5)
    state = prng.state
    assert prng.uniform(3, 3) == 3
    assert prng.state == state


def test_a_seed_counts_modulo_64_bits() -> None:
    assert Prng(-1).uint64() == Prng((1 << 64) - 1).uint64()
