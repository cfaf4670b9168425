"""A transaction on a lease of its own, for the length of a block."""

from __future__ import annotations

from dbpool.faults import is_impatient
from dbpool.leases import Lease
from dbpool.loan import Claim
from dbpool.transaction import Transaction, TransactionOptions


class Transacting:
    """A lease and a transaction on it, for the length of a block: see ``DatabasePool.transaction``.

    When nobody has the block any more, nor its transaction, the lease is taken back, which rolls back.
    """

    __slots__ = ("_claim", "_lease", "_options", "_tx")

    def __init__(self, lease: Lease, options: TransactionOptions) -> None:
        self._lease = lease
        self._options = options

    async def __aenter__(self) -> Transaction:
        connection = await self._lease.__aenter__()
        self._lease.holder.let_task_go()
        self._claim = Claim(self._lease, self._lease.leases.loop)
        self._tx = Transaction(connection, self._options)
        self._tx.handle = self._claim
        try:
            await self._tx.start()
        except BaseException as error:
            await self._end(error)
            raise
        return self._tx

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if error is not None and is_impatient(error):
                self._tx.leave_to_cleanup()
            else:
                await self._tx.__aexit__(kind, error, None)
        except BaseException as failure:
            await self._end(failure)
            raise
        await self._end(error)

    async def _end(self, error: BaseException | None) -> None:
        self._claim.lease = None
        await self._lease.__aexit__(None if error is None else type(error), error, None)
