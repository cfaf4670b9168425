"""What the server is seen doing while a load runs, once a second, by plain SQL."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from dbpool.loadtest.drivers.protocol import now_ns
from dbpool.loadtest.server.connecting import CLIENTS, CONNECT_ERRORS, PREFIX, Session, rows
from dbpool.loadtest.server.processor import ServerProcessor

_ACTIVITY: Final = f"""
    SELECT starts_with(application_name, $1) AS is_ours, coalesce(state, 'unknown') AS state,
           wait_event_type AS wait_class, count(*) AS sessions
    FROM pg_stat_activity WHERE {CLIENTS} GROUP BY 1, 2, 3
"""
_DATABASE: Final = """
    SELECT xact_commit AS commits, xact_rollback AS rollbacks, deadlocks, blks_read, blks_hit, temp_bytes,
           sessions_fatal, sessions_abandoned, sessions_killed
    FROM pg_stat_database WHERE datname = current_database()
"""
_STATEMENTS: Final = (
    "SELECT sum(calls)::bigint AS calls, sum(total_exec_time)::float8 AS exec_ms FROM pg_stat_statements"
)
_IO: Final = """
    SELECT sum(reads)::bigint AS reads, sum(writes)::bigint AS writes, sum(extends)::bigint AS extends FROM pg_stat_io
"""
COUNTERS: Final = {"database": _DATABASE, "statements": _STATEMENTS, "io": _IO}
WAITS_FOR_NOTHING: Final = "CPU"  # an active session without a wait is taken to compute


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the server; what could not be seen is None.

    Args:
        at_ns: when, monotonic.
        ours, others: sessions by state, as ``{"active": 4, "idle": 2}``.
        waits: active sessions by what they wait for, as ``{"CPU": 3, "Lock": 1}``.
        deltas: counters since the look before, by view: ``{"database": {"commits": 812}, "io": None}``.
        cpu: processors that the server's processes used since then, 1.0 for one.
        took_ms: what looking cost.
    """

    at_ns: int
    ours: Mapping[str, int] | None
    others: Mapping[str, int] | None
    waits: Mapping[str, int] | None
    deltas: Mapping[str, Mapping[str, float | None] | None]
    cpu: float | None
    took_ms: float


def by_state(activity: list[dict[str, Any]] | None, *, ours: bool) -> dict[str, int] | None:
    """Sessions by state, of ours or of others."""
    if activity is None:
        return None
    states: dict[str, int] = {}
    for row in activity:
        if bool(row["is_ours"]) == ours:
            states[row["state"]] = states.get(row["state"], 0) + row["sessions"]
    return states


def by_wait(activity: list[dict[str, Any]] | None) -> dict[str, int] | None:
    """Active sessions by wait class."""
    if activity is None:
        return None
    waits: dict[str, int] = {}
    for row in activity:
        if row["state"] == "active":
            wait = row["wait_class"] or WAITS_FOR_NOTHING
            waits[wait] = waits.get(wait, 0) + row["sessions"]
    return waits


def delta(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> dict[str, float | None] | None:
    """How much each counter rose; None for one that is not known at both times, or that was reset between."""
    if before is None or after is None:
        return None
    rises: dict[str, float | None] = {}
    for name, now in after.items():
        then = before.get(name)
        rises[name] = None if now is None or then is None or now < then else now - then
    return rises


class Sampler:
    """Looks at the server over *session*, which nobody else uses meanwhile.

    Args:
        is_local: the server's processes are on this machine, so that their processor time can be read.
    """

    def __init__(self, session: Session, *, is_local: bool) -> None:
        self._session = session
        self._processor = ServerProcessor(is_local=is_local)
        self._counters: dict[str, Mapping[str, Any] | None] = {}
        self._unseen: set[str] = set()  # views that are not there: not asked again
        self.samples: list[Sample] = []

    async def look(self) -> Sample:
        """Take one sample; the first has no deltas. Raises: what the driver raises when the connection is lost."""
        began = now_ns()
        activity = await rows(self._session, _ACTIVITY, PREFIX)
        deltas: dict[str, Mapping[str, float | None] | None] = {}
        for view, sql in COUNTERS.items():
            found = None if view in self._unseen else await rows(self._session, sql)
            if not found:
                self._unseen.add(view)
            now = found[0] if found else None
            deltas[view] = delta(self._counters.get(view), now)
            self._counters[view] = now
        cpu = self._processor.used_since(self._session.get_server_pid())
        took_ms = (now_ns() - began) / 1e6
        ours, others = by_state(activity, ours=True), by_state(activity, ours=False)
        sample = Sample(began, ours, others, by_wait(activity), deltas, cpu, took_ms)
        self.samples.append(sample)
        return sample

    async def run(self, interval_s: float = 1.0, on_lost: Callable[[BaseException], None] = lambda _: None) -> None:
        """Look every *interval_s* until cancelled, or until the connection is lost: then *on_lost* is told once."""
        next_ns = now_ns()
        while True:
            try:
                await self.look()
            except CONNECT_ERRORS as error:
                on_lost(error)
                return
            next_ns += round(interval_s * 1e9)
            await asyncio.sleep(max(0.0, (next_ns - now_ns()) / 1e9))
