"""PostgreSQL's pseudo-random numbers, the same from the same seed.

xoroshiro128** (Blackman and Vigna 2018), seeded through splitmix64 (Steele, Lea and Flood 2014), cut to ranges as
src/common/pg_prng.c does since PostgreSQL 15: ``pgbench --random-seed`` there draws these very numbers.
"""

from __future__ import annotations

from math import log, pi, sin, sqrt
from typing import Final

_64_BITS: Final = (1 << 64) - 1


class Prng:
    """One sequence of numbers.

    Args:
        seed: Taken modulo 2**64.
    """

    __slots__ = ("_first", "_second")

    def __init__(self, seed: int) -> None:
        self._first, seed = _splitmix64(seed)
        self._second, seed = _splitmix64(seed)

    @property
    def state(self) -> tuple[int, int]:
        """Where in its sequence it is: kept before a transaction and set again, it makes a retry draw the same."""
        return self._first, self._second

    @state.setter
    def state(self, state: tuple[int, int]) -> None:
        self._first, self._second = state

    def uint64(self) -> int:
        """0 to 2**64 - 1."""
        first = self._first
        mixed = self._second ^ first
        self._first = ((first << 24 | first >> 40) ^ mixed ^ mixed << 16) & _64_BITS
        self._second = (mixed << 37 | mixed >> 27) & _64_BITS
        product = first * 5 & _64_BITS
        return (product << 7 | product >> 57) * 9 & _64_BITS

    def uniform(self, low: int, high: int) -> int:
        """*low* to *high*, both included, less than 2**64 apart; draws nothing where there is no choice."""
        span = high - low
        if span <= 0:
            return low
        shift = 64 - span.bit_length()
        while True:
            above = self.uint64() >> shift
            if above <= span:
                return low + above

    def double(self) -> float:
        """0 included to 1 excluded, in steps of 2**-52."""
        return (self.uint64() >> 12) * 2.0**-52

    def normal(self) -> float:
        """Mean 0, standard deviation 1, by Box and Muller's transform; two draws."""
        radius = sqrt(-2.0 * log(1.0 - self.double()))
        return radius * sin(2.0 * pi * (1.0 - self.double()))


def _splitmix64(seed: int) -> tuple[int, int]:
    """A number and the next seed."""
    seed = (seed + 0x9E3779B97F4A7C15) & _64_BITS
    value = (seed ^ seed >> 30) * 0xBF58476D1CE4E5B9 & _64_BITS
    value = (value ^ value >> 27) * 0x94D049BB133111EB & _64_BITS
    return value ^ value >> 31, seed
