"""What an engine on a pool is to SQLAlchemy: its dialect, and a pool that pools nothing itself."""

from __future__ import annotations

from typing import Any, NoReturn

from sqlalchemy.dialects.postgresql.asyncpg import PGExecutionContext_asyncpg
from sqlalchemy.engine.interfaces import ExecuteStyle
from sqlalchemy.pool import NullPool

from dbpool.errors import UsageError
from dbpool.sqlalchemy.dbapi import Adapter, Module
from dbpool.sqlalchemy.dialect import Dialect


class ExecutionContext(PGExecutionContext_asyncpg):
    """One statement on its way."""

    cursor: Any

    def pre_exec(self) -> None:
        super().pre_exec()  # type: ignore[no-untyped-call]
        self.cursor.changes_schema = self.isddl


class EngineDialect(Dialect):
    """PostgreSQL through leases of a pool: see ``create_engine``."""

    driver = "dbpool"
    supports_statement_cache = True
    execution_ctx_cls = ExecutionContext

    @classmethod
    def import_dbapi(cls) -> Any:  # a Module
        return Module(super().import_dbapi().asyncpg)  # type: ignore[no-untyped-call]

    def create_connect_args(self, url: object) -> tuple[list[str], dict[str, str]]:  # noqa: ARG002 - as the next
        return [], {}

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        known_as = None
        if context is not None and context.execute_style is ExecuteStyle.INSERTMANYVALUES:
            known_as = context.compiled.string  # the same for one row: a thousand of them take long to look through
        cursor.execute(statement, parameters, known_as=known_as)

    def is_disconnect(self, e: Exception, connection: Any, cursor: object) -> bool:  # noqa: ARG002
        if connection is None:
            return False
        adapter: Adapter = connection if isinstance(connection, Adapter) else connection.dbapi_connection
        return adapter.checkout.is_lost

    def do_begin_twophase(self, *_: object) -> NoReturn:
        raise UsageError(
            "two-phase transactions need a session that outlives its lease: use begin(), or an engine of SQLAlchemy's"
        )

    def do_recover_twophase(self, connection: object) -> NoReturn:
        self.do_begin_twophase(connection)


class EnginePool(NullPool):
    """Makes an adapter for each checkout and throws it away at the end: what is kept, the pool behind it keeps."""

    def _close_connection(self, connection: Any, *, terminate: bool = False) -> None:
        """A caller cancelled meanwhile is no error to log: the lease ends all the same, in a task of the pool's."""
        if terminate:
            super()._close_connection(connection, terminate=True)
            return
        try:
            connection.close()
        except Exception:
            self.logger.exception("Exception closing connection %r", connection)

    def status(self) -> str:
        creator: Any = self._creator
        return repr(creator.lane)
