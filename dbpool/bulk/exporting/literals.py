"""Parameters written into a query's text, for COPY takes none."""

from __future__ import annotations

from collections.abc import Sequence

from dbpool.bulk.exporting.session import Session
from dbpool.core.placeholders import with_constants

_TYPES = """
SELECT pg_catalog.format_type(t.oid, -1) AS name FROM unnest($1::oid[]) WITH ORDINALITY AS t (oid, place) ORDER BY place
"""


async def with_literals(session: Session, sql: str, args: Sequence[object]) -> str:
    """*sql* with each ``$n`` as a constant of the type that the server finds for it; the server writes the constants.

    asyncpg's own copy_from_query replaces ``$1`` inside of quotes and comments, too; this reads the text's tokens.
    """
    types = [row["name"] for row in await session.rows(_TYPES, await session.parameters(sql))]
    columns = [f"quote_literal(${place}::{name}::text)" for place, name in enumerate(types, 1)]
    (texts,) = await session.rows(f"SELECT {', '.join(columns)}", *args)
    constants = [f"({'NULL' if text is None else text}::{name})" for text, name in zip(texts, types, strict=True)]
    return with_constants(sql, constants)
