"""Hashes of 64-bit integers, with pgbench's numbers: FNV-1a, MurmurHash2, and a permutation of a range."""

from __future__ import annotations

from typing import Final

from dbpool.loadtest.scripts.prng import Prng
from dbpool.loadtest.scripts.problems import EvaluationError

_64_BITS: Final = (1 << 64) - 1
_FNV_OFFSET_BASIS: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3
_MURMUR_MULTIPLIER: Final = 0xC6A4A7935BD1E995
_MURMUR_SHIFT: Final = 47
_PERMUTATION_ROUNDS: Final = 6


def signed(value: int) -> int:
    """The 64-bit integer whose bits are the lowest 64 of *value*."""
    value &= _64_BITS
    return value - (value >> 63 << 64)


def fnv1a(value: int, seed: int) -> int:
    """FNV-1a (Fowler, Noll and Vo) of the eight bytes of *value*, lowest first."""
    result = _FNV_OFFSET_BASIS ^ (seed & _64_BITS)
    for byte in (value & _64_BITS).to_bytes(8, "little"):
        result = (result ^ byte) * _FNV_PRIME & _64_BITS
    return signed(result)


def murmur2(value: int, seed: int) -> int:
    """MurmurHash2 (Appleby), its 64-bit form, of the eight bytes of *value*."""
    key = value * _MURMUR_MULTIPLIER & _64_BITS
    key = (key ^ key >> _MURMUR_SHIFT) * _MURMUR_MULTIPLIER & _64_BITS
    result = (seed & _64_BITS) ^ (8 * _MURMUR_MULTIPLIER & _64_BITS)
    result = (result ^ key) * _MURMUR_MULTIPLIER & _64_BITS
    result = (result ^ result >> _MURMUR_SHIFT) * _MURMUR_MULTIPLIER & _64_BITS
    return signed(result ^ result >> _MURMUR_SHIFT)


def permute(value: int, size: int, seed: int) -> int:
    """Where a permutation of 0 to *size* - 1, chosen by *seed*, puts *value* modulo *size*.

    Six rounds: multiply, xor and rotate the lower and then the upper half, which overlap unless *size* is a power of
    two, and shift all by an offset.

    Raises: EvaluationError: *size* is less than 1.
    """
    if size <= 0:
        raise EvaluationError("permute size parameter must be greater than zero")
    if size == 1:
        return 0
    prng = Prng(seed)
    bits = size.bit_length() - 1
    mask = (1 << bits) - 1
    place = (value & _64_BITS) % size
    for _ in range(_PERMUTATION_ROUNDS):
        place = _scramble(place, prng, bits, mask)
        place = size - 1 - _scramble(size - 1 - place, prng, bits, mask)
        place = (place + prng.uniform(0, size - 1)) % size
    return place


def _scramble(place: int, prng: Prng, bits: int, mask: int) -> int:
    multiplier = prng.uint64() & mask | 1
    flip = prng.uint64() & mask
    if place > mask:
        return place
    place = (place * multiplier ^ flip) & mask
    return place << 1 & mask | place >> (bits - 1)
