"""How the server is set up, as far as that decides what a load test finds."""

from __future__ import annotations

import os
from typing import Final

from dbpool.loadtest.server.connecting import Session, rows
from dbpool.loadtest.server.limits import Limits

RECORDED: Final = (
    *("max_connections", "shared_buffers", "work_mem", "effective_cache_size", "huge_pages"),
    *("synchronous_commit", "fsync", "full_page_writes", "wal_level"),
    *("jit", "max_worker_processes", "max_parallel_workers", "shared_preload_libraries"),
    *("statement_timeout", "idle_in_transaction_session_timeout"),
)

# the view leaves out what this role may not see, of which the function would complain
_SETTINGS: Final = "SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1::text[])"


async def read_settings(session: Session) -> dict[str, str | None]:
    """``RECORDED`` as they are for this session, with units, as ``128MB``; None: not there, or not visible."""
    found = await rows(session, _SETTINGS, list(RECORDED)) or []
    values = {row["name"]: row["value"] for row in found}
    return {name: values.get(name) for name in RECORDED}


def cores_of(session: Session, limits: Limits) -> int | None:
    """Processors that the server may use; None: it is on another machine.

    A limit of its control group is not seen.
    """
    if not limits.is_local:
        return None
    if hasattr(os, "sched_getaffinity"):
        try:
            return len(os.sched_getaffinity(session.get_server_pid()))
        except OSError:  # it is in a container, whose process ids are its own
            pass
    return os.cpu_count()
