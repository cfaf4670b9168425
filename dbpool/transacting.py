"""A transaction on a lease of its own, for the length of a block."""

from __future__ import annotations

from dbpool.faults import is_impatient
from dbpool.lease import Lease
from dbpool.loan import Claim
from dbpool.observing import Block
from dbpool.transaction import Transaction
from dbpool.transactionoptions import TransactionOptions


class Transacting:
    """A lease and a transaction on it, for the length of a block: see ``DatabasePool.transaction``.

    When nobody has the block any more, nor its transaction, the lease is taken back, which rolls back.
    """

    __slots__ = ("_block", "_claim", "_lease", "_options", "_tx")

    def __init__(self, lease: Lease, options: TransactionOptions, block: Block) -> None:
        self._lease = lease
        self._options = options
        self._block = block

    async def __aenter__(self) -> Transaction:
        self._lease.holder.check_new()
        self._block.waiter = self._lease.holder
        self._block.begin()
        try:
            connection = await self._lease.__aenter__()
        except BaseException as error:
            self._block.end(error)
            raise
        self._lease.holder.let_task_go()
        self._claim = Claim(self._lease, self._lease.leases.loop)
        self._tx = Transaction(connection, self._options)
        self._tx.handle = self._claim
        self._tx.block = self._block
        try:
            await self._tx.start()
        except BaseException as error:
            await self._end(error)
            raise
        return self._tx

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if error is not None and is_impatient(error):
                self._tx.leave_to_cleanup(error)
            else:
                await self._tx.__aexit__(kind, error, None)
        except BaseException as failure:
            await self._end(failure)
            raise
        await self._end(error)

    async def _end(self, error: BaseException | None) -> None:
        self._claim.lease = None
        await self._lease.__aexit__(None if error is None else type(error), error, None)
