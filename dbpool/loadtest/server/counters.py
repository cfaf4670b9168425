"""Counters of the server, of which only how much they rose says anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from dbpool.loadtest.server.connecting import LOOKS, Session, rows

Deltas: TypeAlias = Mapping[str, Mapping[str, float | None] | None]
"""By view: ``{"database": {"commits": 812}, "io": None}``."""

_DATABASE: Final = f"""
    SELECT {LOOKS} xact_commit AS commits, xact_rollback AS rollbacks, deadlocks, blks_read, blks_hit, temp_bytes,
           sessions_fatal, sessions_abandoned, sessions_killed
    FROM pg_stat_database WHERE datname = current_database()
"""
# not the view, which would have the server read the texts of all statements from a file
_STATEMENTS: Final = f"""
    SELECT {LOOKS} sum(calls)::bigint AS calls, sum(total_exec_time)::float8 AS exec_ms FROM pg_stat_statements(false)
"""
_IO: Final = f"""
    SELECT {LOOKS} sum(reads)::bigint AS reads, sum(writes)::bigint AS writes, sum(extends)::bigint AS extends
    FROM pg_stat_io
"""
COUNTERS: Final = {"database": _DATABASE, "statements": _STATEMENTS, "io": _IO}


def delta(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, float | None] | None:
    """How much each counter rose; None for one that is not known at both times, or that was reset between."""
    if before is None or after is None:
        return None
    rises: dict[str, float | None] = {}
    for name, now in after.items():
        then = before.get(name)
        rises[name] = None if now is None or then is None or now < then else now - then
    return rises


class Counters:
    """The views of ``COUNTERS``, read again and again over *session*."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._last: dict[str, Mapping[str, Any] | None] = {}
        self._unseen: set[str] = set()  # views that are not there: not asked again

    def forget(self) -> None:
        """The next reading begins anew, without deltas."""
        self._last = {}

    async def read(self) -> Deltas:
        """How much each rose since the reading before. Raises: what the driver raises when the connection is lost."""
        deltas: dict[str, Mapping[str, float | None] | None] = {}
        for view, sql in COUNTERS.items():
            found = None if view in self._unseen else await rows(self._session, sql)
            if not found:
                self._unseen.add(view)
            now = found[0] if found else None
            deltas[view] = delta(self._last.get(view), now)
            self._last[view] = now
        return deltas
