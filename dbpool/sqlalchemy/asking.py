"""One statement on a leased connection, with what a DBAPI cursor tells of its answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.util import await_

from dbpool.connection import PooledConnection, Record
from dbpool.faults import is_unfinished, servers_sqlstate, told_as_ours
from dbpool.outdated import can_run_again, was_outdated
from dbpool.sqlalchemy.checkout import Checkout
from dbpool.sqlalchemy.flight import fly
from dbpool.sqlalchemy.sessiontransaction import SessionTransaction

Description = list[tuple[str, int, None, None, None, None, None]]

# Of all texts: what a result's columns are is told anew when a statement is prepared anew.
MOST_DESCRIPTIONS = 1000
_COUNTING = frozenset({b"SELECT", b"INSERT", b"UPDATE", b"DELETE", b"MERGE", b"FETCH", b"COPY", b"MOVE"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server said: the rows, their columns (None: it returns none) and how many it touched (-1: no say)."""

    rows: list[Record]
    description: Description | None
    rowcount: int


class Descriptions:
    """The columns of prepared statements, kept: to ask the driver for them costs as much as a row."""

    def __init__(self) -> None:
        self._kept: dict[Any, Description | None] = {}

    def of(self, statement: Any) -> Description | None:
        """The columns of what the driver has prepared as *statement*."""
        try:
            return self._kept[statement]
        except KeyError:
            pass
        if len(self._kept) >= MOST_DESCRIPTIONS:
            self._kept.clear()
        attributes = statement._get_attributes()
        description = [(each.name, each.type.oid, None, None, None, None, None) for each in attributes] or None
        self._kept[statement] = description
        return description


def ask(
    checkout: Checkout, sql: str, args: Sequence[object], descriptions: Descriptions, begin: SessionTransaction | None
) -> Answer:
    """Run one statement, prepared in the driver's own cache, which outlives the lease; in a greenlet of SQLAlchemy's.

    Args:
        begin: a transaction that begins with it.
    Raises: QueryTimeout, ConnectionLost, the driver's own errors.
    Cancelling: asks the server to stop it; the connection then owes a cleanup.
    """
    connection: Any = checkout.connection
    statement = connection._stmt_cache.get((sql, connection.record_class, False))
    if statement is not None and not connection.at_work and not connection._protocol._is_cancelling():
        try:
            rows, status, _ = fly(checkout, statement, args, begin)
        except Exception as error:
            has_failed = servers_sqlstate(error) is not None and connection.is_in_transaction()
            if not was_outdated(connection, error, sql) or (begin is None and has_failed):
                if is_unfinished(error):
                    connection.is_interrupted = True
                raise
        else:
            return Answer(rows, descriptions.of(statement), rowcount_of(status))
        if begin is not None and has_failed:  # nothing was done in the transaction yet
            await_(begin.begin_again())
        begin = None
    return await_(_ask(connection, sql, args, descriptions, begin))


async def _ask(
    connection: PooledConnection,
    sql: str,
    args: Sequence[object],
    descriptions: Descriptions,
    begin: SessionTransaction | None,
) -> Answer:
    """The same for a statement that is not prepared yet."""
    driver: Any = connection
    if begin is not None:
        await begin.start()
    connection.last_sql = sql
    connection.at_work += 1
    try:
        with told_as_ours(connection, connection.held_by, connection.settings.query_timeout):
            try:
                rows, status, statement = await _prepared(driver, sql, args)
            except Exception as error:
                if not can_run_again(connection, error, sql):
                    raise
                rows, status, statement = await _prepared(driver, sql, args)
    except BaseException as error:
        if is_unfinished(error):
            connection.is_interrupted = True
        raise
    finally:
        connection.at_work -= 1
    return Answer(rows, descriptions.of(statement), rowcount_of(status))


async def _prepared(driver: Any, sql: str, args: Sequence[object]) -> tuple[list[Record], bytes | None, Any]:
    statement = await driver._get_statement(sql, None)
    rows, status, _ = await driver._protocol.bind_execute(statement, args, "", 0, True, None)
    return rows, status, statement


def rowcount_of(status: bytes | None) -> int:
    """How many rows a command's status counts: ``INSERT 0 5`` says 5, ``CREATE TABLE`` nothing, which is -1."""
    first, _, last = (status or b"").rpartition(b" ")
    return int(last) if first.split(b" ")[0] in _COUNTING and last.isdigit() else -1
