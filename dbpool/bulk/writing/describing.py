"""What the server says of a table that is to be written."""

from __future__ import annotations

import json
from typing import TypedDict, cast

from dbpool.connection import PooledConnection, Want
from dbpool.core.naming import readings
from dbpool.core.tables import Column, Table
from dbpool.errors import StatementError

# The first of the names that there is. A collation that is not the type's own belongs to the column's definition. What
# ON CONFLICT can go by: whole columns, no condition, checked at once.
_ASK = """
SELECT json_build_object(
    'schema', n.nspname, 'relation', c.relname, 'kind', c.relkind,
    'takes_copy', c.relkind IN ('r', 'p', 'f') AND NOT c.relhasrules AND NOT row_security_active(c.oid),
    'is_heap', c.relkind = 'r' AND (SELECT amname = 'heap' FROM pg_am WHERE oid = c.relam),
    'columns', (
        SELECT json_agg(json_build_array(attname, format_type(atttypid, atttypmod) || coalesce((
            SELECT format(' COLLATE %I.%I', cn.nspname, l.collname)
            FROM pg_collation AS l JOIN pg_namespace AS cn ON cn.oid = l.collnamespace
            WHERE l.oid = attcollation AND attcollation <> (SELECT typcollation FROM pg_type WHERE oid = atttypid)
        ), ''), atttypid::int8, attgenerated <> '', attidentity = 'a') ORDER BY attnum)
        FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0 AND NOT attisdropped),
    'unique', (
        SELECT json_agg((
            SELECT json_agg(attname) FROM pg_attribute
            WHERE attrelid = c.oid AND attnum = ANY (i.indkey[0:i.indnkeyatts - 1])
        ) ORDER BY i.indisprimary DESC, i.indexrelid)
        FROM pg_index AS i
        WHERE indrelid = c.oid AND indisunique AND indimmediate AND indisvalid AND indpred IS NULL AND indexprs IS NULL)
)::text
FROM unnest($1::text[]) WITH ORDINALITY AS asked (name, place)
JOIN pg_class AS c ON c.oid = to_regclass(asked.name)
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'f')
ORDER BY asked.place LIMIT 1
"""


class _Answer(TypedDict):
    schema: str
    relation: str
    kind: str
    takes_copy: bool
    is_heap: bool
    columns: list[tuple[str, str, int, bool, bool]] | None
    unique: list[list[str]] | None


async def describe(connection: PooledConnection, table: str, seconds: float) -> Table:
    """The table that *table* names, as SQL reads it, else as it stands.

    Raises:
        StatementError: there is none.
    """
    is_text = isinstance(table, str)
    if not (is_text and table and "\0" not in table):
        raise StatementError(f"a table is named by a str, as 'orders' or 'shop.orders', not {table!r}")
    rows = await connection.run(_ASK, (readings(table),), Want.ROW, seconds)
    if not rows:
        raise StatementError(
            f"no table {table!r} that can be written to: names are read as SQL reads them, on this connection's "
            f"search_path; write 'schema.table', and '\"Mixed Case\"' in quotes"
        )
    answer = cast("_Answer", json.loads(rows[0][0]))
    columns = [
        Column(name=name, type=type_, type_id=type_id, is_generated=is_generated, is_identity_always=is_always)
        for name, type_, type_id, is_generated, is_always in answer["columns"] or ()
    ]
    return Table(
        schema=answer["schema"],
        relation=answer["relation"],
        columns=tuple(columns),
        unique=tuple(map(frozenset, answer["unique"] or ())),
        takes_copy=answer["takes_copy"],
        is_plain=answer["is_heap"],
        has_keys=answer["kind"] in ("r", "p"),
    )
