"""What the types of a statement's columns make of the values that come back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy.engine.cursor import CursorResultMetaData
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.types import TypeEngine

from dbpool.connection import Record, make_record
from dbpool.sqlalchemy.dialect import Unless

Process = Callable[[Any], Any]
Processes = tuple[tuple[int, Process], ...]  # the place of a column, and what its values go through


class Results:
    """The rows of one compiled statement. Where no value needs work, they stay the driver's own records."""

    def __init__(self, compiled: SQLCompiler) -> None:
        self._dialect = compiled.dialect
        # without the expressions, in which there may be values of the first call
        self._columns = [
            column._replace(objects=tuple(name for name in column.objects if isinstance(name, str)))
            for column in compiled._result_columns
        ]
        self._is_by_place = compiled._ordered_columns or compiled._textual_ordered_columns or compiled._ad_hoc_textual
        self._is_loose = compiled._loose_column_name_matching
        self._in_order = self._processes([column.type for column in self._columns])
        self._by_names: dict[tuple[str, ...], Processes] = {}
        self.needs_work = bool(self._in_order)

    def rows(self, rows: list[Any]) -> list[Any]:
        """The same rows, or others with the same names and the values that their types make."""
        if not self.needs_work or not rows:
            return rows
        processes = self._needed(self._processes_of(rows[0]), rows)
        if not processes:
            return rows
        names = _names(tuple(rows[0].keys()))
        made = []
        for row in rows:
            values = [*row]
            for place, process in processes:
                values[place] = process(values[place])
            made.append(make_record(names, tuple(values)))
        return made

    def first_value(self, value: object) -> object:
        """The same for a value of the first column."""
        place, process = self._in_order[0] if self._in_order else (1, None)
        return value if place or process is None else process(value)

    def _processes_of(self, row: Record) -> Processes:
        """As SQLAlchemy does it: by place where the columns are those that were compiled, else by name."""
        if self._is_by_place and len(row) == len(self._columns):
            return self._in_order
        names = tuple(row.keys())
        found = self._by_names.get(names)
        if found is None:
            types = CursorResultMetaData._create_description_match_map(self._columns, self._is_loose)
            found = self._processes([types[name][2] if name in types else None for name in names])
            if len(self._by_names) < 100:  # a statement over "*" has other columns when its table has
                self._by_names[names] = found
        return found

    def _processes(self, types: Sequence[TypeEngine[Any] | None]) -> Processes:
        found = [None if kind is None else kind._cached_result_processor(self._dialect, None) for kind in types]
        return tuple((place, process) for place, process in enumerate(found) if process is not None)

    def _needed(self, processes: Processes, rows: Sequence[Record]) -> Processes:
        """Without those that would leave every value as it is."""
        return tuple(
            (place, process)
            for place, process in processes
            if not isinstance(process, Unless) or not process.spares(row[place] for row in rows)
        )


class _Names(dict[str, int]):
    """The place of each name; iterating gives all names in their order, also one that comes twice."""

    def __init__(self, names: tuple[str, ...]) -> None:
        super().__init__((name, place) for place, name in enumerate(names))
        self._names = names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)


_names = lru_cache(1024)(_Names)
