"""The statements of a chunk's items, inside a transaction that is open; items that fail can be put aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dbpool.connection import PooledConnection, PostgresError, Want
from dbpool.core.blame import blames_item
from dbpool.core.columns import Args
from dbpool.errors import StatementError
from dbpool.faults import sqlstate


@dataclass(frozen=True, slots=True)
class Effect:
    """What is done for each item.

    Args:
        sql: one statement.
        parameters: how many values it takes.
        one_by_one: a round trip for each item, instead of one for many.
        timeout: seconds for each message to the server.
        collects: items that fail are put aside; else the first one raises.
    """

    sql: str
    parameters: int
    one_by_one: bool
    timeout: float
    collects: bool

    async def on_all(self, connection: PooledConnection, items: Sequence[Args]) -> None:
        """Run them; after an error nothing may be committed."""
        if others := set(map(len, items)) - {self.parameters}:
            raise StatementError(f"{others.pop()} values, the statement takes {self.parameters}")
        if self.one_by_one:
            for args in items:
                await connection.execute(self.sql, *args, timeout=self.timeout)
        else:
            await connection.executemany(self.sql, items, timeout=self.timeout)

    async def on_each(self, connection: PooledConnection, items: Sequence[Args]) -> dict[int, Exception]:
        """Run them; the errors of those that failed, by index, which then had no effect.

        Found by halves: one bad item among n costs about 2 log2(n) messages more. Constraints that would be checked at
        COMMIT are checked at once, for then nobody could say whose they were.

        Raises: an error that is no item's fault; that of the first item that fails, unless it *collects* them, with
            its index from 0 as the note's number.
        """
        await self._command(connection, "SET CONSTRAINTS ALL IMMEDIATE")
        failed: dict[int, Exception] = {}
        parts = [(0, len(items))]
        while parts:
            start, end = parts.pop()
            error = await self._try(connection, items[start:end])
            if error is None:
                continue
            if end - start > 1:
                half = (start + end) // 2
                parts += [(half, end), (start, half)]
            elif self.collects:
                failed[start] = error
            else:
                raise ItemFailed(start, error)
        return failed

    async def _try(self, connection: PooledConnection, items: Sequence[Args]) -> Exception | None:
        await self._command(connection, "SAVEPOINT dbpool_part")
        try:
            await self.on_all(connection, items)
        except Exception as error:
            if not is_items_fault(error) or connection.is_closed():
                raise
            await self._command(connection, "ROLLBACK TO SAVEPOINT dbpool_part; RELEASE SAVEPOINT dbpool_part")
            return error
        await self._command(connection, "RELEASE SAVEPOINT dbpool_part")
        return None

    async def _command(self, connection: PooledConnection, sql: str) -> None:
        await connection.run(sql, (), Want.STATUS, self.timeout)


class ItemFailed(Exception):
    """The item at *index* failed, and is not to be put aside."""

    def __init__(self, index: int, error: Exception) -> None:
        super().__init__(index)
        self.index, self.error = index, error


def is_items_fault(error: Exception) -> bool:
    """Whether it is due to one item's data, so that the others may succeed."""
    return isinstance(error, StatementError) or (isinstance(error, PostgresError) and blames_item(sqlstate(error)))
