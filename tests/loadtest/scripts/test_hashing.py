from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbpool.loadtest.scripts.hashing import fnv1a, murmur2, permute, signed

integers = st.integers(-(1 << 63), (1 << 63) - 1)


@pytest.mark.parametrize("size", [*range(1, 34), 100, 127, 128, 129])
def test_a_permutation_puts_each_integer_somewhere_else(size: int) -> None:
    for seed in (-1, 0, 12345):
        assert sorted(permute(value, size, seed) for value in range(size)) == list(range(size))


@given(integers, st.integers(1, (1 << 63) - 1), integers)
def test_a_permuted_integer_is_one_of_the_range(value: int, size: int, seed: int) -> None:
    assert 0 <= permute(value, size, seed) < size


def test_the_seed_chooses_the_permutation() -> None:
    assert len({tuple(permute(value, 20, seed) for value in range(20)) for seed in range(100)}) == 100


@given(integers, integers)
def test_a_hash_is_an_integer_of_64_bits(value: int, seed: int) -> None:
    for hashed in (fnv1a(value, seed), murmur2(value, seed)):
        assert signed(hashed) == hashed
