"""What a test has left in a pool: permits held, callers in line, connections that nobody released."""

from __future__ import annotations

import asyncio
from typing import Final

from dbpool.events import Event, LeaseReclaimed
from dbpool.pool import DatabasePool

_LOOK_EVERY_S: Final = 0.002


class Leftovers:
    """Watches an open pool from now on."""

    def __init__(self, db: DatabasePool) -> None:
        self._db = db
        self._taken_back: list[str] = []
        self.stop = db.on_event(self._noted)

    def _noted(self, event: Event) -> None:
        if isinstance(event, LeaseReclaimed):
            self._taken_back.append(event.where)

    async def described(self, patience_s: float) -> str:
        """What is left after so many seconds at the most, for people; empty: nothing."""
        lines = []
        if not await at_rest(self._db, patience_s):
            lines.append(str(self._db.report()))
        lines += [f"a connection acquired at {where} was never released" for where in self._taken_back]
        return "\n  ".join(lines)


async def at_rest(db: DatabasePool, patience_s: float) -> bool:
    """Wait until nobody holds a connection or waits for one, and no cleanup is under way; False: not in time."""
    clock = asyncio.get_running_loop().time
    deadline = clock() + patience_s
    while (stats := db.stats()).held or stats.waiting:
        if clock() >= deadline:
            return False
        await asyncio.sleep(_LOOK_EVERY_S)
    return True
