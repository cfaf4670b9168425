"""A pool's numbers, for readers in other threads: exporters scrape where they like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbpool.stats import PoolStats

if TYPE_CHECKING:
    from dbpool.pool import DatabasePool

TRIES = 10  # one is enough, but for a change in the microseconds of a look at a line


def steady_stats(db: DatabasePool) -> PoolStats:
    """``db.stats()``, again if the event loop changed a line while it was looked at."""
    for _ in range(TRIES - 1):
        try:
            return db.stats()
        except RuntimeError:
            continue
    return db.stats()
