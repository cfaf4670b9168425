"""The functions that an expression may name, with the numbers of arguments they take."""

from __future__ import annotations

from typing import Final

MAX_ARGUMENTS: Final = 16

_ONE, _TWO, _THREE, _SOME = range(1, 2), range(2, 3), range(3, 4), range(1, MAX_ARGUMENTS + 1)

ARGUMENTS: Final = {
    "abs": _ONE,
    "debug": _ONE,
    "double": _ONE,
    "exp": _ONE,
    "greatest": _SOME,
    "hash": range(1, 3),
    "hash_fnv1a": range(1, 3),
    "hash_murmur2": range(1, 3),
    "int": _ONE,
    "least": _SOME,
    "ln": _ONE,
    "mod": _TWO,
    "permute": range(2, 4),
    "pi": range(1),
    "pow": _TWO,
    "power": _TWO,
    "random": _TWO,
    "random_exponential": _THREE,
    "random_gaussian": _THREE,
    "random_zipfian": _THREE,
    "sqrt": _ONE,
}

SEEDED: Final = ("hash", "hash_fnv1a", "hash_murmur2", "permute")
"""Their last argument is the variable default_seed where it is left out."""
