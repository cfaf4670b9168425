"""Finds out by trying what is between a connection and the server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any, Final, TypeAlias

import asyncpg

from dbpool.core.route import DIRECT, Route
from dbpool.poolermode import Pooler

Session: TypeAlias = Any  # an asyncpg connection, of which only simple queries are asked: they need no preparing

PATIENCE_S: Final = 1.0  # for another session: in session mode a pooler that is full lets one wait for ever
# Whether the second client met the first one's session: A and B, in an order in which neither taking turns nor taking
# the one used last can look as if each had its own.
_TURNS: Final = "AABBABBAAB"
_ERRORS: Final = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError)  # a TimeoutError is one
_PLAIN: Final = asyncpg.Connection  # its own methods: those of a pool's connection look after a lease
_UNASKED: Final = frozenset({"application_name", "client_encoding"})  # which poolers hand on, and asyncpg itself sets


async def look(
    session: Session,
    connect: Callable[[], Awaitable[Session]] | None,
    *,
    told: Pooler | None = None,
    wants_prepared: bool = True,
    server_settings: Mapping[str, str],
) -> Route:
    """The way to the server; one round trip where that is direct, and a few of them and a connection where it is not.

    Args:
        session: a new connection, used by nobody else meanwhile; it is not in a transaction.
        connect: opens another one there; None: there is no room for it, so session mode cannot be proven.
        told: what the user says that it is; only the rest is asked for.
        wants_prepared: whether statements are to be kept prepared at all.
        server_settings: what the session was opened with.
    Raises: what the driver raises.
    Cancelling: leaves the connection in a state of which nothing is known.
    """
    if told in (Pooler.NONE, Pooler.SESSION):
        return Route(told)
    if told is None and await has_own_process(session):
        return DIRECT
    session._stmt_cache_enabled = False  # a name that it gave, another session would not know
    keeps_prepared = await _keeps_prepared(session) if wants_prepared or told is None else False
    route = Route(Pooler.TRANSACTION, keeps_prepared=bool(keeps_prepared))
    if told is None and not keeps_prepared:  # one that follows them does so because sessions are shared
        route = await _mode(session, connect)
    return replace(route, lost_settings=await _lost(session, server_settings))


async def has_own_process(session: Session) -> bool:
    """Whether the key to cancel by, which came first of all, is that of the process that answers now."""
    return await _is_true(session, f"pg_backend_pid() = {session.get_server_pid()}")


async def _is_true(session: Session, condition: str) -> bool:
    """By a simple query, whose rows the driver counts but does not read."""
    return bool(await _run(session, f"SELECT WHERE {condition}") == "SELECT 1")


async def _run(session: Session, sql: str) -> str:
    return await _PLAIN.execute(session, sql)


async def _keeps_prepared(session: Session) -> bool | None:
    """One that follows statements gives each a name of its own at the server; None: this server does not tell."""
    mark = os.urandom(8).hex()
    name = f"dbpool_{mark}"
    keeps: bool | None = None
    await _run(session, "BEGIN")  # for one session; a pooler in statement mode refuses it, and with it this pool
    try:
        await _PLAIN.prepare(session, f"SELECT '{mark}'", name=name)
        seen = f"EXISTS (SELECT FROM pg_prepared_statements WHERE statement = 'SELECT ''{mark}''' AND name"
        if await _is_true(session, f"{seen} <> '{name}')"):
            keeps = True
        elif await _is_true(session, f"{seen} = '{name}')"):
            await _run(session, f"DEALLOCATE {name}")
            keeps = False
    except asyncpg.PostgresError:
        if session.is_closed():
            raise
    finally:
        session._stmts_to_close.clear()  # it was closed, or is the pooler's to close
    await _run(session, "ROLLBACK")  # not after a time-out: it would wait for as long as a statement may take
    return keeps


async def _mode(session: Session, connect: Callable[[], Awaitable[Session]] | None) -> Route:
    unknown = Route(Pooler.TRANSACTION, keeps_prepared=False, is_certain=False)
    if connect is None:
        return unknown
    other: Session | None = None
    try:
        async with asyncio.timeout(PATIENCE_S):  # which never cuts short what *session* is asked
            other = await connect()
            other._stmt_cache_enabled = False
            pid = await _process(other)
        shares = await _share(session, other, pid)
        await other.close(timeout=PATIENCE_S)
    except _ERRORS:
        if session.is_closed():
            raise
        return unknown
    finally:
        if other is not None:
            other.terminate()
    return replace(unknown, is_certain=True) if shares else Route(Pooler.SESSION)


async def _share(one: Session, other: Session, others: int) -> bool:
    """Whether the two are served by one process, or one of them by several; *others*: which *other* had before."""
    processes = {"B": others}
    for turn in _TURNS:
        asked = one if turn == "A" else other
        pid = await _process(asked)
        if processes.setdefault(turn, pid) != pid or len(set(processes.values())) < len(processes):
            return True
    return False


async def _process(session: Session) -> int:
    return int(await _PLAIN.fetchval(session, "SELECT pg_backend_pid()"))


async def _lost(session: Session, asked: Mapping[str, str]) -> tuple[str, ...]:
    """Of the settings *asked* for, those that are not in force: the pooler dropped what it did not know."""
    lost = []
    await _run(session, "BEGIN")
    for name, value in asked.items():
        if name.lower() in _UNASKED:
            continue
        setting, wanted = _quoted(name), _quoted(value)  # both as the server writes them
        now, then = f"current_setting({setting}, true)", f"set_config({setting}, {wanted}, true)"
        if not await _is_true(session, f"(SELECT now FROM (SELECT {now} AS now OFFSET 0) AS n) = {then}"):
            lost.append(name)
    await _run(session, "ROLLBACK")
    return tuple(lost)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
