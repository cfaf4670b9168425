"""A leased connection as SQLAlchemy wants it: by the Python Database API, without a word of its own to the server."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NoReturn

from sqlalchemy.dialects.postgresql.asyncpg import AsyncAdapt_asyncpg_dbapi
from sqlalchemy.engine import AdaptedConnection
from sqlalchemy.util import await_
from sqlalchemy.util.concurrency import in_greenlet

from dbpool.connection import PooledConnection
from dbpool.core.statements import classify, refuse_copy
from dbpool.errors import CommitOutcomeUnknown, ConnectionLost, DbPoolError
from dbpool.events import Reason
from dbpool.faults import translated
from dbpool.sqlalchemy.asking import Descriptions
from dbpool.sqlalchemy.checkout import Checkout
from dbpool.sqlalchemy.cursors import Cursor, StreamCursor
from dbpool.sqlalchemy.flight import roll_back_behind
from dbpool.sqlalchemy.sessiontransaction import SessionTransaction
from dbpool.transaction import State
from dbpool.transactionoptions import TransactionOptions

# They change nothing of a session that outlives the transaction
_OF_SAVEPOINTS = frozenset({"SAVEPOINT", "RELEASE", "ROLLBACK"})


@lru_cache
def _options(isolation: str | None, readonly: bool, deferrable: bool) -> TransactionOptions:  # noqa: FBT001 - by position, to be quick
    return TransactionOptions(isolation=isolation, readonly=readonly, deferrable=deferrable)


class Adapter(AdaptedConnection):
    """A DBAPI connection for one lease; its calls wait in SQLAlchemy's greenlet.

    A transaction begins with the first statement, unless the isolation level is ``autocommit``.
    """

    __slots__ = (
        "_behind",
        "_freed",
        "_is_busy",
        "_only_reads",
        "_transaction",
        "checkout",
        "dbapi",
        "deferrable",
        "descriptions",
        "isolation_level",
        "readonly",
    )

    def __init__(self, dbapi: Module, checkout: Checkout, descriptions: Descriptions) -> None:
        self.dbapi = dbapi
        self.checkout = checkout
        self.descriptions = descriptions
        self.isolation_level: str | None = None
        self.readonly = self.deferrable = False
        self._transaction: SessionTransaction | None = None
        self._only_reads = True  # so does all of the transaction
        self._behind: asyncio.Future[Any] | None = None  # the answer to a ROLLBACK that nobody waited for
        self._is_busy = False
        self._freed: asyncio.Future[None] | None = None

    @property
    def _connection(self) -> Any:  # type: ignore[override] # what SQLAlchemy calls the driver's connection
        return self.checkout.handle()

    @property
    def connection(self) -> PooledConnection:
        return self.checkout.connection

    @property
    def autocommit(self) -> bool:
        return self.isolation_level == "autocommit"

    def set_isolation_level(self, level: str | None) -> None:
        self.rollback()
        self.isolation_level = level

    def cursor(self, server_side: bool = False) -> Cursor:  # noqa: FBT001, FBT002 - as SQLAlchemy has it
        return StreamCursor(self) if server_side else Cursor(self)

    def commit(self) -> None:
        """As the pool's own transactions: it tells when COMMIT stored nothing, or was not answered."""
        transaction, self._transaction = self._transaction, None
        if transaction is None:
            return
        with self.alone():
            await_(transaction.commit())

    def rollback(self) -> None:
        """Nobody waits for the answer where the transaction did nothing but read."""
        transaction, self._transaction = self._transaction, None
        if transaction is None or self.checkout.is_lost or transaction.state is not State.OPEN:
            return
        if self._only_reads and not self.checkout.is_lent and not self._is_busy:
            transaction.leave_to_cleanup()
            self._behind = roll_back_behind(self.checkout)
            return
        with self.alone():
            try:
                await_(transaction.rollback())
            except ConnectionLost:
                pass  # the server rolled back when the session ended

    def close(self) -> None:
        """End the lease; an open transaction is rolled back by the pool."""
        if self._behind is None or self._behind.done():
            await_(self.checkout.give_back())
        else:
            self.checkout.give_back_after(self._behind)

    def terminate(self) -> None:
        """End the lease of a session that was cancelled, or lost; or of one that nobody has any more."""
        if in_greenlet():
            if sys.exc_info()[0] is None:  # by hand: ``invalidate``
                self.connection.retire(Reason.BROKEN)
            self.checkout.abandon()
        else:
            self.checkout.reclaim_soon()

    def __repr__(self) -> str:
        return f"<connection of {self.checkout.connection.held_by}>"

    # For cursors

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One at a time; what goes wrong is raised as SQLAlchemy wants it."""
        if self.checkout.is_over:
            raise self.dbapi.interface_error("connection is closed: it was given back to the pool")
        while self._is_busy:
            self._freed = self._freed or asyncio.get_running_loop().create_future()
            await_(asyncio.wait([self._freed]))
        if self._behind is not None:
            if not self._behind.done():
                await_(asyncio.wait([self._behind]))
            self._behind = None
        self._is_busy = True
        try:
            yield
        except Exception as error:
            self.raise_translated(error)
        finally:
            self._is_busy = False
            if self._freed is not None:
                self._freed.set_result(None)
                self._freed = None

    def prepare_for(self, sql: str, known_as: str | None = None) -> SessionTransaction | None:
        """Note what a statement, about to be sent, may change; return the transaction that is to begin with it.

        See ``Cursor.execute``.

        Raises:
            StatementError: it can never work.
        """
        if not in_greenlet():
            await_(asyncio.sleep(0))  # which says so, before anything is sent
        connection = self.connection
        connection.check_fit()
        statement = classify(known_as or sql, connection.settings.trusted_functions)
        refuse_copy(statement)
        if not statement.keeps_session and statement.first_word not in _OF_SAVEPOINTS:
            connection.note_change(sql)
        connection.last_sql = sql
        if self._transaction is not None or self.isolation_level == "autocommit":
            self._only_reads = self._only_reads and statement.reads_only
            return None
        self._transaction = SessionTransaction(
            connection, _options(self.isolation_level, self.readonly, self.deferrable)
        )
        self._only_reads = statement.reads_only
        return self._transaction

    def raise_translated(self, error: Exception) -> NoReturn:
        """What the server says becomes SQLAlchemy's; what the pool says stays, but for a lost connection."""
        theirs: BaseException = error
        if not isinstance(error, (DbPoolError, self.dbapi.Error)):
            theirs = translated(error, self.connection, self.connection.held_by)
        theirs = self.dbapi.translated(theirs)
        if theirs is error:
            raise error
        raise theirs from error


class Module(AsyncAdapt_asyncpg_dbapi):
    """What SQLAlchemy takes for the driver's module: the errors are those of its dialect of asyncpg."""

    def connect(self, *_: object, **__: object) -> NoReturn:
        raise self.interface_error(
            "postgresql+dbpool:// connects through a pool only: dbpool.sqlalchemy.create_engine(db)"
        )

    def interface_error(self, message: str) -> Exception:
        return self.InterfaceError(message)  # type: ignore[no-untyped-call]

    def translated(self, error: BaseException) -> BaseException:
        """*error* as SQLAlchemy wants it."""
        if isinstance(error, ConnectionLost) and not isinstance(error, CommitOutcomeUnknown):
            return self.OperationalError(str(error), error)  # type: ignore[no-untyped-call]
        if isinstance(error, (DbPoolError, self.Error)):
            return error
        kinds = self._asyncpg_error_translate
        for kind in type(error).__mro__:
            if kind in kinds:
                return kinds[kind](str(error), error)  # type: ignore[no-any-return]
        return error
