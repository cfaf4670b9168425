"""From an error to what may be done about it: one row for each kind, beside those by SQLSTATE of test_retry.py."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import asyncpg
import pytest
from asyncpg.pgproto.pgproto import BufferError as UnreadableMessage

from dbpool.dsn import Dsn
from dbpool.errors import ConnectionLost, ResultUnreadable
from dbpool.faults import is_conflict, is_sure, is_unfinished, translated
from dbpool.settings import PoolSettings

SETTINGS = PoolSettings(dsn=Dsn("postgresql://localhost"))


@dataclass
class Connection:
    """What a connection is asked when an error is told."""

    is_broken: bool = False
    is_demoted: bool = False
    callers_error: BaseException | None = None
    transactions: tuple[()] = ()
    in_transaction: bool = False
    closed: bool = False
    has_forgotten: bool = False
    settings: PoolSettings = SETTINGS

    def is_closed(self) -> bool:
        return self.closed

    def is_in_transaction(self) -> bool:
        return self.in_transaction

    def get_server_pid(self) -> int:
        return 1

    def get_settings(self) -> None:
        """It has not said whether it is a standby."""

    def forget_schema(self) -> None:
        self.has_forgotten = True


def of_server(kind: type[asyncpg.PostgresError], function: str = "") -> asyncpg.PostgresError:
    """As the driver makes it of an answer; what the driver raises by itself has no severity."""
    error: Any = kind("says the server")
    error.severity, error.server_source_function = "ERROR", function
    return error  # type: ignore[no-any-return]


SAME = None
# Each row: the error; as what it is told; is nothing stored for sure; is the connection closed; does run() run it again
TABLE = [
    (of_server(asyncpg.SerializationError), SAME, True, False, True),
    (of_server(asyncpg.DeadlockDetectedError), SAME, True, False, True),
    (of_server(asyncpg.LockNotAvailableError), SAME, True, False, False),  # by NOWAIT or lock_timeout, as was asked
    (of_server(asyncpg.QueryCanceledError), SAME, True, False, False),
    (of_server(asyncpg.DataError), SAME, True, False, False),
    (of_server(asyncpg.UniqueViolationError), SAME, True, False, False),
    (of_server(asyncpg.UndefinedTableError), SAME, True, False, False),
    (of_server(asyncpg.InvalidCachedStatementError), SAME, True, False, True),
    (of_server(asyncpg.InternalServerError, "getTypeBinaryInputInfo"), SAME, True, False, True),
    (of_server(asyncpg.InternalServerError, "elsewhere"), SAME, True, False, False),
    (asyncpg.OutdatedSchemaCacheError("x", data_type="t"), ResultUnreadable, False, False, True),
    (of_server(asyncpg.InvalidSQLStatementNameError), SAME, True, True, False),
    (of_server(asyncpg.DuplicatePreparedStatementError), SAME, True, True, False),
    (of_server(asyncpg.ProtocolViolationError), SAME, True, True, False),
    (asyncpg.InternalClientError("x"), ConnectionLost, False, True, False),
    (asyncpg.ProtocolError("x"), ConnectionLost, False, True, False),
    (UnreadableMessage("x"), ConnectionLost, False, True, False),
    (of_server(asyncpg.AdminShutdownError), ConnectionLost, False, False, False),  # it closes by itself
    (of_server(asyncpg.IdleInTransactionSessionTimeoutError), ConnectionLost, False, False, False),
    (asyncpg.ConnectionDoesNotExistError("x"), ConnectionLost, False, False, False),
    (ConnectionResetError(), ConnectionLost, False, False, False),
    (of_server(asyncpg.TooManyConnectionsError), SAME, True, False, False),
    (of_server(asyncpg.ReadOnlySQLTransactionError), SAME, True, True, False),  # others to its server are closed, too
    (of_server(asyncpg.InvalidPasswordError), SAME, True, False, False),
    (asyncpg.InterfaceError("x"), SAME, True, False, False),  # it was not sent
    (asyncpg.DataError("x"), SAME, True, False, False),
    (TimeoutError(), SAME, False, False, False),
    (asyncio.CancelledError(), SAME, False, False, False),
]


@pytest.mark.parametrize(
    ("error", "told", "sure", "closed", "again"), TABLE, ids=lambda value: type(value).__name__ if value else ""
)
def test_each_error_has_its_action(
    error: BaseException, told: type[Exception] | None, sure: bool, closed: bool, again: bool
) -> None:
    if isinstance(error, TimeoutError):  # told as QueryTimeout, with its seconds
        assert is_unfinished(error)
        assert not is_sure(error)
        return
    connection = Connection(in_transaction=True)
    ours = translated(error, connection, "pool 'p'")
    assert ours is error if told is SAME else isinstance(ours, told)
    assert is_sure(error) is sure
    assert connection.is_broken is closed
    assert is_conflict(ours) is again


def test_a_statement_on_a_closed_connection_was_not_run() -> None:
    ours = translated(asyncpg.InterfaceError("connection is closed"), Connection(closed=True), "pool 'p'")
    assert isinstance(ours, ConnectionLost)
    assert "was not run" in str(ours)
