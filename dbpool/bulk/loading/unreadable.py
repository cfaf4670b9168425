"""Why the server could not read rows that its COPY left out, without a word about them in a language we know."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.bulk.loading.chunks import Refusal, Stage
from dbpool.connection import PooledConnection, Want

DATA_EXCEPTION = "22000"

_TYPES = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = $1::text::regclass AND attnum > 1 ORDER BY attnum
"""
_ERRORS = """
SELECT DISTINCT ON (v.number) v.number, v.place, e.sql_error_code, e.message
FROM unnest($1::bigint[], $2::int[], $3::text[]) AS v (number, place, value)
CROSS JOIN LATERAL pg_input_error_info(v.value, ($4::text[])[v.place]) AS e
WHERE e.sql_error_code IS NOT NULL
ORDER BY v.number, v.place
"""


async def unreadable(
    connection: PooledConnection, stage: Stage, rows: Sequence[tuple[int, Sequence[str | None]]], timeout: float
) -> list[Refusal]:
    """The reason for each of *rows*: its number, and its values in the order of the stage's columns."""
    columns = await connection.run(_TYPES, (stage.sql,), Want.ROWS, timeout)
    cells = [
        (number, place, value)
        for number, values in rows
        for place, value in enumerate(values, 1)
        if value is not None and "\0" not in value
    ]
    numbers, places, texts = ([*column] for column in zip(*cells, strict=True)) if cells else ([], [], [])
    types = [column[1] for column in columns]
    found = await connection.run(_ERRORS, (numbers, places, texts, types), Want.ROWS, timeout)
    reasons = {row[0]: Refusal(row[0], row[2], row[3], columns[row[1] - 1][0]) for row in found}
    return [
        reasons.get(number) or Refusal(number, DATA_EXCEPTION, "the server could not read a value")
        for number, _ in rows
    ]
