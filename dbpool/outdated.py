"""A statement of which the driver knows something that is true no more: forgotten, and run again where that is safe."""

from __future__ import annotations

from typing import Any, Protocol

from dbpool.core.statements import classify
from dbpool.faults import is_misfit, is_stale_plan, is_unreadable, servers_sqlstate


class Knowing(Protocol):
    """A connection, as far as it knows statements and their types."""

    def is_in_transaction(self) -> bool: ...
    def forget_schema(self) -> None: ...
    def forget_statement(self, sql: str) -> bool: ...


def was_outdated(connection: Knowing, error: BaseException, sql: str) -> bool:
    """Forget what *error* shows to be out of date; whether *sql* may be run once more, for it has had no effect.

    That is so where the server, or the driver, refused it, and where it only reads.
    """
    if is_stale_plan(error):
        connection.forget_schema()
        return True
    if is_unreadable(error):
        connection.forget_schema()
        return classify(sql).reads_only
    return is_misfit(error) and connection.forget_statement(sql)


def can_run_again(connection: Knowing, error: BaseException, sql: str) -> bool:
    """The same; and no transaction has failed by it."""
    has_failed = servers_sqlstate(error) is not None and connection.is_in_transaction()
    return was_outdated(connection, error, sql) and not has_failed


def is_undescribed(connection: Any, sql: str, record_class: type[Any] | None = None) -> bool:
    """Whether the server's description of the parameters never came: the driver takes that for there being none."""
    statement = connection._stmt_cache.get((sql, record_class or connection.record_class, False))
    if statement is None:
        return False
    try:
        statement._get_parameters()
    except TypeError:
        return True
    return False
