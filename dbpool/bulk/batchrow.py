"""A row of a batch, which hides the column that tells its item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, TypeAlias

from dbpool.connection import Record
from dbpool.core.batches import ORDINAL

Key: TypeAlias = Any  # a column's name, an index or a slice, as asyncpg takes it

_get: Any = Record.__getitem__
_count: Any = Record.__len__
_VISIBLE = slice(0, -1)


class BatchRow(Record):
    """Like the record of a statement of its own: same columns, length, values, equality."""

    __slots__ = ()

    def __len__(self) -> int:
        return int(_count(self)) - 1

    def __iter__(self) -> Iterator[Any]:
        return iter(_get(self, _VISIBLE))

    def __getitem__(self, key: Key) -> Any:  # noqa: ANN401 - whatever type the column has
        if isinstance(key, slice) or hasattr(key, "__index__"):
            return _get(self, _VISIBLE)[key]
        if key == ORDINAL:
            raise KeyError(key)
        return _get(self, key)

    def __contains__(self, key: object) -> bool:
        return key != ORDINAL and super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as above
        return default if key == ORDINAL else super().get(key, default)

    def keys(self) -> Iterator[str]:
        return iter([*super().keys()][:-1])

    def values(self) -> Iterator[Any]:
        return iter(self)

    def items(self) -> Iterator[tuple[str, Any]]:
        return zip(self.keys(), self, strict=True)

    def __eq__(self, other: object) -> bool:
        return bool(_get(self, _VISIBLE) == _comparable(other))

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __lt__(self, other: object) -> bool:
        return bool(_get(self, _VISIBLE) < _comparable(other))

    def __le__(self, other: object) -> bool:
        return bool(_get(self, _VISIBLE) <= _comparable(other))

    def __gt__(self, other: object) -> bool:
        return bool(_get(self, _VISIBLE) > _comparable(other))

    def __ge__(self, other: object) -> bool:
        return bool(_get(self, _VISIBLE) >= _comparable(other))

    def __hash__(self) -> int:
        return hash(_get(self, _VISIBLE))

    def __repr__(self) -> str:
        return f"<{' '.join(['Record', *(f'{name}={value!r}' for name, value in self.items())])}>"


def _comparable(other: object) -> Any:  # noqa: ANN401 - whatever it is compared with
    return tuple(other) if isinstance(other, Record) else other


def by_item(rows: Sequence[Record], items: int) -> list[list[Record]]:
    """The rows of each item, in the order in which they came."""
    numbers = _numbers(rows)
    if numbers == list(range(1, items + 1)):  # the usual case: one for each
        return [[row] for row in rows]
    found: list[list[Record]] = [[] for _ in range(items)]
    for number, row in zip(numbers, rows, strict=True):
        _check(number, items)
        found[number - 1].append(row)
    return found


def first_by_item(rows: Sequence[Record], items: int) -> Sequence[Record | None]:
    """The first row of each item, None where there is none."""
    numbers = _numbers(rows)
    if numbers == list(range(1, items + 1)):
        return rows
    found: list[Record | None] = [None] * items
    for number, row in zip(numbers, rows, strict=True):
        _check(number, items)
        if found[number - 1] is None:
            found[number - 1] = row
    return found


def values_by_item(rows: Sequence[Record], items: int) -> list[Any]:
    """The first column of the first row of each item, None where there is none."""
    firsts = first_by_item(rows, items)
    if firsts is rows:
        return list(map(_get, rows, repeat(0)))
    return [None if row is None else row[0] for row in firsts]


def _numbers(rows: Sequence[Record]) -> list[int]:
    return list(map(_get, rows, repeat(-1)))


def _check(number: int, items: int) -> None:
    assert 1 <= number <= items, f"a batch of {items} items was answered with a row of item {number}"
