"""From a caller's row to a tuple with the values of the columns."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from operator import attrgetter, itemgetter
from typing import TypeAlias, cast

from dbpool.errors import StatementError

Values: TypeAlias = tuple[object, ...]
Reader: TypeAlias = Callable[[object], Values]


class RowMisfit(StatementError):
    """A row that has not the values that the columns need; *number* counts the rows from 0."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.number = number


def names_in(row: object) -> tuple[str, ...] | None:
    """The names that *row* has for its values; None: it has places only.

    Raises:
        RowMisfit: it is no row at all.
    """
    if has_keys(row):
        return tuple(cast("dict[str, object]", row).keys())
    if dataclasses.is_dataclass(row) and not isinstance(row, type):
        return tuple(field.name for field in dataclasses.fields(row))
    kind = type(row)
    marks = ["_fields"] if isinstance(row, tuple) else ["__struct_fields__", "model_fields"]  # of msgspec, pydantic
    for mark in marks:
        if (names := getattr(kind, mark, None)) is not None:
            return tuple(names)
    if attributes := getattr(kind, "__attrs_attrs__", None):
        return tuple(attribute.name for attribute in attributes)
    if isinstance(row, (tuple, list)):
        return None
    raise RowMisfit(f"it is {row!r:.60}, of {kind.__name__}: give tuples, lists, dicts or objects with fields")


def names_in_first(row: object) -> tuple[str, ...] | None:
    """The same for the first row of all."""
    try:
        return names_in(row)
    except RowMisfit as error:
        raise _at(0, error) from None


def has_keys(row: object) -> bool:
    """Whether values are had by ``row[name]``: a mapping, or a record of the driver."""
    return hasattr(row, "keys") and hasattr(row, "__getitem__")


class RowShape:
    """Reads rows of any kind into tuples in the order of *columns*.

    Args:
        is_all: *columns* are all that the first row has, so that one with another name does not fit: its value would
            be lost.
        never_null: places of columns that must have a value.
    """

    def __init__(self, columns: Sequence[str], *, is_all: bool, never_null: Sequence[int] = ()) -> None:
        self.columns = tuple(columns)
        self._is_all = is_all
        self._never_null = tuple(never_null)
        self._readers: dict[type, Reader] = {}

    def read(self, rows: list[object], first: int) -> list[Values]:
        """The values of *rows*, the first of which has the number *first*.

        Raises:
            RowMisfit: one does not fit.
        """
        if self._are_values(rows):
            return cast("list[Values]", rows)
        values, readers, never_null = [], self._readers, self._never_null
        for number, row in enumerate(rows, first):
            try:
                read = readers.get(row.__class__) or self.reader_of(row)
                ours = read(row)
            except RowMisfit as error:
                raise _at(number, error) from None
            for place in never_null:
                if ours[place] is None:
                    raise RowMisfit(
                        f"row {number} (counted from 0) has no value in the key column {self.columns[place]!r}: NULL "
                        f"is equal to nothing, so it names no row",
                        number,
                    )
            values.append(ours)
        return values

    def _are_values(self, rows: list[object]) -> bool:
        """Whether *rows* are tuples that fit as they are: seen ten times as fast as one by one."""
        if {row.__class__ for row in rows} != {tuple}:
            return False
        tuples = cast("list[Values]", rows)
        if {len(row) for row in tuples} != {len(self.columns)}:
            return False
        return not any(None in [row[place] for row in tuples] for place in self._never_null)

    def reader_of(self, row: object) -> Reader:
        """What reads *row* and others of its type.

        Raises:
            RowMisfit: it has not the names that it should; so may the reader, of one row.
        """
        names = names_in(row)
        if names is None:
            reader = self._by_place()
        elif has_keys(row):
            reader = self._by_key()
        else:
            reader = self._by_field(names, type(row))
        self._readers[row.__class__] = reader
        return reader

    def _by_place(self) -> Reader:
        columns, count = self.columns, len(self.columns)

        def read(row: object) -> Values:
            values = tuple(cast("Sequence[object]", row))
            if len(values) != count:
                raise RowMisfit(f"it has {len(values)} values for {count} columns ({', '.join(columns)})")
            return values

        return read

    def _by_key(self) -> Reader:
        columns, pick = self.columns, _tuple_of(itemgetter, self.columns)
        most = len(columns) if self._is_all else None

        def read(row: object) -> Values:
            mapping = cast("dict[str, object]", row)
            if most is None or len(mapping) == most:
                try:
                    return pick(mapping)
                except KeyError:
                    pass
            raise _misnamed(tuple(mapping.keys()), columns, is_all=most is not None)

        return read

    def _by_field(self, names: Sequence[str], kind: type) -> Reader:
        if set(self.columns) - set(names) or (self._is_all and set(names) - set(self.columns)):
            raise _misnamed(names, self.columns, is_all=self._is_all)
        if issubclass(kind, tuple) and tuple(names) == self.columns:
            return cast("Reader", tuple)
        return _tuple_of(attrgetter, self.columns)


def _at(number: int, error: RowMisfit) -> RowMisfit:
    return RowMisfit(f"row {number} (counted from 0) does not fit: {error}", number)


def _tuple_of(getter: type[attrgetter[object] | itemgetter[object]], names: Sequence[str]) -> Reader:
    get = cast("Callable[[object], object]", getter(*names))
    return cast("Reader", get) if len(names) > 1 else lambda row: (get(row),)


def _misnamed(names: Sequence[str], columns: Sequence[str], *, is_all: bool) -> RowMisfit:
    missing = [name for name in columns if name not in names]
    unknown = [name for name in names if name not in columns] if is_all else []
    problems = [f"no value for {', '.join(map(repr, missing))}"] if missing else []
    problems += [f"{', '.join(map(repr, unknown))}, which the first row does not have"] if unknown else []
    return RowMisfit(f"it has {' but '.join(problems)}")
