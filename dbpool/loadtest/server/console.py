"""PgBouncer's admin console: what its pools do now, and how it is set up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from dbpool.faults import one_line
from dbpool.loadtest.server.connecting import (
    CONNECT_ERRORS,
    Session,
    Unreachable,
    application_name,
    close,
    connect,
)
from dbpool.loadtest.server.simplequery import TextRow, simple_rows

PATIENCE_S: Final = 5.0  # the console is served by the one thread that serves all
CONSOLE: Final = "pgbouncer"  # the database that is none, and the pool of those who look at it


@dataclass(frozen=True, slots=True)
class PoolerPool:
    """One of its pools, for a database and a role; None: this version does not say.

    Args:
        cl_active: clients that have a server connection, or need none now; *cl_waiting* wait for one.
        sv_active: server connections that clients have; *sv_idle* are free.
        maxwait_ms: how long the first in line has waited.
    """

    database: str
    user: str
    cl_active: int | None
    cl_waiting: int | None
    sv_active: int | None
    sv_idle: int | None
    maxwait_ms: float | None


class Console:
    """The console, over a connection of its own."""

    def __init__(self, session: Session, version: str) -> None:
        self._session = session
        self.version = version

    async def show(self, what: str) -> list[TextRow]:
        """``SHOW what``: rows of texts by column; which columns there are depends on the version.

        Raises: what ``CONNECT_ERRORS`` has.
        """
        return await simple_rows(self._session, f"SHOW {what}", timeout_s=PATIENCE_S)

    async def pools(self) -> list[PoolerPool]:
        """What its pools do now, without that of the console itself. Raises: as ``show``."""
        return [pool_of(row) for row in await self.show("POOLS") if row["database"] != CONSOLE]


def pool_of(row: TextRow) -> PoolerPool:
    """From a row of ``SHOW POOLS``."""
    seconds, microseconds = number_in(row, "maxwait"), number_in(row, "maxwait_us")
    return PoolerPool(
        database=row["database"] or "",
        user=row["user"] or "",
        cl_active=number_in(row, "cl_active"),
        cl_waiting=number_in(row, "cl_waiting"),
        sv_active=number_in(row, "sv_active"),
        sv_idle=number_in(row, "sv_idle"),
        maxwait_ms=None if seconds is None else seconds * 1000 + (microseconds or 0) / 1000,
    )


def number_in(row: TextRow, name: str) -> int | None:
    """A whole number; None where this version has no such column, or no value in it."""
    text = row.get(name)
    return None if text is None else int(text)


@asynccontextmanager
async def console_at(dsn: str | None, run_id: str) -> AsyncIterator[Console | None]:
    """The console at *dsn* for the length of the block; None where no address was given.

    Raises:
        Unreachable: there is none, or this role may not use it; the message has no password.
    """
    if dsn is None:
        yield None
        return
    try:
        session = await connect(dsn, application_name(run_id, "console"))
    except CONNECT_ERRORS as error:
        raise Unreachable(f"no connection to PgBouncer's console: {one_line(error)}") from error
    try:
        try:
            [row] = await simple_rows(session, "SHOW VERSION", timeout_s=PATIENCE_S)
        except CONNECT_ERRORS as error:
            raise Unreachable(
                f"this is not PgBouncer's console, whose address ends in /{CONSOLE}: {one_line(error)}"
            ) from error
        yield Console(session, (row.get("version") or "").removeprefix("PgBouncer "))
    finally:
        await close(session)
