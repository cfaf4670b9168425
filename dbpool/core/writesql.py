"""The statements of a bulk write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from hashlib import blake2b

from dbpool.core.identifier import quoted
from dbpool.core.naming import qualified, quoted_list
from dbpool.core.tables import Table


class Repeat(Enum):
    """Which row counts when several of one transaction have the same key."""

    LAST = "last"
    FIRST = "first"
    RAISE = "raise"


@dataclass(frozen=True, slots=True, kw_only=True)
class Staged:
    """The temporary table in which rows wait to be applied, with their number in the chunk as its last column.

    Its name depends on the types of its columns: what the driver has prepared for one such table fits another.
    """

    table: Table
    columns: tuple[str, ...]

    @property
    def types(self) -> tuple[tuple[str, str, int], ...]:
        """What the driver must know of the columns to send values of theirs."""
        return tuple((column.name, column.type, column.type_id) for column in self.table.named(self.columns))

    @property
    def schemaless_name(self) -> str:
        return f"dbpool_staged_{blake2b(repr(self.types).encode(), digest_size=8).hexdigest()}"

    @property
    def name(self) -> str:
        return qualified("pg_temp", self.schemaless_name)

    @property
    def ordinal(self) -> str:
        """The column of the number: a name that no other column has."""
        name = "dbpool_ordinal"
        while name in self.columns:
            name += "_"
        return name

    @property
    def all_columns(self) -> tuple[str, ...]:
        return (*self.columns, self.ordinal)

    def create(self) -> str:
        columns = [f"{quoted(column.name)} {column.type}" for column in self.table.named(self.columns)]
        columns.append(f"{quoted(self.ordinal)} int4")
        # not pg_catalog's defaults: whatever access method is the default, this one is what every server has
        return f"CREATE TEMPORARY TABLE {quoted(self.schemaless_name)} ({', '.join(columns)}) USING heap ON COMMIT DROP"

    def in_order(self) -> str:
        """All rows, in the order in which they were given."""
        return f"SELECT {quoted_list(self.columns)} FROM {self.name} ORDER BY {quoted(self.ordinal)}"

    def by_key(self, key: Sequence[str], repeat: Repeat) -> str:
        """One row of each key, in the order of the keys, in which every writer takes its locks."""
        by, latest = quoted_list(key), " DESC" if repeat is Repeat.LAST else ""
        return (
            f"SELECT DISTINCT ON ({by}) {quoted_list(self.columns)} FROM {self.name} "
            f"ORDER BY {by}, {quoted(self.ordinal)}{latest}"
        )

    def first_repeat(self, key: Sequence[str]) -> str:
        """The numbers of the first row whose key comes again, and of the row in which it does."""
        number = quoted(self.ordinal)
        numbers = f"array_agg({number} ORDER BY {number})"
        return (
            f"SELECT ({numbers})[1] AS first, ({numbers})[2] AS again FROM {self.name} "
            f"GROUP BY {quoted_list(key)} HAVING count(*) > 1 ORDER BY 2 LIMIT 1"
        )


def insert_values(into: str, columns: Sequence[str], after: str = "", *, overriding: bool = False) -> str:
    """INSERT of one row, its values as parameters; *overriding* what numbers itself, as COPY does."""
    places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
    how = " OVERRIDING SYSTEM VALUE" * overriding
    return f"INSERT INTO {into} ({quoted_list(columns)}){how} VALUES ({places}){after}"


def insert_staged(staged: Staged) -> str:
    """INSERT of all rows."""
    return f"INSERT INTO {staged.table.name} ({quoted_list(staged.columns)}) {staged.in_order()}"


def insert_missing(staged: Staged, unique: Sequence[str]) -> str:
    """INSERT of the rows that no unique index refuses; *unique*: the columns that decide in which order."""
    order = ", ".join([*map(quoted, unique), quoted(staged.ordinal)])
    columns = quoted_list(staged.columns)
    return (
        f"INSERT INTO {staged.table.name} ({columns}) SELECT {columns} FROM {staged.name} ORDER BY {order} "
        f"ON CONFLICT DO NOTHING"
    )


def insert_returning(staged: Staged, returning: Sequence[str]) -> str:
    """INSERT of all rows, as a MERGE that matches nothing: only that can return a row's number (PostgreSQL 17)."""
    columns = quoted_list(staged.columns)
    hidden = [f"r{place}" for place in range(len(returning))]
    shown = ", ".join(f"{quoted(ours)} AS {quoted(name)}" for ours, name in zip(hidden, returning, strict=True))
    return (
        f"WITH stored (number, {quoted_list(hidden)}) AS (MERGE INTO {staged.table.name} AS t "
        f"USING (SELECT * FROM {staged.name} ORDER BY {quoted(staged.ordinal)}) AS s ON false "
        f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({quoted_list(staged.columns, of='s')}) "
        f"RETURNING s.{quoted(staged.ordinal)}, {quoted_list(returning, of='t')}) "
        f"SELECT {shown} FROM stored ORDER BY number"
    )


def upsert(staged: Staged, key: Sequence[str], update: Sequence[str], repeat: Repeat) -> str:
    """INSERT of the rows whose key is not there, UPDATE of the others."""
    table, columns = staged.table.name, quoted_list(staged.columns)
    sets = ", ".join(f"{quoted(name)} = excluded.{quoted(name)}" for name in update)
    return (
        f"INSERT INTO {table} AS t ({columns}) {staged.by_key(key, repeat)} "
        f"ON CONFLICT ({quoted_list(key)}) DO {f'UPDATE SET {sets}' if sets else 'NOTHING'}"
    )


def counted(upsert: str, is_new: str) -> str:
    """The same; its one row says how many rows it wrote, and how many of them for which *is_new* is true."""
    return (
        f"WITH written (is_new) AS ({upsert} RETURNING {is_new}) "
        f"SELECT count(*) AS rows, count(*) FILTER (WHERE is_new) AS inserted FROM written"
    )


def is_new(server_version: int) -> str:
    """What tells an inserted row from an updated one, in RETURNING of an upsert.

    Before PostgreSQL 18 there is no word for it. DO UPDATE locks the row that is there before it updates it, and a heap
    hands the lock on to the new version as its xmax; a row just inserted has none.
    """
    return "old.ctid IS NULL" if server_version >= 18 else "t.xmax = 0"


def lock_by_key(staged: Staged, key: Sequence[str]) -> str:
    """Lock the rows that are to be updated, in the order of their keys, of one key in that of their places.

    UPDATE itself takes them in the order of its plan.
    """
    return (
        f"WITH locked AS MATERIALIZED (SELECT 1 FROM {staged.table.name} AS t WHERE EXISTS "
        f"(SELECT FROM {staged.name} AS s WHERE {_same(key)}) ORDER BY {quoted_list(key, of='t')}, "
        f"t.tableoid, t.ctid FOR NO KEY UPDATE OF t) SELECT count(*) AS locked FROM locked"
    )


def update_from(staged: Staged, key: Sequence[str], repeat: Repeat) -> str:
    """UPDATE of the rows that have the key of a row that waits."""
    sets = ", ".join(f"{quoted(name)} = s.{quoted(name)}" for name in staged.columns if name not in key)
    return f"UPDATE {staged.table.name} AS t SET {sets} FROM ({staged.by_key(key, repeat)}) AS s WHERE {_same(key)}"


def _same(key: Sequence[str]) -> str:
    return " AND ".join(f"t.{quoted(name)} = s.{quoted(name)}" for name in key)
