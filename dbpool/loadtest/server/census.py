"""Sessions of one name: how many there are, and an end to all of them."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from dbpool.loadtest.server.connecting import Session

_COUNT: Final = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = $1 AND backend_start > coalesce($2::timestamptz, '-infinity')
"""
_TERMINATE: Final = """
    SELECT count(*) FILTER (WHERE pg_terminate_backend(pid)) AS ended, clock_timestamp() AS at
    FROM pg_stat_activity WHERE application_name = $1 AND pid <> pg_backend_pid()
"""


class Census:
    """Looks by way of *session*, which nobody else uses meanwhile, at the sessions that are called *name*."""

    def __init__(self, session: Session, name: str) -> None:
        self._session, self._name = session, name
        self._since: datetime | None = None

    async def count(self) -> int:
        """Sessions there now that began after the last ``terminate``."""
        return int(await self._session.fetchval(_COUNT, self._name, self._since))

    async def terminate(self) -> int:
        """End all of them. Returns: how many that were."""
        row = await self._session.fetchrow(_TERMINATE, self._name)
        assert row is not None
        self._since = row["at"]
        return int(row["ended"])
