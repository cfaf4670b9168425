"""Items, each with its parameters, and the columns of these.

Items are given as keys: a tuple has one parameter for each value, anything else is the one parameter itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import itemgetter
from typing import TypeAlias

Args: TypeAlias = Sequence[object]


def args_of(key: object) -> Args:
    """The parameters of an item."""
    return key if isinstance(key, tuple) else (key,)


def items_of(keys: Sequence[object]) -> Sequence[Args]:
    """The parameters of many items; about 0.02 us each where all are plain tuples."""
    if set(map(type, keys)) == {tuple}:
        return keys  # type: ignore[return-value]
    return [args_of(key) for key in keys]


def columns_of(keys: Sequence[object]) -> Sequence[Sequence[object]] | None:
    """The first parameter of every item, the second, and so on; None for items that have not as many as each other.

    Not by ``zip(*keys)``: the iterators that it makes, one for each, are so many objects that Python often collects
    its garbage, 1 us an item where there are a hundred thousand of them.
    """
    kinds = set(map(type, keys))
    if not any(issubclass(kind, tuple) for kind in kinds):
        return [keys]
    items = items_of(keys)
    lengths = set(map(len, items))
    if len(lengths) > 1:
        return None
    return [list(map(itemgetter(at), items)) for at in range(lengths.pop())]
