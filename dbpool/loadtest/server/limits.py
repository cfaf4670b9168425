"""How many connections the server allows, as it says itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dbpool.core.loadtest.budget import Slots
from dbpool.loadtest.server.connecting import CLIENTS, Session, ours_of

_LIMITS: Final = """
    SELECT current_setting('server_version') AS version,
           current_setting('server_version_num')::int AS version_number,
           current_setting('max_connections')::int AS max_connections,
           current_setting('superuser_reserved_connections')::int AS superuser_reserved,
           coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,
           pg_backend_pid() AS backend_pid,
           current_user::text AS role, current_database()::text AS database,
           inet_server_addr() IS NULL OR inet_server_addr() = inet_client_addr() AS is_local,
           (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
           (SELECT nullif(rolconnlimit, -1) FROM pg_roles WHERE rolname = current_user) AS role_limit,
           (SELECT nullif(datconnlimit, -1) FROM pg_database WHERE datname = current_database()) AS database_limit
"""
_SESSIONS: Final = f"""
    SELECT count(*) FILTER (WHERE starts_with(application_name, $1)) AS ours,
           count(*) FILTER (WHERE NOT starts_with(application_name, $1)) AS others,
           count(*) FILTER (WHERE NOT starts_with(application_name, $1) AND usename = current_user) AS of_role,
           count(*) FILTER (WHERE NOT starts_with(application_name, $1) AND datname = current_database()) AS of_database
    FROM pg_stat_activity WHERE {CLIENTS}
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the server says of itself.

    Args:
        others: client sessions of others now; *others_of_role* and *others_of_database* are those of them that count
            against the limit of the role, of the database.
        is_local: it runs on this machine.
        is_pooled: a pooler is between us and it, which gives its sessions to one client after the other.
    """

    version: str
    version_number: int
    role: str
    database: str
    is_superuser: bool
    is_local: bool
    is_pooled: bool
    max_connections: int
    superuser_reserved: int
    reserved: int
    role_limit: int | None
    database_limit: int | None
    others: int
    others_of_role: int
    others_of_database: int

    @property
    def usable(self) -> int:
        """Connections that the role could have if nobody else were there."""
        return self.slots.usable

    @property
    def free(self) -> int:
        """What is left of them now."""
        return self.slots.free

    @property
    def cap(self) -> int:
        """What a load test may take of those unless told otherwise."""
        return self.slots.cap

    @property
    def slots(self) -> Slots:
        """The same as a budget: neither limits nor reserves bind a superuser."""
        if self.is_superuser:
            return Slots(self.max_connections, others=self.others)
        return Slots(
            max_connections=self.max_connections,
            superuser_reserved=self.superuser_reserved,
            reserved=self.reserved,
            role_limit=self.role_limit,
            database_limit=self.database_limit,
            others=self.others,
            others_of_role=self.others_of_role,
            others_of_database=self.others_of_database,
        )


async def read_limits(session: Session) -> Limits:
    """Ask the server over *session*, which is not counted, nor are others of its run."""
    limits = await session.fetchrow(_LIMITS)
    assert limits is not None
    said = dict(limits)
    # a pooler has told the driver a process id of its own making
    is_pooled = said.pop("backend_pid") != session.get_server_pid()
    sessions = await session.fetchrow(_SESSIONS, ours_of(session, is_pooled=is_pooled))
    assert sessions is not None
    is_superuser, is_local = bool(said.pop("is_superuser")), bool(said.pop("is_local"))
    return Limits(
        **said,
        is_superuser=is_superuser,
        is_local=is_local and not is_pooled,
        is_pooled=is_pooled,
        others=sessions["others"],
        others_of_role=sessions["of_role"],
        others_of_database=sessions["of_database"],
    )
