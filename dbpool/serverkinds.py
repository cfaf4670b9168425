"""What kind of server a connection leads to, as far as it has said so by itself."""

from __future__ import annotations

from typing import Any

from dbpool.connection import PlainConnection, PooledConnection
from dbpool.faults import role_of
from dbpool.hosts import Target
from dbpool.settings import PoolSettings


def checked_target(settings: PoolSettings) -> Target | None:
    """What an open connection's server must go on to be; None: whatever it likes."""
    target = settings.target_session_attrs
    assert not isinstance(target, str)  # the settings have made it a Target
    return None if target in (Target.ANY, Target.PREFER_STANDBY) else target


def is_unsuited(connection: PooledConnection, target: Target) -> bool:
    """Whether its server is known not to be *target*; if so, it is marked, to be closed."""
    role = role_of(connection)
    if role is None or target.unsuited(in_recovery=role[0], reads_only=role[1]) is None:
        return False
    connection.is_broken = connection.is_demoted = True
    return True


def kind_of(connection: PooledConnection) -> str:
    """What its server is, in words that follow on its name."""
    role = role_of(connection)
    if role is None:
        return "refuses writes"
    return "is a standby" if role[0] else "is read-only by default" if role[1] else "is a primary"


def named_server(connection: PooledConnection) -> str:
    """Its address and what it is, as for a report."""
    server = server_of(connection)
    address = ":".join(map(str, server)) if isinstance(server, tuple) else str(server)
    return address if role_of(connection) is None else f"{address}, which {kind_of(connection)}"


def server_of(connection: PlainConnection[Any]) -> object:
    """Its address: host and port, or the path of a socket."""
    return getattr(connection, "_addr", None)
