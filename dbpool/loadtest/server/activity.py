"""Sessions by whose they are, what they do and what they wait for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from dbpool.loadtest.server.connecting import CLIENTS, LOOKS

Activity: TypeAlias = list[dict[str, Any]]
"""Rows of ``ACTIVITY``."""

# its parameter is how our sessions' names begin
ACTIVITY: Final = f"""
    SELECT {LOOKS} starts_with(application_name, $1) AS is_ours, coalesce(state, 'unknown') AS state,
           wait_event_type AS wait_class, wait_event, count(*) AS sessions
    FROM pg_stat_activity WHERE {CLIENTS} GROUP BY 1, 2, 3, 4
"""
WAITS_FOR_NOTHING: Final = "CPU"  # an active session without a wait is taken to compute


def by_state(activity: Activity | None, *, ours: bool) -> dict[str, int] | None:
    """Sessions by state, of ours or of others."""
    if activity is None:
        return None
    return _counted((row["state"], row) for row in activity if bool(row["is_ours"]) == ours)


def by_wait(activity: Activity | None) -> dict[str, int] | None:
    """Active sessions by wait class."""
    if activity is None:
        return None
    return _counted((row["wait_class"] or WAITS_FOR_NOTHING, row) for row in activity if row["state"] == "active")


def by_event(activity: Activity | None) -> dict[str, int] | None:
    """Active sessions that wait, by class and event, as ``{"Lock:transactionid": 3}``."""
    if activity is None:
        return None
    waiting = [row for row in activity if row["state"] == "active" and row["wait_class"]]
    return _counted((f"{row['wait_class']}:{row['wait_event']}", row) for row in waiting)


def _counted(named: Iterable[tuple[str, dict[str, Any]]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for name, row in named:
        counts[name] = counts.get(name, 0) + row["sessions"]
    return counts
