"""An item's rows as a line of JSON."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from dbpool import DatabasePool, Rows, UsageError
from dbpool.connection import Record
from dbpool.core.jsontext import Json, Kind, Number, parsed, text_for


class Lines:
    r"""Makes the lines of one statement's rows.

    As ``to_json`` has them: numbers that JSON has not are the strings "NaN", "Infinity" and "-Infinity", bytes "\x"
    with hexadecimal digits, a json or jsonb column the value that it has. All that JSON has no type for is a string.
    """

    def __init__(self, columns: Sequence[tuple[str, str]]) -> None:
        """*columns*: names, and names of types.

        Raises: UsageError: two have the same name.
        """
        name, times = Counter(name for name, _ in columns).most_common(1)[0] if columns else ("", 0)
        if times > 1:
            raise UsageError(f"{times} columns are called {name!r}, and a line has room for one: name them with AS")
        self._documents = {name for name, kind in columns if kind in ("json", "jsonb")}

    def line(self, item: Rows) -> str:
        found: dict[str, Json] = {"item": json_of(item.key)}
        if item.error is None:
            found["rows"] = [self._row(row) for row in item.rows]
        else:
            found |= {"error": f"{type(item.error).__name__}: {item.error}", "where": item.key.where}
        return f"{text_for(found, Kind.JSON)}\n"

    def _row(self, row: Record) -> Json:
        return {
            name: parsed(value) if name in self._documents and value is not None else json_of(value)
            for name, value in row.items()
        }


async def lines_of(db: DatabasePool, sql: str) -> Lines:
    """What makes the lines of *sql*.

    Raises: UsageError: two columns have the same name; PostgresError: it cannot be prepared.
    """
    async with db.acquire() as connection:
        prepared = await connection.prepare(sql)
        return Lines([(column.name, column.type.name) for column in prepared.get_attributes()])


def json_of(value: Any) -> Json:  # noqa: ANN401 - whatever a column has
    """*value* as JSON has it; see ``Lines``."""
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, (int, float)):
        return Number(repr(value))
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, (list, tuple)):
        return [json_of(each) for each in value]
    if isinstance(value, (Record, Mapping)):
        return {str(name): json_of(each) for name, each in value.items()}
    return str(value)
