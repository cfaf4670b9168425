"""A transaction that begins together with its first statement."""

from __future__ import annotations

from dbpool.ownership import InnerRef
from dbpool.transaction import State, Transaction


class SessionTransaction(Transaction):
    """One that an adapter begins, commits and rolls back for SQLAlchemy."""

    __slots__ = ()

    def begin_unanswered(self) -> None:
        """Count as begun: BEGIN is sent with the first statement, by whoever calls this."""
        self._connection.transactions.append(InnerRef(self))
        self.state = State.OPEN

    async def begin_again(self) -> None:
        """ROLLBACK, then BEGIN once more: its first statement was not run."""
        await self._roll_back()
        await self._command(self.options.begin())
