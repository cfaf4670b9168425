"""alembic's context for an env.py, ours or another's: it runs alone, and never waits long for a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError

from dbpool.errors import MigrationError
from dbpool.migrate.alone import alone
from dbpool.migrate.run import Run
from dbpool.migrate.witness import WITNESSED

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

# the package's own, which no models of a user have: a comparison would have a step drop them
OWN_TABLES = frozenset({"dbpool_job", "dbpool_job_chunk", "dbpool_job_reject", "dbpool_version"})


class Environment(EnvironmentContext):
    """Stands in ``alembic.context`` while an env.py runs."""

    def __init__(self, config: Config, script: ScriptDirectory, run: Run, **options: Any) -> None:  # noqa: ANN401 - alembic's
        super().__init__(config, script, **options)
        self._run = run

    def configure(self, connection: Connection | None = None, **options: Any) -> None:  # type: ignore[override]  # noqa: ANN401
        """As alembic's, with a transaction for each step, and the package's own tables left out of comparisons."""
        if connection is not None and connection.in_transaction():
            raise MigrationError("env.py gives a connection that is in a transaction: each step needs one of its own.")
        options["transaction_per_migration"] = True
        options["include_object"] = _without_ours(options.get("include_object"))
        super().configure(connection, **options)

    def run_migrations(self, **arguments: Any) -> None:  # noqa: ANN401 - alembic's
        """Run the steps, each as often as it takes to get its locks."""
        connection, run = self.get_bind(), self._run
        run.used_table = self.get_context().version_table
        if self.is_offline_mode():
            super().run_migrations(**arguments)
            return
        _check_database(connection, run)
        if self.context_opts.get("dont_mutate"):
            super().run_migrations(**arguments)
            return
        with alone(connection, run.deadline, run.queue), _short_of_patience(connection, run), _told(connection, run):
            while not self._are_run(connection, **arguments):
                pass

    def _are_run(self, connection: Connection, **arguments: Any) -> bool:  # noqa: ANN401
        """Whether all are; False, after a pause, where a lock was not to be had in time."""
        run = self._run
        try:
            connection.exec_driver_sql(f"SET lock_timeout = {run.table_locks.setting}")
            connection.commit()
            super().run_migrations(**arguments)
            run.after = self.get_context().get_current_heads()
            return True
        except DBAPIError as error:
            if (delay := run.delay_after(error)) is None:
                if run.is_partly_stored and not connection.invalidated:
                    run.invalid_indexes = _invalid_indexes(connection)
                raise
            connection.rollback()
            run.pause(delay)
            return False


# a proxy is looked up by its exact class
Environment._setups[Environment] = EnvironmentContext._setups[EnvironmentContext]  # noqa: SLF001


@contextmanager
def _told(connection: Connection, run: Run) -> Iterator[None]:
    """Tell *run* which backend works for it, what that has stored, and that it is to stop."""

    def before(*_: Any) -> None:  # noqa: ANN401 - a cursor, a statement and more
        run.check()

    def after(*_: Any) -> None:  # noqa: ANN401
        run.statements += 1
        run.is_partly_stored = run.is_partly_stored or _is_alone(connection)

    def committed(_: Connection) -> None:  # in the middle of a step: an autocommit_block begins
        run.is_partly_stored = run.is_partly_stored or run.statements > 0

    run.pid = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
    connection.rollback()
    try:
        with _hooked(connection, before_cursor_execute=before, after_cursor_execute=after, commit=committed):
            yield
    finally:
        run.pid = None


@contextmanager
def _short_of_patience(connection: Connection, run: Run) -> Iterator[None]:
    """End with the server's own ``lock_timeout``; have statements that bar nobody while they wait, wait for ever."""

    def before(_: Connection, cursor: Any, statement: str, *__: Any) -> None:  # noqa: ANN401 - of any driver
        if _bars_nobody(connection, statement):
            cursor.execute("SET lock_timeout = 0")
            run.is_partly_stored = True  # whichever way it ends: an index that is not finished stays

    def after(_: Connection, cursor: Any, statement: str, *__: Any) -> None:  # noqa: ANN401
        if _bars_nobody(connection, statement):
            cursor.execute(f"SET lock_timeout = {run.table_locks.setting}")

    try:
        with _hooked(connection, before_cursor_execute=before, after_cursor_execute=after):
            yield
    finally:
        if not connection.closed and not connection.invalidated:
            connection.rollback()
            connection.exec_driver_sql("RESET lock_timeout")
            connection.commit()


@contextmanager
def _hooked(connection: Connection, **hooks: Callable[..., None]) -> Iterator[None]:
    for name, hook in hooks.items():
        event.listen(connection, name, hook)
    try:
        yield
    finally:
        for name, hook in hooks.items():
            event.remove(connection, name, hook)


def _is_alone(connection: Connection) -> bool:
    """Whether each statement is a transaction of its own, as in an ``autocommit_block``."""
    return connection.get_execution_options().get("isolation_level") == "AUTOCOMMIT"


def _bars_nobody(connection: Connection, statement: str) -> bool:
    return _is_alone(connection) and "CONCURRENTLY" in statement.upper()


def _invalid_indexes(connection: Connection) -> tuple[str, ...]:
    """Those that CREATE INDEX CONCURRENTLY could not finish."""
    connection.rollback()
    found = connection.exec_driver_sql("SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid").scalars()
    return tuple(found)


def _check_database(connection: Connection, run: Run) -> None:
    """Raises: MigrationError: env.py has connected to another database than the one it was told."""
    if run.witness is not None:
        found = connection.exec_driver_sql(WITNESSED.format(key=run.witness)).scalar()
        connection.rollback()
        if not found:
            raise MigrationError(
                "env.py has connected to another database than the one it was asked to migrate: have it use "
                'config.get_main_option("sqlalchemy.url"), or the DATABASE_URL that this command was given.'
            )


def _without_ours(theirs: Any) -> Any:  # noqa: ANN401 - as alembic declares it
    def include(thing: Any, name: str | None, kind: str, reflected: bool, compare_to: Any) -> bool:  # noqa: ANN401, FBT001
        if kind == "table" and reflected and compare_to is None and name in OWN_TABLES:
            return False
        return theirs is None or bool(theirs(thing, name, kind, reflected, compare_to))

    return include
