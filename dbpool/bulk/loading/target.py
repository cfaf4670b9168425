"""The table that a load writes to, as its server describes it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.connection import PooledConnection, Want
from dbpool.core.naming import qualified, quoted_list
from dbpool.errors import UsageError

_COLUMNS = """
SELECT a.attname, CASE WHEN t.typnamespace = 'pg_catalog'::regnamespace THEN t.typname::text
    ELSE format_type(t.oid, -1) END
FROM pg_attribute AS a JOIN pg_type AS t ON t.oid = a.atttypid
WHERE a.attrelid = $1::text::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attnum
"""
_PART = re.compile(r'"(?:[^"]|"")+"(?=\.|$)|[^.]+')


@dataclass(frozen=True, slots=True)
class Target:
    """A table.

    Args:
        types: of each column that can be written to, in order: ``pg_type.typname``, a user's own with its schema.
        version: the server's major one.
    """

    schema: str | None
    name: str
    types: dict[str, str]
    version: int

    @property
    def sql(self) -> str:
        """Its name in a statement."""
        return qualified(self.schema, self.name)

    @property
    def columns(self) -> tuple[str, ...]:
        """The names of those columns."""
        return tuple(self.types)


def stage_of(target: Target, columns: Sequence[str]) -> str:
    """A stage's columns: of the table's own types, so that values are read as a COPY into it reads them."""
    return f"ON COMMIT DROP AS SELECT 0::bigint AS dbpool_n, {quoted_list(columns)} FROM {target.sql} WITH NO DATA"


def literal(text: str) -> str:
    """A string constant, whatever ``standard_conforming_strings`` says."""
    return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def parse_table(table: str) -> tuple[str | None, str]:
    """The schema, None if none is given, and the name of ``table`` or ``schema.table``.

    Names are taken as they stand, capital letters and quotes included. One with a dot is put in double quotes, as in
    SQL: ``'shop."orders.2024"'``.

    Raises:
        UsageError: it is neither.
    """
    parts = _PART.findall(table)
    if ".".join(parts) != table or not 1 <= len(parts) <= 2 or "\0" in table:
        raise UsageError(f"{table!r} names no table: give 'table' or 'schema.table', a name with dots in double quotes")
    names = [part[1:-1].replace('""', '"') if len(part) > 2 and part[0] == part[-1] == '"' else part for part in parts]
    return (names[0], names[1]) if len(names) == 2 else (None, names[0])


async def describe(connection: PooledConnection, table: str, timeout: float) -> Target:
    """Ask the server about *table*.

    Raises:
        asyncpg.UndefinedTableError: there is none of that name.
    """
    schema, name = parse_table(table)
    rows = await connection.run(_COLUMNS, (qualified(schema, name),), Want.ROWS, timeout)
    return Target(schema, name, {row[0]: row[1] for row in rows}, connection.get_server_version().major)
