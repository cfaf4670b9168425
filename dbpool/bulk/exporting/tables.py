"""A table to be exported: what it is made of, whether it can be read in ranges."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from dbpool.bulk.exporting.session import Session
from dbpool.core.exportable import TableName
from dbpool.core.identifier import quoted
from dbpool.core.pages import PageRange, cut
from dbpool.errors import ExportFailed

RANGES_SINCE: Final = 14  # the major version that reads a range of ctids without reading all of the table

_FIND: Final = """
SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
    has_table_privilege(c.oid, 'SELECT') AS may_read
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.oid = pg_catalog.to_regclass($1)
"""
_ALIKE: Final = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE lower(c.relname) = lower($1) AND c.relkind IN ('r', 'p', 'v', 'm', 'f') ORDER BY 1 LIMIT 3
"""
_COLUMNS: Final = """
SELECT attname AS name, atttypmod AS modifier FROM pg_catalog.pg_attribute
WHERE attrelid = $1 AND attnum > 0 AND NOT attisdropped AND attgenerated = '' ORDER BY attnum
"""
_LEAVES: Final = """
WITH RECURSIVE tree (oid) AS (
    SELECT $1::oid
    UNION
    SELECT i.inhrelid FROM pg_catalog.pg_inherits i JOIN tree ON i.inhparent = tree.oid WHERE NOT i.inhdetachpending
)
SELECT n.nspname AS schema, c.relname AS name, c.relkind = 'r' AND am.amname = 'heap' AS has_pages,
    (SELECT count(*) > 1 AND bool_or(relrowsecurity) FROM tree JOIN pg_catalog.pg_class USING (oid)) AS is_filtered,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS may_read,
    coalesce(pg_catalog.pg_relation_size(c.oid), 0) / pg_catalog.current_setting('block_size')::bigint AS pages
FROM tree JOIN pg_catalog.pg_class c ON c.oid = tree.oid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
WHERE c.relkind <> 'p' ORDER BY c.oid <> $1, n.nspname, c.relname
"""
_KINDS: Final = {"v": "a view", "m": "a materialized view", "f": "a foreign table"}


@dataclass(frozen=True, slots=True)
class Table:
    """A relation whose rows can be selected.

    Args:
        columns: in their order, with PostgreSQL's modifiers of their types; without those that are generated, as COPY
            has it: what is exported can be loaded.
        whole: why it must be read by one statement; "" if it may be read by many.
    """

    oid: int
    name: TableName
    columns: tuple[tuple[str, int], ...]
    whole: str

    def select(self) -> str:
        return f"SELECT {self._columns()} FROM {self.name}"

    def select_range(self, leaf: Leaf, pages: PageRange) -> str:
        condition = pages.condition()
        return f"SELECT {self._columns()} FROM ONLY {leaf.name}" + (f" WHERE {condition}" if condition else "")

    def _columns(self) -> str:
        return ", ".join(quoted(name) for name, _ in self.columns)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A table that holds rows itself; *pages* is None where it has none that could be told apart."""

    name: TableName
    pages: int | None

    def ranges(self, per_part: int) -> Iterator[PageRange]:
        return cut(self.pages, per_part) if self.pages is not None else iter((PageRange(0, None),))


async def find_table(session: Session, name: TableName) -> Table:
    """What the server has by *name*.

    Raises:
        ExportFailed: nothing, or something without rows.
    """
    found = await session.rows(_FIND, str(name))
    if not found:
        alike = [row["name"] for row in await session.rows(_ALIKE, name.name)]
        hint = f"; there is {' and '.join(alike)}" if alike else ""
        raise ExportFailed(
            f"{session.connection.held_by} finds no table {name}{hint}: check its schema and search_path"
        )
    (row,) = found
    if row["kind"] not in ("r", "p", *_KINDS):
        raise ExportFailed(f"{name} is no table, but of kind {row['kind']!r} in pg_class: it has no rows to export")
    columns = tuple((each["name"], each["modifier"]) for each in await session.rows(_COLUMNS, row["oid"]))
    version = session.connection.get_server_version()
    if version.major < RANGES_SINCE:
        whole = f"PostgreSQL {version.major} would read all of the table for each range of its pages"
    elif row["kind"] in _KINDS:
        whole = f"{name} is {_KINDS[row['kind']]}"
    else:
        whole = "" if row["may_read"] else "not all of the table may be read"
    return Table(row["oid"], TableName(row["schema"], row["name"]), columns, whole)


async def find_leaves(session: Session, table: Table) -> Sequence[Leaf] | str:
    """The tables that hold its rows, as the transaction sees them: its own first, then by name.

    Returns: or why only the table itself may be asked, as its children have rules of their own.
    """
    rows = await session.rows(_LEAVES, table.oid)
    if any(row["is_filtered"] for row in rows):
        return "a part of the table has row security of its own"
    if not all(row["may_read"] for row in rows):
        return "a part of the table may be read through the whole only"
    if not rows:
        return "the table has no partitions"
    return [Leaf(TableName(row["schema"], row["name"]), row["pages"] if row["has_pages"] else None) for row in rows]
