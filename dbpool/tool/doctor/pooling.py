"""What a pooler does with the sessions that it is given, found out by trying."""

from __future__ import annotations

import asyncio
from typing import Final

from dbpool.core.doctor.facts import Pooler
from dbpool.loadtest.server.connecting import CONNECT_ERRORS, Session, close, connect
from dbpool.loadtest.server.simplequery import simple_rows

PATIENCE_S: Final = 2.0
TRIES: Final = 3  # another client may take the connection between our two looks
_PROBE: Final = "dbpool_doctor_probe"
_BACKEND: Final = "SELECT pg_backend_pid() AS pid"


async def try_pooler(dsn: str, session: Session, name: str) -> Pooler:
    """Whether a second client of ours is served by the server process that the first, still connected, had."""
    try:
        other = await connect(dsn, name, timeout_s=PATIENCE_S)
    except CONNECT_ERRORS:
        return Pooler()
    try:
        if not await _is_shared(session, other):
            return Pooler(is_shared=False)
        if not await _takes_transactions(other):
            return Pooler(is_shared=True, takes_transactions=False)
        return Pooler(is_shared=True, keeps_prepared=await _keeps_prepared(session), takes_transactions=True)
    except CONNECT_ERRORS:  # in session mode a full pool lets the second one wait
        return Pooler()
    finally:
        await close(other)


async def _is_shared(one: Session, other: Session) -> bool:
    for _ in range(TRIES):
        [mine], [its] = [await simple_rows(each, _BACKEND, timeout_s=PATIENCE_S) for each in (one, other)]
        if mine["pid"] == its["pid"]:
            return True
    return False


async def _takes_transactions(session: Session) -> bool:
    """In statement mode BEGIN is refused, and ends the session that it comes by: it must be one that just answered."""
    try:
        async with asyncio.timeout(PATIENCE_S), session.transaction():
            pass
    except TimeoutError:  # which says nothing of it
        raise
    except CONNECT_ERRORS:
        return False
    return True


async def _keeps_prepared(session: Session) -> bool | None:
    """One that follows statements gives each a name of its own at the server."""
    async with asyncio.timeout(PATIENCE_S):
        async with session.transaction():  # on one server connection
            await session.prepare("SELECT 1", name=_PROBE)
            rows = await simple_rows(session, "SELECT name FROM pg_prepared_statements", timeout_s=PATIENCE_S)
            names = {row["name"] or "" for row in rows}
            if _PROBE not in names:
                return True if any(name.startswith("PGBOUNCER_") for name in names) else None
            await session.execute(f"DEALLOCATE {_PROBE}")
            return False
