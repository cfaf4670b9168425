"""A pool whose every call runs in one transaction, which is rolled back at the end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final, NoReturn

from dbpool.core.pacing import Rate
from dbpool.errors import UsageError
from dbpool.lane import Lane
from dbpool.leases import Leases
from dbpool.pool import DatabasePool
from dbpool.settings import LONGEST_S, PoolSettings, Reset
from dbpool.testing.fake.pool import FakePool
from dbpool.testing.leftovers import at_rest
from dbpool.testing.rollback.driver import SandboxDriver
from dbpool.transacting import Transacting
from dbpool.transactionoptions import TransactionOptions

if TYPE_CHECKING:
    from dbpool.bulk.jobs.jobs import Job
    from dbpool.listening import Subscription


PATIENCE_S: Final = 1.0  # for a cleanup after a cancellation


class Sandbox(DatabasePool):
    """What ``sandbox`` gives: a DatabasePool on one connection, in one transaction.

    Every call works as on a pool, one after the other: callers at the same time wait in line. A transaction is a
    savepoint; a statement that fails is undone alone. What needs a second connection or a COMMIT is refused:
    ``listen``, ``job``, ``export``, isolation levels other than the sandbox's, what opens connections anew, and
    ``db.fetch`` inside ``db.transaction()``, for which a pool has a second connection. Not seen here is what only a
    COMMIT brings: deferred constraints are not checked, ``now()`` stands still, no notification is delivered. A
    cancellation in the middle of a BEGIN or ROLLBACK costs the connection, and with it the sandbox.
    """

    def __init__(self, settings: PoolSettings, options: TransactionOptions) -> None:
        self._tx_options = options
        self._begin(settings)

    def _run_on(self, leases: Leases) -> None:
        driver = SandboxDriver(self._settings, self._tx_options)
        super()._run_on(Leases(self._settings, driver, leases.gate, self._events))

    def transaction(
        self,
        *,
        isolation: str | None = None,
        readonly: bool = False,
        deferrable: bool = False,
        settings: Mapping[str, str] | None = None,
        traceable: bool = False,
        timeout: float | None = None,
    ) -> Transacting:
        """A savepoint for the length of a block. Its *settings* last until the sandbox ends.

        Raises:
            UsageError: an isolation level other than the sandbox's, readonly or deferrable.
        """
        mine = self._tx_options
        if isolation not in (None, mine.isolation) or (readonly and not mine.readonly) or deferrable:
            raise UsageError(
                f"a sandbox is one transaction, {mine.isolation or 'with the default isolation'}: say "
                f"sandbox(db, isolation=...) for another; readonly and deferrable need a pool"
            )
        return super().transaction(settings=settings, traceable=traceable, timeout=timeout)

    def lane(
        self,
        name: str,
        *,
        at_most: int | None = None,  # noqa: ARG002 - there is one connection for all
        reserved: int = 0,  # noqa: ARG002
        max_waiting: int | None = None,
        rate: Rate | None = None,
        coalesce: bool | None = None,
    ) -> Lane:
        """As of a pool; shares of the one connection mean nothing."""
        return super().lane(name, max_waiting=max_waiting, rate=rate, coalesce=coalesce)

    def listen(self, *channels: str, buffer: int = 1000) -> Subscription:  # noqa: ARG002
        """Refused: what is sent in a transaction that never commits is delivered to nobody."""
        _refuse("listen()", "notifications are delivered when a transaction commits")

    def job(self, *_: Any, **__: Any) -> Job:
        """Refused: a job is what has been committed."""
        _refuse("job()", "what a job has done is what it has committed")

    async def export(self, *_: Any, **__: Any) -> NoReturn:
        """Refused: it reads from a snapshot of its own."""
        _refuse("export()", "it reads from a snapshot of its own, which sees nothing of this transaction")

    async def pause(self, *, timeout: float | None = None, disconnect: bool = False) -> None:  # noqa: ARG002
        """Refused, as all that opens connections anew."""
        _refuse("pause()", "there is one connection, which cannot be replaced")

    def resize(self, max_connections: int) -> None:  # noqa: ARG002
        """Refused."""
        _refuse("resize()", "there is one connection")

    def drain(self, *, spread_over: float = 0.0) -> int:  # noqa: ARG002
        """Refused."""
        _refuse("drain()", "there is one connection, which cannot be replaced")


@asynccontextmanager
async def sandbox(
    db: DatabasePool | str, *, isolation: str | None = None, readonly: bool = False
) -> AsyncIterator[Sandbox]:
    """For the length of a block, a pool like *db* in which nothing stays: ``async with`` gives it.

    It has a connection of its own, beside those of *db*, which need not be open, and rolls back when the block ends,
    however it ends.

    Args:
        db: the pool whose database and settings it has, or a DSN.
        isolation: of the one transaction; None: the server's default.
    Raises:
        ServerUnavailable: it cannot connect.
        UsageError: *db* is a fake pool; and see Sandbox for what cannot be done in it.
        AssertionError: the block ended while a caller held the connection or waited for it; with the pool's report.
    Cancelling: rolls back.
    """
    if isinstance(db, FakePool):
        raise UsageError("a fake pool stores nothing, so there is nothing to roll back: a sandbox needs a real one")
    settings = db.settings if isinstance(db, DatabasePool) else PoolSettings.from_mapping({"dsn": db})
    settings = replace(
        settings,
        max_connections=1,
        min_connections=0,
        adaptive=False,
        reset=Reset.NEVER,
        max_lifetime=LONGEST_S,
        max_idle=LONGEST_S,
        name=f"sandbox of {settings.name}",
    )
    box = await Sandbox(settings, TransactionOptions(isolation=isolation, readonly=readonly)).open()
    try:
        yield box
        if not await at_rest(box, PATIENCE_S):
            raise AssertionError(f"the sandbox ended while it was used:\n  {box.report()}")
    finally:
        await box.close(timeout=PATIENCE_S)


def _refuse(what: str, why: str) -> NoReturn:
    raise UsageError(f"a sandbox has no {what}: {why}. Test it on a database of its own, by the fixture dbpool")
