"""A transaction whose BEGIN may take its first statement along: a round trip less, and the truth about its COMMIT."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from dbpool.connection import PooledConnection, Want
from dbpool.errors import CommitOutcomeUnknown, TransactionRolledBack
from dbpool.faults import is_impatient, is_sure, is_unfinished, one_line, told_as_ours
from dbpool.finish import finish, finish_or

T = TypeVar("T")
S = TypeVar("S")


async def in_transaction(
    connection: PooledConnection,
    begin: Callable[[], Awaitable[S]],
    work: Callable[[S], Awaitable[T]],
    *,
    timeout: float,
) -> T:
    """Await *begin*, which sends BEGIN; do *work* with what it returned; COMMIT.

    Args:
        timeout: seconds for COMMIT; told where anything else ran out of time.
    Raises:
        CommitOutcomeUnknown: no answer to COMMIT.
        ConnectionLost, QueryTimeout: before COMMIT was sent: nothing is stored.
    Cancelling: nothing is stored, unless COMMIT had been sent, which is then waited for.
    """
    try:
        with told_as_ours(connection, connection.held_by, timeout):
            result = await work(await begin())
    except BaseException as error:
        if not is_impatient(error):  # else whoever holds the connection gives it up, which rolls back
            await _roll_back(connection)
        raise
    await finish(_commit(connection, timeout))
    return result


async def _roll_back(connection: PooledConnection) -> None:
    """Roll back, or have the connection closed, which does it too."""
    if connection.is_closed() or connection.doomed_by:
        return
    rollback = connection.run("ROLLBACK", (), Want.STATUS, connection.settings.reset_timeout)
    with suppress(Exception):  # the connection is doomed by then
        await finish_or(rollback, lambda: connection.doom("a ROLLBACK was cut short"))


async def _commit(connection: PooledConnection, timeout: float) -> None:
    where = connection.held_by
    try:
        tag = await connection.run("COMMIT", (), Want.STATUS, timeout)
    except Exception as error:
        if is_sure(error) and not connection.is_closed():
            if is_unfinished(error):
                connection.doom("a COMMIT was cut short")
            raise  # the server's own answer: a constraint checked late, a conflict
        connection.doom("a COMMIT was not answered")
        raise CommitOutcomeUnknown(
            f"no answer to COMMIT from {where}: {one_line(error)}. The ledger knows whether the chunk is stored: run "
            f"the job again, and what is missing will be done.",
            xid=None,
        ) from error
    if tag != "COMMIT":
        raise TransactionRolledBack(f"COMMIT on {where} was answered with {tag}: nothing of this chunk is stored.")
