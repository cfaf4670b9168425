"""The rows of a file as items of ``map``: text, which the server reads as it reads such text anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib.util import find_spec, module_from_spec
from pathlib import Path
from typing import TYPE_CHECKING

from dbpool.bulk.lines import Lines
from dbpool.core.jsontext import Json, Kind, parsed, text_for
from dbpool.errors import SettingsError, SourceFailed

if TYPE_CHECKING:
    import _csv
else:  # a copy, whose limit for a field is its own: the one of ``import csv`` is the same for everyone in this process
    _csv = module_from_spec(_spec := find_spec("_csv"))
    _spec.loader.exec_module(_csv)
    _csv.field_size_limit(1 << 30)  # bytes: PostgreSQL has no longer values

_NO_DELIMITERS = '"\r\n'


class TextRow(tuple["str | Misfit | None", ...]):  # noqa: SLOT001 - a tuple can have no slots of its own
    """The values of one row; ``where`` says which."""

    where: str

    def read_as(self, kinds: Sequence[Kind]) -> TextRow:  # noqa: ARG002 - others make use of it
        """The row for parameters of *kinds*."""
        return self


class JsonRow(TextRow):
    """A row whose text depends on what reads it: a list is an array, or JSON."""

    json: Sequence[Json]

    def read_as(self, kinds: Sequence[Kind]) -> TextRow:
        if len(kinds) != len(self):
            return self
        return _row(map(text_for, self.json, kinds), self.where)


class Misfit:
    """Stands where a row has not as many fields as its header: no value that could be sent, so the item fails."""

    def __init__(self, fields: int, header: int) -> None:
        self._fields, self._header = fields, header

    def __repr__(self) -> str:
        return f"{self._fields} field{'s' * (self._fields != 1)}, and the header has {self._header}"


class TextRows:
    """Items of ``map`` whose values are text, to be read as the server reads text of the parameters' types."""


class CsvRows(TextRows):
    """The rows of a CSV file, also one that ends in ``.gz``; UTF-8, with or without a byte order mark.

    Args:
        header: the first row names the columns; an item whose row has more or fewer fields fails.
        columns: those that are $1, $2, ..., by name; None: all, in order. Needs a header.
        null: the text that stands for NULL.
    Raises (when read):
        SourceFailed: it cannot be opened, unpacked or decoded, or a quote is not closed; says where its row begins.
        SettingsError: the header has not all of *columns*.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        header: bool = True,
        columns: Sequence[str] | None = None,
        delimiter: str = ",",
        null: str = "",
    ) -> None:
        self.path = Path(path)
        if columns is not None and not header:
            raise SettingsError("columns= picks columns by the names of a header, and header=False says there is none")
        if type(delimiter) is not str or len(delimiter) != 1 or delimiter in _NO_DELIMITERS:
            raise SettingsError(f"delimiter must be one character, and no quote or end of a line, not {delimiter!r}")
        self._header, self._columns, self._delimiter, self._null = header, columns, delimiter, null

    def __iter__(self) -> Iterator[TextRow]:
        with Lines(self.path) as lines:
            reader = _csv.reader(lines, delimiter=self._delimiter, strict=True)
            names = picked = None
            while True:
                first = lines.number + 1  # of the row
                try:
                    fields = next(reader)
                except StopIteration:
                    return
                except _csv.Error as error:
                    raise SourceFailed(f"{lines.place(first)}: {error}") from error
                if self._header and names is None:
                    names, picked = fields, self._picked(fields)
                elif fields:  # not an empty line
                    yield _row(self._values(fields, names, picked), lines.place(first))

    def _values(
        self, fields: list[str], names: list[str] | None, picked: list[int] | None
    ) -> Iterable[str | Misfit | None]:
        if names is not None and len(fields) != len(names):
            return [Misfit(len(fields), len(names))] * len(names if picked is None else picked)
        taken = fields if picked is None else map(fields.__getitem__, picked)
        return (None if field == self._null else field for field in taken)

    def _picked(self, names: Sequence[str]) -> list[int] | None:
        if self._columns is None:
            return None
        missing = [name for name in self._columns if name not in names]
        if missing:
            raise SettingsError(f"{self.path.name} has no column {missing[0]!r}; it has {', '.join(map(repr, names))}")
        return [names.index(name) for name in self._columns]


class NdjsonRows(TextRows):
    """The lines of a file of JSON, one value each: a list has $1, $2, ..., an object has them by *columns*.

    A value becomes what ``json_populate_record`` makes of it: JSON for a json parameter, so that a string is a JSON
    string; a list an array for an array; else a string is read as it is, a number by the digits that the file has.

    Args:
        columns: the keys of an object's values in order; None: all keys of the first one.
    Raises (when read):
        SourceFailed: it cannot be opened, unpacked or decoded, or a line is no JSON, or lacks a key; says where.
    """

    def __init__(self, path: Path | str, *, columns: Sequence[str] | None = None) -> None:
        self.path = Path(path)
        self._columns = None if columns is None else list(columns)

    def __iter__(self) -> Iterator[TextRow]:
        with Lines(self.path) as lines:
            for line in lines:
                where = lines.place(lines.number)
                try:
                    row = _json_row(self._values(parsed(line)), where) if line.strip() else None
                except KeyError as error:
                    raise SourceFailed(f"{where}: it has no key {error}") from error
                except RecursionError as error:
                    raise SourceFailed(f"{where}: it is nested too deeply") from error
                except ValueError as error:
                    raise SourceFailed(f"{where}: {error}") from error
                if row is not None:
                    yield row

    def _values(self, value: Json) -> list[Json]:
        if isinstance(value, dict):
            self._columns = self._columns or list(value)
            return [value[key] for key in self._columns]
        return value if isinstance(value, list) else [value]


def rows_of(path: Path) -> CsvRows | NdjsonRows:
    """The rows of a file by the end of its name.

    Raises:
        SettingsError: it ends in neither ``.csv``, ``.ndjson`` nor ``.jsonl``, each with or without ``.gz``.
    """
    ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    if ending == ".csv":
        return CsvRows(path)
    if ending in (".ndjson", ".jsonl"):
        return NdjsonRows(path)
    raise SettingsError(f"{path.name} ends in neither .csv, .ndjson nor .jsonl: give CsvRows(path) or NdjsonRows(path)")


def _row(values: Iterable[str | Misfit | None], where: str) -> TextRow:
    row = TextRow(values)
    row.where = where
    return row


def _json_row(values: Sequence[Json], where: str) -> JsonRow:
    row = JsonRow(text_for(value, Kind.PLAIN) for value in values)
    row.json, row.where = values, where
    return row
