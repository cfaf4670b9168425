"""What an error of the driver means, and how it is told."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import Any, Protocol

import asyncpg
from asyncpg.pgproto.pgproto import BufferError as UnreadableMessage

from dbpool.core.hosts import NoServerSuits
from dbpool.core.misreading import is_met_in_reading
from dbpool.core.poolerwords import why_unsent
from dbpool.core.retry import Verdict, verdict
from dbpool.core.route import DIRECT, is_process
from dbpool.errors import (
    ConnectionLost,
    InsecureConnection,
    QueryTimeout,
    ResultUnreadable,
    ServerUnavailable,
    SettingsError,
)

# SQLSTATE classes: data exceptions, integrity constraints, views with a check, limits (of an index entry, say), what
# triggers raise.
REFUSED_DATA = frozenset({"22", "23", "44", "54", "P0"})

# Where the server looks for the type of a parameter, and fails (XX000) if it was dropped since the statement was
# prepared: lsyscache.c.
_TYPE_LOOKUPS = frozenset({"getTypeBinaryInputInfo", "getTypeInputInfo"})

TLS_FILES = frozenset({"sslrootcert", "sslcert", "sslkey", "sslcrl"})
"""Parameters of an address that name files."""


class Reporting(Protocol):
    """A connection, as far as its server's reports are concerned."""

    def get_settings(self) -> Any: ...  # noqa: ANN401 - has an attribute for each reported parameter
    def get_server_pid(self) -> int: ...


class Breakable(Reporting, Protocol):
    """A connection, as far as its errors are concerned."""

    is_broken: bool
    is_demoted: bool
    callers_error: BaseException | None
    settings: Any
    transactions: Any

    def is_closed(self) -> bool: ...
    def is_in_transaction(self) -> bool: ...
    def forget_schema(self) -> None: ...


def is_lost(error: BaseException) -> bool:
    """Whether *error* says that the connection is gone."""
    if isinstance(error, asyncpg.PostgresError):
        return verdict(error.sqlstate) is Verdict.LOST
    return isinstance(error, OSError) and not isinstance(error, TimeoutError)


def is_distrusted(error: BaseException) -> bool:
    """Whether a connect was given up since the server is not, or does not show to be, the one that is meant."""
    if isinstance(error, NoServerSuits):
        return bool(error.reasons) and all(map(is_distrusted, error.reasons))
    return isinstance(error, ssl.SSLCertVerificationError | InsecureConnection)


def without_frames(error: BaseException) -> None:
    """Take from *error* what the driver's frames hold, the password among it: tools that report errors show that."""
    seen: BaseException | None = error
    while seen is not None and seen.__traceback__ is not None:
        seen.__traceback__ = None
        seen = seen.__cause__ or seen.__context__


def transport_remedy(error: BaseException, named: frozenset[str]) -> str | None:
    """What to do where a connect failed for its TLS; None: it did not.

    Args:
        named: the parameters of the address. The error for a file has no name of it.
    """
    if isinstance(error, NoServerSuits):
        return next(filter(None, (transport_remedy(each, named) for each in error.reasons)), None)
    if isinstance(error, SettingsError):
        return "Nothing was sent to a server."
    files = " and ".join(sorted(named & TLS_FILES))
    if files and isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError):
        return f"Check that the file of {files} is there and can be read."
    if isinstance(error, InsecureConnection):
        return "Check that it is the server that is meant."
    if isinstance(error, ssl.SSLCertVerificationError):
        return _CERTIFICATE.get(error.verify_code, _AUTHORITY)
    if isinstance(error, ssl.SSLError):
        return "The two ends do not agree on TLS: check the versions, and whether the server wants a certificate."
    if type(error) is ConnectionError:  # the driver's, for any answer to its request for TLS but yes
        return (
            "Another machine must have TLS, and this one did not agree to it: turn it on there (ssl = on, with a "
            "certificate), or end the address with ?sslmode=disable, which lets whoever is on the way read and change "
            "everything."
        )
    return None


# OpenSSL's X509_V_ERR codes
_TIME = "Check the clocks; the server needs a certificate that is valid now."
_NAME = (
    "Connect by a name that the server's certificate has; sslmode=verify-ca with sslrootcert does without, and takes "
    "any server of that authority for this one."
)
_AUTHORITY = (
    "Name the file of the authority that issued the server's certificate with ?sslrootcert=FILE (a certificate that "
    "is self-signed is its own); ?sslmode=require does without, and takes whoever answers for the server."
)
_CERTIFICATE = {9: _TIME, 10: _TIME, 62: _NAME, 64: _NAME}

# The text of 53300 is in the server's language; where in its source it comes from is not.
_FULL = {
    "InitializeSessionUserId": "the CONNECTION LIMIT of its role",
    "CheckMyDatabase": "the CONNECTION LIMIT of its database",
    "InitPostgres": "the server's max_connections, less what it reserves for others",
    "InitProcess": "the server's max_connections",
}


