"""A leased connection on which an export runs its statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager

from dbpool.connection import PooledConnection, Record, Want
from dbpool.core.copyformats import CopyOptions
from dbpool.driver import large_reads
from dbpool.faults import told_as_ours


class Session:
    """Statements with a time limit for the server's silence.

    Args:
        patience_s: seconds in which the server must answer a statement, or send more of a COPY.
    """

    def __init__(self, connection: PooledConnection, patience_s: float) -> None:
        self.connection = connection
        self.patience_s = patience_s

    async def command(self, sql: str) -> None:
        """Run a text of one statement or several, without parameters."""
        await self._run(sql, (), Want.STATUS)

    async def rows(self, sql: str, *args: object) -> Sequence[Record]:
        rows: list[Record] = await self._run(sql, args, Want.ROWS)
        return rows

    async def _run(self, sql: str, args: Sequence[object], want: Want) -> list[Record]:
        with self._told():
            return await self.connection.run(sql, args, want, self.patience_s)  # type: ignore[no-any-return]

    async def describe(self, sql: str) -> list[tuple[str, int, str]]:
        """Each column's name, and its type's number and name; that of a domain is the type behind it."""
        with self._told():
            statement = await self.connection.prepare(sql, timeout=self.patience_s)
        return [(each.name, each.type.oid, each.type.name) for each in statement.get_attributes()]

    async def parameters(self, sql: str) -> list[int]:
        """The numbers of the types that the server finds for $1, $2, ..."""
        with self._told():
            statement = await self.connection.prepare(sql, timeout=self.patience_s)
        return [each.oid for each in statement.get_parameters()]

    async def copy(self, sql: str, options: CopyOptions, take: Callable[[bytes], Awaitable[None] | None]) -> int:
        """COPY the rows of *sql*: ``take(piece)`` for one piece after the other; return how many rows.

        A piece is whole messages of the server, which are whole rows. What *take* returns is awaited before the next.
        """
        clock = asyncio.get_running_loop().time
        with self._told():
            async with asyncio.timeout(self.patience_s) as silence:
                noted_at = clock()

                async def output(piece: bytes) -> None:
                    nonlocal noted_at
                    try:
                        full = take(piece)
                        if full is not None:
                            silence.reschedule(None)  # the server may send; it is we who are not ready
                            await full
                    except Exception as error:
                        self.connection.callers_error = error  # not to be taken for one of the connection's
                        raise
                    if full is None and clock() - noted_at < self.patience_s / 8:  # to note each piece is dear
                        return
                    noted_at = clock()
                    silence.reschedule(noted_at + self.patience_s)

                no_limit = PooledConnection.drivers_limit  # its own would also count the time that a target takes
                with large_reads(self.connection):
                    status = await self.connection.copy_from_query(sql, output=output, timeout=no_limit, **options)
        return int(status.rpartition(" ")[2])

    def _told(self) -> AbstractContextManager[None]:
        return told_as_ours(self.connection, self.connection.held_by, self.patience_s)
