"""The server of a run: the user's own, or an embedded one that ends with it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dbpool.embedded import EmbeddedPostgres
from dbpool.loadtest.server.connecting import Session, close, lifeline, new_run_id
from dbpool.loadtest.server.limits import Limits, read_limits

REFUSED = 6
"""The exit code of a command that safety forbids."""


@dataclass(frozen=True, slots=True)
class Where:
    """A server, with the connection to it that was there first."""

    dsn: str
    run_id: str
    lifeline: Session
    limits: Limits
    is_embedded: bool


def slots_for(room: int) -> int:
    """The ``max_connections`` of an embedded server with room for so many connections."""
    return max(100, room * 10 // 8 + 10)


@asynccontextmanager
async def server(url: str | None, *, room: int = 0) -> AsyncIterator[Where]:
    """Connect to *url*, or to an embedded server with room for so many connections.

    Raises:
        Unreachable: it refuses.
        EmbeddedError: it did not start.
    """
    if url is not None:
        async with _connected(url, is_embedded=False) as where:
            yield where
        return
    settings = {"max_connections": str(slots_for(room))}
    async with EmbeddedPostgres(settings=settings) as embedded:
        async with _connected(embedded.dsn(), is_embedded=True) as where:
            yield where


@asynccontextmanager
async def _connected(dsn: str, *, is_embedded: bool) -> AsyncIterator[Where]:
    run_id = new_run_id()
    session = await lifeline(dsn, run_id)
    try:
        yield Where(dsn, run_id, session, await read_limits(session), is_embedded)
    finally:
        await close(session)


def refused(command: str, error: Exception) -> int:
    """Say why safety forbids it."""
    sys.stderr.write(f"dbpool loadtest {command}: {error}\n")
    return REFUSED