def limit_reached(error: BaseException) -> str | None:
    """Which limit of the server there is no room within; None: it was not that, or the server does not tell."""
    if not isinstance(error, asyncpg.TooManyConnectionsError):
        return None
    return _FULL.get(getattr(error, "server_source_function", None) or "")


def sqlstate(error: BaseException) -> str | None:
    """The five characters of a server's error, None for anything else."""
    return error.sqlstate if isinstance(error, asyncpg.PostgresError) else None


def servers_sqlstate(error: BaseException) -> str | None:
    """The same, but None for what the driver itself says in the server's words."""
    is_servers = isinstance(error, asyncpg.PostgresError) and error.severity is not None
    return sqlstate(error) if is_servers else None


def is_unfinished(error: BaseException) -> bool:
    """Whether a statement that ended with *error* may have been given up between Parse and Sync.

    So are arguments that do not fit: asyncpg asks for the statement to be parsed, then finds that it cannot encode
    them, and the server goes on holding the locks that it took for parsing.
    """
    return is_impatient(error) or is_unsent(error)


def is_unsent(error: BaseException) -> bool:
    """Whether the driver itself refused to send a statement: its arguments do not fit, or it is no time for one."""
    return isinstance(error, asyncpg.InterfaceError) or (
        isinstance(error, asyncpg.PostgresError) and error.severity is None  # it borrows DataError from the server
    )


def is_impatient(error: BaseException) -> bool:
    """Whether a caller that ends with *error* must not be kept for a cleanup: cancelled, or no answer came."""
    return not isinstance(error, Exception) or isinstance(error, (TimeoutError, OSError))


def is_refused_data(error: BaseException) -> bool:
    """Whether the server refused what a row holds, so that other rows may be welcome."""
    state = sqlstate(error)
    return state is not None and state[:2] in REFUSED_DATA


def copy_place(error: BaseException) -> tuple[int | None, str | None]:
    """The line of a COPY, from 1, and the column that *error* is about, as far as its context tells.

    The context is in the server's language: the line is its first number behind the table's name.
    """
    if not isinstance(error, asyncpg.PostgresError):
        return None, None
    found = re.match(r"COPY (?:[^,]*),\D*(\d+)(?:, \S+ ([^:]+):)?", error.context or "")
    column = error.column_name or (found[2] if found else None)
    return (int(found[1]) if found else None), column


def is_failed_transaction(error: BaseException) -> bool:
    """Whether a statement was refused because an earlier one of its transaction had failed."""
    return isinstance(error, asyncpg.InFailedSQLTransactionError)


def is_stale_plan(error: BaseException) -> bool:
    """Whether the statement was not run because its prepared form is out of date: preparing it again mends that."""
    return isinstance(error, asyncpg.InvalidCachedStatementError) or (
        isinstance(error, asyncpg.InternalServerError) and error.server_source_function in _TYPE_LOOKUPS
    )


def is_unreadable(error: BaseException) -> bool:
    """Whether a statement was run, and its rows have another shape than its types had when it was prepared."""
    return isinstance(error, asyncpg.OutdatedSchemaCacheError)


def incomplete() -> Exception:
    """The error for an answer of which something is missing, or that is another one's."""
    return asyncpg.ProtocolError("the server's answer is not whole")


def is_out_of_step(error: BaseException) -> bool:
    """Whether the driver cannot make sense of what the server sends, so that nothing after it can be trusted."""
    if isinstance(error, asyncpg.InternalClientError):
        return not is_unreadable(error)
    return is_misread(error)


def is_misread(error: BaseException) -> bool:
    """The same, but not for what else the driver has that class for, such as a COPY of values that it cannot send."""
    if isinstance(error, (UnreadableMessage, asyncpg.ProtocolError)):
        return not is_unreadable(error)
    if not isinstance(error, Exception) or isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        return False
    return is_met_in_reading([(code.co_filename, code.co_name) for code in _codes(error)])


def _codes(error: BaseException) -> Iterator[CodeType]:
    at = error.__traceback__
    while at is not None:
        yield at.tb_frame.f_code
        at = at.tb_next


def is_sure(error: BaseException) -> bool:
    """Whether a statement that ended with *error* has stored nothing: the server refused it, or it was not sent."""
    return (servers_sqlstate(error) is not None or is_unsent(error)) and not is_lost(error)


def is_misfit(error: BaseException) -> bool:
    """Whether a statement was not run because its arguments do not fit what is known of its types, or do not fit."""
    if isinstance(error, asyncpg.DatatypeMismatchError):
        return error.server_source_function == "record_recv"
    return isinstance(error, asyncpg.DataError) and error.severity is None


def is_conflict(error: BaseException) -> bool:
    """Whether nothing was stored for a reason that may be gone when the whole transaction is run again."""
    state = sqlstate(error)
    if isinstance(error, ResultUnreadable):
        return error.in_transaction
    return is_stale_plan(error) or (state is not None and verdict(state) is Verdict.RETRY_TRANSACTION)


