"""Cursors of the Python Database API on a leased connection."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy.util import await_

from dbpool.connection import Record
from dbpool.faults import told_as_ours
from dbpool.observing import Asked
from dbpool.sqlalchemy.asking import Description, ask

if TYPE_CHECKING:
    from dbpool.sqlalchemy.dbapi import Adapter
    from dbpool.sqlalchemy.sessiontransaction import SessionTransaction

ROWS_AT_ONCE = 1000  # of a server-side cursor that is read to its end
ROWS_AHEAD = 50  # of one that is read row by row


class Cursor:
    """The answer of one statement, which is here as a whole."""

    server_side = False

    def __init__(self, adapter: Adapter) -> None:
        self._adapter = adapter
        self._rows: deque[Record] = deque()
        self.description: Description | None = None
        self.rowcount = -1
        self.arraysize = 1
        self.changes_schema = False
        self._invalidate_schema_cache_asof = 0.0  # SQLAlchemy's own way for that

    def execute(self, sql: str, args: Sequence[object] | None = None, *, known_as: str | None = None) -> None:
        """Run a statement.

        Args:
            known_as: a text with the same calls and clauses, to tell what it may do to the session.
        """
        adapter = self._adapter
        with adapter.alone():
            begin = adapter.prepare_for(sql, known_as)
            with adapter.checkout.observed(Asked.STATEMENT, sql, args or ()):
                answer = ask(adapter.checkout, sql, args or (), adapter.descriptions, begin)
            self._rows, self.description, self.rowcount = deque(answer.rows), answer.description, answer.rowcount
        if self.changes_schema:
            adapter.connection.forget_schema()  # whoever prepares anew waits for the lock that the change holds

    def executemany(self, sql: str, args: Iterable[Sequence[object]]) -> None:
        """Run a statement for each of *args*, in few round trips."""
        adapter = self._adapter
        with adapter.alone():
            begin = adapter.prepare_for(sql)
            with adapter.checkout.observed(Asked.EXECUTEMANY, sql, ()):
                await_(_executemany(adapter, sql, args, begin))
            self.description, self.rowcount = None, -1

    def fetchone(self) -> Record | None:
        return self._rows.popleft() if self._rows else None

    def fetchmany(self, size: int | None = None) -> Sequence[Record]:
        rows = self._rows
        return [rows.popleft() for _ in range(min(self.arraysize if size is None else size, len(rows)))]

    def fetchall(self) -> Sequence[Record]:
        rows = list(self._rows)
        self._rows.clear()
        return rows

    def __iter__(self) -> Iterator[Record]:
        while (row := self.fetchone()) is not None:
            yield row

    def setinputsizes(self, *_: object) -> None:
        """Nothing: the statement itself says of what type its parameters are."""

    def close(self) -> None:
        self._rows.clear()

    async def _async_soft_close(self) -> None:
        """Nothing is left at the server."""


class StreamCursor(Cursor):
    """The answer of one statement, fetched from the server as it is read; needs a transaction."""

    server_side = True
    _cursor: Any = None

    def execute(self, sql: str, args: Sequence[object] | None = None, *, known_as: str | None = None) -> None:
        adapter = self._adapter
        with adapter.alone():
            begin = adapter.prepare_for(sql, known_as)
            with adapter.checkout.observed(Asked.STATEMENT, sql, args or ()):
                self._cursor = await_(_opened(adapter, sql, args or (), begin))
            self.description = adapter.descriptions.of(self._cursor._state)

    def executemany(self, sql: str, args: Iterable[Sequence[object]]) -> None:
        raise NotImplementedError("a server-side cursor has the rows of one statement: use execute() for many")

    def fetchone(self) -> Record | None:
        if not self._rows:
            self._rows.extend(self._fetch(ROWS_AHEAD))
        return super().fetchone()

    def fetchmany(self, size: int | None = None) -> Sequence[Record]:
        wanted = self.arraysize if size is None else size
        if len(self._rows) < wanted:
            self._rows.extend(self._fetch(wanted - len(self._rows)))
        return super().fetchmany(wanted)

    def fetchall(self) -> Sequence[Record]:
        while rows := self._fetch(ROWS_AT_ONCE):
            self._rows.extend(rows)
        return super().fetchall()

    def close(self) -> None:
        super().close()
        self._cursor = None

    def _fetch(self, most: int) -> list[Record]:
        if self._cursor is None:
            return []
        with self._adapter.alone():
            rows: list[Record] = await_(_fetched(self._adapter, self._cursor, most))
        return rows


async def _executemany(
    adapter: Adapter, sql: str, args: Iterable[Sequence[object]], begin: SessionTransaction | None
) -> None:
    connection, seconds = adapter.connection, adapter.connection.settings.query_timeout
    if begin is not None:
        await begin.start()
    with told_as_ours(connection, connection.held_by, seconds):
        await connection.executemany(sql, args, timeout=seconds)


async def _opened(adapter: Adapter, sql: str, args: Sequence[object], begin: SessionTransaction | None) -> Any:
    connection = adapter.connection
    if begin is not None:
        await begin.start()
    with told_as_ours(connection, connection.held_by, connection.settings.query_timeout):
        return await connection.cursor(sql, *args)


async def _fetched(adapter: Adapter, cursor: Any, most: int) -> list[Record]:
    connection = adapter.connection
    with told_as_ours(connection, connection.held_by, connection.settings.query_timeout):
        rows: list[Record] = await cursor.fetch(most)
        return rows
