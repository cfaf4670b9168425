"""Connections of the load test's own, beside those that make the load."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

import asyncpg

from dbpool import driver
from dbpool.dsn import Dsn
from dbpool.errors import DbPoolError, InsecureConnection
from dbpool.faults import one_line, transport_remedy
from dbpool.loadtest.drivers.failures import refusal_by

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
PREFIX: Final = "dbpool-loadtest/"
LOOKS: Final = "/* dbpool loadtest looks */"  # in our own statements, which are nothing that the load does
CLOSE_S: Final = 5.0
PATIENCE_S: Final = 2.0  # for sessions to leave by themselves

# everything that an attempt to connect, or a query on a connection that is being lost, may end with
CONNECT_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    InsecureConnection,
    OSError,
    TimeoutError,
)
# a role without pg_monitor sees of others' sessions neither kind nor state, but their database and name
CLIENTS: Final = """
    (backend_type = 'client backend' OR backend_type IS NULL AND datid IS NOT NULL) AND pid <> pg_backend_pid()
"""


class Unreachable(DbPoolError):
    """There is no connection to the server; the cause is the driver's error."""


def new_run_id() -> str:
    """Tells the sessions of one run from those of another."""
    return secrets.token_hex(4)


def application_name(run_id: str, role: str) -> str:
    """What ``pg_stat_activity`` calls our sessions, by what they are for."""
    return f"{PREFIX}{run_id}/{role}"


def ours_of(session: Session, *, is_pooled: bool) -> str:
    """How the names of the sessions of *session*'s run begin: another load test's are others'.

    A pooler's sessions keep the name of who had them last, so that behind one all load tests are one.
    """
    name = str(getattr(session.get_settings(), "application_name", ""))
    return PREFIX if is_pooled or not name.startswith(PREFIX) else name.removesuffix(name.rpartition("/")[2])


async def connect(dsn: str, name: str, *, timeout_s: float = 10.0) -> Session:
    """A connection of the load test's own. Raises: what the driver raises, of ``CONNECT_ERRORS``."""
    return await driver.connect(
        Dsn(dsn),
        timeout=timeout_s,
        command_timeout=30.0,
        statement_cache_size=0,  # a pooler may be between
        server_settings={"application_name": name},
    )


async def lifeline(dsn: str, run_id: str, *, timeout_s: float = 10.0) -> Session:
    """The connection to open before all others: it sees what goes on when no other can be had.

    Raises:
        Unreachable: there is no server, or it refuses; the message has the reason and no password.
    """
    try:
        return await connect(dsn, application_name(run_id, "lifeline"), timeout_s=timeout_s)
    except CONNECT_ERRORS as error:
        if remedy := transport_remedy(error, Dsn(dsn).parameters):
            raise Unreachable(f"no connection to the server: {one_line(error)}. {remedy}") from error
        reason = refusal_by(error)
        why = "it did not answer in time" if isinstance(error, TimeoutError) else one_line(error)
        raise Unreachable(f"no connection to the server ({reason.value}): {why}") from error


async def close(session: Session) -> None:
    """Close *session* with a farewell, or cut it off."""
    try:
        await session.close(timeout=CLOSE_S)
    except CONNECT_ERRORS:
        session.terminate()


async def close_all(sessions: Sequence[Session]) -> None:
    """Close them together; what does not go by itself is cut off, also when this is cancelled."""
    try:
        await asyncio.gather(*(close(session) for session in sessions))
    finally:
        for session in sessions:
            if not session.is_closed():
                session.terminate()


async def rows(session: Session, sql: str, *args: Any) -> list[dict[str, Any]] | None:  # noqa: ANN401 - as the columns
    """The rows of a query; None where the server has no such view, or does not let us see it."""
    try:
        return [dict(row) for row in await session.fetch(sql, *args)]
    except (asyncpg.UndefinedTableError, asyncpg.UndefinedColumnError, asyncpg.UndefinedFunctionError):
        return None
    except (
        asyncpg.InsufficientPrivilegeError,
        asyncpg.ObjectNotInPrerequisiteStateError,
        asyncpg.ProtocolViolationError,
    ):
        return None


async def ensure_gone(session: Session, names: str) -> bool:
    """Whether every other session whose name begins with *names* has left; those that stay are ended.

    The server goes on with the statement of a client that was killed.
    """
    if await all_gone(session, names, timeout_s=PATIENCE_S):
        return True
    sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE starts_with(application_name, $1)"
    await session.fetch(f"{sql} AND pid <> pg_backend_pid()", names)
    return await all_gone(session, names)


async def all_gone(session: Session, names: str, *, timeout_s: float = 5.0) -> bool:
    """Whether every other session whose name begins with *names* has left, waiting so long for it."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + timeout_s
    while await sessions(session, names):
        if clock() > deadline:
            return False
        await asyncio.sleep(0.02)
    return True


async def sessions(session: Session, names: str) -> int:
    """How many other sessions there are whose name begins with *names*."""
    sql = "SELECT count(*) FROM pg_stat_activity WHERE starts_with(application_name, $1) AND pid <> pg_backend_pid()"
    return int(await session.fetchval(sql, names))
