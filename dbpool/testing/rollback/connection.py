"""The connection of a sandbox: always in one transaction, of which each unit of work is undone if it fails."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final

from dbpool.connection import Answer, PooledConnection, Want
from dbpool.core.statements import transaction_commands
from dbpool.errors import UsageError
from dbpool.ownership import InnerRef
from dbpool.transaction import Transaction
from dbpool.transactionoptions import TransactionOptions

_STATEMENT: Final = "dbpool_sandbox"
_OUTERMOST: Final = "dbpool_1"  # what Transaction calls the first one inside another


class SandboxConnection(PooledConnection):
    """Behaves like a connection outside of any transaction, by savepoints.

    A statement by itself is a unit: it stays or is undone as a whole. So is a transaction, which is a savepoint here.
    A unit that was cut short, by a cancellation, say, is undone before the next begins.
    """

    __slots__ = ("_all", "_has_inner", "_is_in_unit", "_undone_to")

    _all: Transaction  # the transaction in which everything runs
    _undone_to: str  # a savepoint to roll back to before anything else; mostly empty
    _is_in_unit: bool
    _has_inner: bool  # a caller's outermost transaction is open at the server

    async def enter(self, options: TransactionOptions) -> None:
        """Begin the transaction in which everything is to run."""
        self._undone_to, self._is_in_unit, self._has_inner = "", False, False
        self._all = Transaction(self, options)
        with self._unit_by_itself():
            await self._all.start()

    @property
    def options(self) -> TransactionOptions:
        """How the transaction was begun."""
        return self._all.options

    @property
    def is_quiet(self) -> bool:
        protocol: Any = self._protocol  # type: ignore[attr-defined]
        if protocol is None or not protocol.is_connected() or self.is_broken or self.is_interrupted or self.at_work:
            return False
        return not (self._undone_to or self._has_inner or protocol._is_cancelling())

    def begin(self, *_: Any, **__: Any) -> None:
        """Nothing is sent without a savepoint before it."""
        return

    async def run(self, sql: str, args: Sequence[object], want: Want, timeout: float) -> Answer:
        async with self._unit(sql):
            answer = await super().run(sql, args, want, timeout)
        if sql.endswith(f"SAVEPOINT {_OUTERMOST}"):
            self._has_inner = sql.startswith("SAVEPOINT")
        return answer

    def is_in_transaction(self) -> bool:
        return len(self.transactions) > 1

    def end_loan(self) -> None:
        super().end_loan()
        self.transactions.append(InnerRef(self._all))

    async def clean(self, timeout: float) -> None:
        """Undo what was cut short; the session's settings go with the transaction, at the end of the sandbox."""
        me: Any = self
        if self._has_inner:
            self._undone_to, self._has_inner = _OUTERMOST, False
        del self.transactions[1:]
        async with asyncio.timeout(timeout):
            await me._protocol._wait_for_cancellation(timeout)
            await self._undo()
        self.is_interrupted = self._is_in_unit = False

    @asynccontextmanager
    async def _unit(self, sql: str) -> AsyncIterator[None]:
        if self._is_in_unit:
            yield
            return
        _refuse_ends(sql)
        if len(self.transactions) > 1:
            with self._unit_by_itself():
                yield
            return
        with self._unit_by_itself():
            await self._undo()
            await self._say(f"SAVEPOINT {_STATEMENT}")
            self._undone_to = _STATEMENT
            try:
                yield
            except Exception:
                if not self.is_closed():
                    await self._undo()
                raise
            self._undone_to = ""
            await self._say(f"RELEASE SAVEPOINT {_STATEMENT}")

    @contextmanager
    def _unit_by_itself(self) -> Iterator[None]:
        self._is_in_unit = True
        try:
            yield
        finally:
            self._is_in_unit = False

    async def _undo(self) -> None:
        if self._undone_to:
            await self._say(f"ROLLBACK TO SAVEPOINT {self._undone_to}; RELEASE SAVEPOINT {self._undone_to}")
            self._undone_to = ""

    async def _say(self, sql: str) -> None:
        protocol: Any = self._protocol  # type: ignore[attr-defined]
        await protocol.query(sql, self.settings.query_timeout)


def _refuse_ends(sql: str) -> None:
    """Refuse what would end the sandbox's transaction."""
    for word in transaction_commands(sql):
        raise UsageError(
            f"{word} would begin or end a transaction, and the sandbox is one: use 'async with db.transaction()', "
            f"which is a savepoint here"
        )


def _in_a_unit(name: str) -> Callable[..., Any]:
    method: Callable[..., Any] = getattr(PooledConnection, name)

    @functools.wraps(method)
    async def in_a_unit(self: SandboxConnection, what: str, *args: Any, **options: Any) -> Any:
        takes_sql = name not in ("copy_from_table", "copy_to_table", "copy_records_to_table")
        async with self._unit(what if takes_sql else ""):
            return await method(self, what, *args, **options)

    return in_a_unit


for _name in (
    *("execute", "executemany", "fetch", "fetchrow", "fetchval", "fetchmany", "copy_from_query"),
    *("copy_from_table", "copy_to_table", "copy_records_to_table", "copy_in"),
):
    setattr(SandboxConnection, _name, _in_a_unit(_name))
