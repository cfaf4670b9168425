"""Rows of a fake server, like asyncpg's records, which no program can make."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dbpool.errors import UsageError

_MISSING = object()


class FakeRecord:
    """A row as ``asyncpg.Record`` is one: values by position, slice and name; ``dict(row)`` and ``tuple(row)``."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: Sequence[str], values: Sequence[Any]) -> None:
        self._names, self._values = tuple(names), tuple(values)

    def __getitem__(self, key: int | slice | str) -> Any:
        if not isinstance(key, str):
            return self._values[key]
        value = self.get(key, _MISSING)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a column; *default* if there is none of that name."""
        for name, value in zip(reversed(self._names), reversed(self._values), strict=True):
            if name == key:  # the last of several, as asyncpg has it
                return value
        return default

    def keys(self) -> Iterator[str]:
        return iter(self._names)

    def values(self) -> Iterator[Any]:
        return iter(self._values)

    def items(self) -> Iterator[tuple[str, Any]]:
        return iter(zip(self._names, self._values, strict=True))

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __eq__(self, other: object) -> bool:
        return self._values == (other._values if isinstance(other, FakeRecord) else other)

    def __hash__(self) -> int:
        return hash(self._values)

    def __repr__(self) -> str:
        return f"<Record {' '.join(f'{name}={value!r}' for name, value in self.items())}>"


def records_of(rows: Sequence[Mapping[str, Any] | FakeRecord]) -> list[FakeRecord]:
    """Rows as a server gives them.

    Raises:
        UsageError: one is no mapping from the columns' names to values.
    """
    records = []
    for row in rows:
        if isinstance(row, FakeRecord):
            records.append(row)
        elif isinstance(row, Mapping):
            records.append(FakeRecord(list(row), list(row.values())))
        else:
            raise UsageError(f"a row of a fake pool is a mapping, as {{'id': 7}}, not {row!r}")
    return records
