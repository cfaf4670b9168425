"""Databases for one test each: made, dropped, and watched for sessions left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

LEAVE_TIMEOUT: Final = 5.0  # seconds: a backend that gets its turn notices in milliseconds that its client is gone
_RUN: Final = secrets.token_hex(3)  # sessions at the same time share a server, perhaps from several machines

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Database:
    """A database of one test's own."""

    name: str
    dsn: str


def new_name(kind: str = "test") -> str:
    """The name of a database that nobody else has."""
    return f"dbpool_{kind}_{os.getpid()}_{_RUN}_{next(_numbers)}"


async def create(admin: Any, name: str, template: str | None = None) -> None:  # noqa: ANN401 - an asyncpg connection
    """Make a database, empty or a clone of *template*, to which nobody may be connected.

    By PostgreSQL's default strategy, WAL_LOG: copying the files takes twice as long for what tests have.
    """
    await admin.execute(f'create database "{name}" template "{template or "template0"}"')


async def drop(admin: Any, name: str) -> None:  # noqa: ANN401
    """Drop a database if it is there, and end the sessions that are left in it."""
    await admin.execute(f'drop database if exists "{name}" with (force)')


async def wait_left(admin: Any, name: str, patience_s: float = LEAVE_TIMEOUT) -> Sequence[Any]:  # noqa: ANN401
    """Wait until all have left the database; return the sessions that have not in time, as rows."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience_s
    pause_s = 0.001
    while True:
        sessions: Sequence[Any] = await admin.fetch(
            "select pid, application_name, state, wait_event, left(query, 200) as query from pg_stat_activity"
            " where datname = $1 and backend_type = 'client backend' and pid <> pg_backend_pid()",
            name,
        )
        if not sessions or clock() > deadline:
            return sessions
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.02)


def described(sessions: Sequence[Any]) -> str:
    """Sessions as ``wait_left`` returns them, a line each."""
    return "".join(f"\n  {dict(row)}" for row in sessions)