def is_of_the_values(error: BaseException) -> bool:
    """Whether *error*, met while rows were encoded, is about a value: no answer of the server, nor a lost one."""
    is_servers = isinstance(error, asyncpg.PostgresError) and error.severity is not None
    return isinstance(error, Exception) and not (
        is_servers or isinstance(error, (OSError, asyncpg.InternalClientError))
    )


def is_refused_by_driver(error: BaseException) -> bool:
    """Whether the driver itself says that it cannot do this."""
    return isinstance(error, asyncpg.InternalClientError)


def is_refused_write(error: BaseException) -> bool:
    """Whether a write was refused because its transaction is read-only, as all are on a standby: nothing was done."""
    return isinstance(error, asyncpg.ReadOnlySQLTransactionError)


def note_refused_write(connection: Breakable) -> None:
    """Have a connection closed if its server takes no writes, unless that was to be.

    It was where the transaction was to take none, or the pool is for servers that take none.
    """
    role = role_of(connection)
    outermost = connection.transactions[0]() if connection.transactions else None
    target = connection.settings.target_session_attrs
    is_meant = (outermost is not None and outermost.options.readonly) or (
        target is not None and target.is_of_no_primary
    )
    if not is_meant and (role is None or any(role)):
        connection.is_broken = connection.is_demoted = True


def role_of(connection: Reporting) -> tuple[bool, bool] | None:
    """Whether its server is a standby, and whether it is read-only by default; None if it has not said so.

    It says so unasked when a session begins, and again with the next answer after it changed. PostgreSQL before 14 says
    nothing, and a pooler what it heard when it first met its server, which may have been promoted since.
    """
    if not getattr(connection, "route", DIRECT).is_direct or not is_process(connection.get_server_pid()):
        return None
    settings = connection.get_settings()
    in_recovery = getattr(settings, "in_hot_standby", None)
    if in_recovery is None:
        return None
    return in_recovery == "on", getattr(settings, "default_transaction_read_only", "off") == "on"


def translated(error: BaseException, connection: Breakable, name: str) -> BaseException:
    """*error* as this package reports it; also marks *connection* where the error says it is of no more use."""
    if isinstance(error, asyncpg.OutdatedSchemaCacheError):
        connection.forget_schema()
        return _unreadable(error, name, in_transaction=connection.is_in_transaction())
    state = sqlstate(error)
    if state is not None and verdict(state) is Verdict.DISCARD:
        connection.is_broken = True
    if is_refused_write(error):
        note_refused_write(connection)
    if is_out_of_step(error):
        connection.is_broken = True
    elif not is_lost(error) and not (isinstance(error, asyncpg.InterfaceError) and connection.is_closed()):
        return error
    cause = error.__cause__ or error
    if (why := why_unsent(str(error))) is not None:
        unsent = ServerUnavailable(
            f"a statement of {name} waited in the pooler and was not sent to the server, so nothing of it is applied: "
            f"{one_line(cause)}. {why}."
        )
        unsent.__cause__ = error
        return unsent
    if isinstance(error, asyncpg.InterfaceError):  # it was closed by then, and the driver had not been asked to read
        lost = ConnectionLost(
            f"the connection of {name} was lost before this statement was sent: it was not run, and a transaction that "
            f"was open is not stored. The server's log says why it ended the session, if it did: for "
            f"idle_in_transaction_session_timeout, say, or transaction_timeout."
        )
    else:
        lost = ConnectionLost(
            f"the connection of {name} was lost during a statement: {one_line(cause)}. A write may or may not have "
            f"been applied: check before you repeat it; a read can be repeated at once."
        )
    lost.__cause__ = error
    return lost


def _unreadable(error: asyncpg.OutdatedSchemaCacheError, name: str, *, in_transaction: bool) -> ResultUnreadable:
    fate = "is in the transaction" if in_transaction else "is stored unless COMMIT was refused"
    ours = ResultUnreadable(
        f"a statement on {name} was run, but its result cannot be read: the type {error.data_type_name} has changed "
        f"since it was prepared. What it wrote {fate}: do not repeat a write before you have looked. The next one is "
        f"prepared anew.",
        type_name=error.data_type_name or "",
        in_transaction=in_transaction,
    )
    ours.__cause__ = error
    return ours


@contextmanager
def told_as_ours(connection: Breakable, name: str, timeout: float) -> Iterator[None]:
    """Raise what goes wrong in the block as this package reports it."""
    try:
        yield
    except Exception as error:
        if error is connection.callers_error:
            raise
        if isinstance(error, TimeoutError):
            raise query_timeout(name, timeout) from error
        ours = translated(error, connection, name)
        if ours is error:
            raise
        raise ours from error


def query_timeout(name: str, timeout: float) -> QueryTimeout:
    """The error for a statement that was cancelled after *timeout* seconds."""
    return QueryTimeout(
        f"a statement on {name} was cancelled after {timeout:.2f} s; if it writes, it may or may not have been "
        f"applied. Give it a longer timeout=, or see what it waits for in pg_stat_activity.",
        timeout_s=timeout,
    )


def one_line(error: BaseException) -> str:
    """An error's class and first line."""
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
