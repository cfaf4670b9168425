"""A transaction on a lease of its own, for the length of a block."""

from __future__ import annotations

from dbpool.faults import is_impatient
from dbpool.leases import Lease
from dbpool.transaction import Transaction, TransactionOptions


class Transacting:
    """A lease and a transaction on it, for the length of a block: see ``DatabasePool.transaction``."""

    __slots__ = ("_lease", "_options", "_tx")

    def __init__(self, lease: Lease, options: TransactionOptions) -> None:
        self._lease = lease
        self._options = options

    async def __aenter__(self) -> Transaction:
        self._tx = Transaction(await self._lease.__aenter__(), self._options)
        try:
            await self._tx.start()
        except BaseException as error:
            await self._lease.__aexit__(type(error), error, None)
            raise
        return self._tx

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if error is not None and is_impatient(error):
                self._tx.leave_to_cleanup()
            else:
                await self._tx.__aexit__(kind, error, None)
        except BaseException as failure:
            await self._lease.__aexit__(type(failure), failure, None)
            raise
        await self._lease.__aexit__(kind, error, None)
