"""Rows on their way to the server, in a transaction that is open."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from time import perf_counter
from weakref import WeakKeyDictionary

from dbpool.connection import PooledConnection, Record, Want
from dbpool.core.naming import qualified
from dbpool.core.rowshape import Values
from dbpool.core.turns import TURN_S, next_step
from dbpool.core.writesql import Staged, insert_values
from dbpool.faults import is_of_the_values, is_refused_by_driver

_types_known: WeakKeyDictionary[PooledConnection, dict[str, object]] = WeakKeyDictionary()
_FETCHED = 500  # rows in one go: the driver does not let the loop have its turn between the answers that are there


class RowRefused(Exception):
    """The driver could not encode a row; *place* counts from 0 in the rows given. The cause says why."""

    def __init__(self, place: int) -> None:
        super().__init__(place)
        self.place = place


class NoBinaryForm(Exception):
    """A column's type has a codec that writes text only, which COPY cannot take: its transaction is to be run again."""


class Sender:
    """What a transaction of a bulk write does with its connection.

    Args:
        seconds: the limit of each statement.
        by_copy: else by INSERT of one row after the other.
    """

    def __init__(self, connection: PooledConnection, seconds: float, *, by_copy: bool) -> None:
        self._connection = connection
        self._seconds = seconds
        self._by_copy = by_copy
        self._sent = 0
        self.server_version: int = connection.get_server_version().major

    async def ask(self, sql: str) -> list[Record]:
        """All rows of a statement."""
        rows: list[Record] = await self._connection.run(sql, (), Want.ROWS, self._seconds)
        return rows

    async def run(self, sql: str) -> int:
        """Run a statement; return how many rows it wrote."""
        tag: str = await self._connection.run(sql, (), Want.STATUS, self._seconds)
        return int(tag.rpartition(" ")[2]) if tag[-1:].isdigit() else 0

    async def stage(self, staged: Staged, rows: Sequence[Values]) -> None:
        """Put *rows* into a temporary table that is gone at the end of the transaction."""
        await self.run(staged.create())
        await self._send("pg_temp", staged.schemaless_name, staged.all_columns, rows, numbered=True)

    async def copy(self, staged: Staged, rows: Sequence[Values]) -> int:
        """Put *rows* straight into the table; return how many."""
        table = staged.table
        await self._forget_other_types(staged)
        await self._send(table.schema, table.relation, staged.columns, rows, numbered=False)
        return len(rows)

    async def _forget_other_types(self, staged: Staged) -> None:
        """Have the driver ask again for the types of a table that was made anew: COPY would take theirs for these."""
        known = _types_known.setdefault(self._connection, {})
        of_what = f"{staged.table.name} {staged.columns}"
        if known.setdefault(of_what, staged.types) != staged.types:
            known.clear()
            known[of_what] = staged.types
            await self._connection.reload_schema_state()

    async def fetch_each(self, sql: str, rows: Sequence[Values]) -> list[Record]:
        """Run a statement with each of *rows* as parameters; return what they return, in their order."""
        returned: list[Record] = []
        for start in range(0, len(rows), _FETCHED):
            some = rows[start : start + _FETCHED]
            returned += await self._connection.fetchmany(sql, some, timeout=self._seconds)
            await asyncio.sleep(0)
        return returned

    async def _send(
        self, schema: str, relation: str, columns: Sequence[str], rows: Sequence[Values], *, numbered: bool
    ) -> None:
        if not self._by_copy:
            each = _numbered(rows) if numbered else iter(rows)
            into = qualified(schema, relation)
            await self._connection.executemany(insert_values(into, columns), each, timeout=self._seconds)
            return
        try:
            await self._connection.copy_records_to_table(
                relation,
                records=self._fed(rows, numbered=numbered),
                columns=columns,
                schema_name=schema,
                timeout=self._seconds,
            )
        except Exception as error:
            if is_refused_by_driver(error) and not self._sent and not self._connection.is_closed():
                raise NoBinaryForm from error
            if is_of_the_values(error) and self._sent and not self._connection.is_closed():
                raise RowRefused(self._sent - 1) from error
            raise

    async def _fed(self, rows: Sequence[Values], *, numbered: bool) -> AsyncIterator[Values]:
        """The rows; from a plain list the driver would take them all in one turn of the loop."""
        start, step, turn_at = 0, 1, 0.0
        while start < len(rows):
            began = perf_counter()
            if began - turn_at > TURN_S:
                await asyncio.sleep(0)
                began = turn_at = perf_counter()
            some = rows[start : start + step]
            for self._sent, values in enumerate(_numbered(some, start) if numbered else some, start + 1):
                yield values
            start += len(some)
            step = next_step(step, perf_counter() - began)


def _numbered(rows: Sequence[Values], first: int = 0) -> Iterator[Values]:
    return ((*values, number) for number, values in enumerate(rows, first))
