"""Which limit it was that refused a connection.

PostgreSQL has one SQLSTATE, 53300, for four limits, and its messages come in the language of the server's lc_messages.
What is never translated is the name of the C function that raised the error, which each answer carries; a pooler
between may drop it, so that the English text, and names within a text of any language, come second.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from errno import EADDRNOTAVAIL, ECONNREFUSED, EMFILE, ENFILE, ENOENT
from typing import Final


class Refusal(Enum):
    """Why there was no connection; the values are what results call it."""

    SERVER_FULL = "server_full"
    RESERVED = "reserved"
    ROLE_LIMIT = "role_limit"
    DATABASE_LIMIT = "database_limit"
    SERVER_LIMIT = "server_limit"  # one of the four above, and nothing tells which
    POOLER_FULL = "pooler_full"
    POOLER_DATABASE_LIMIT = "pooler_database_limit"
    POOLER_ROLE_LIMIT = "pooler_role_limit"
    POOLER_WAIT = "pooler_wait"
    CLIENT_FILES = "client_files"
    CLIENT_PORTS = "client_ports"
    NOT_LISTENING = "not_listening"
    TIMEOUT = "timeout"
    STARTING = "starting"
    DENIED = "denied"
    OTHER = "other"

    @property
    def is_a_limit(self) -> bool:
        """Whether fewer connections would have been let in."""
        return self in LIMITS


LIMITS: Final = {  # what was reached, and where it is set
    Refusal.SERVER_FULL: "all slots of the server are taken (max_connections)",
    Refusal.RESERVED: "only reserved slots are free (superuser_reserved_connections, reserved_connections)",
    Refusal.ROLE_LIMIT: "the role has all the connections it may have (ALTER ROLE ... CONNECTION LIMIT)",
    Refusal.DATABASE_LIMIT: "the database has all the connections it may have (ALTER DATABASE ... CONNECTION LIMIT)",
    Refusal.SERVER_LIMIT: "a limit of the server is reached; it does not say which",
    Refusal.POOLER_FULL: "the pooler takes no more clients (max_client_conn)",
    Refusal.POOLER_DATABASE_LIMIT: "the pooler takes no more clients of this database (max_db_client_connections)",
    Refusal.POOLER_ROLE_LIMIT: "the pooler takes no more clients of this role (max_user_client_connections)",
    Refusal.POOLER_WAIT: "the pooler had no server connection in time (query_wait_timeout, default_pool_size)",
    Refusal.CLIENT_FILES: "this machine allows the process no more open files (ulimit -n)",
    Refusal.CLIENT_PORTS: "this machine has no more ports to connect from (net.ipv4.ip_local_port_range)",
}


@dataclass(frozen=True, slots=True)
class Evidence:
    """What an attempt to connect ended with: the fields of the server's answer, or the number of the system's error."""

    sqlstate: str | None = None
    message: str = ""
    routine: str | None = None  # field R of the answer: asyncpg's server_source_function
    errno: int | None = None
    is_timeout: bool = False


# the first four as PostgreSQL 18.6 answers; the others say the same from the postmaster, or in older versions
_ROUTINES: Final = {
    "InitializeSessionUserId": Refusal.ROLE_LIMIT,
    "CheckMyDatabase": Refusal.DATABASE_LIMIT,
    "InitPostgres": Refusal.RESERVED,
    "InitProcess": Refusal.SERVER_FULL,
    "ProcArrayAdd": Refusal.SERVER_FULL,
    "ProcessStartupPacket": Refusal.SERVER_FULL,
    "BackendInitialize": Refusal.SERVER_FULL,
}
_TEXTS: Final = (
    ("too many clients already", Refusal.SERVER_FULL),
    ("remaining connection slots are reserved", Refusal.RESERVED),
    ("pg_use_reserved_connections", Refusal.RESERVED),
    ("SUPERUSER", Refusal.RESERVED),  # a word of SQL, the same in every language
    ("too many connections for role", Refusal.ROLE_LIMIT),
    ("too many connections for database", Refusal.DATABASE_LIMIT),
)
# PgBouncer does not translate; up to 1.22 or so these come as 08P01 (protocol violation), later some as 53300
_POOLER_TEXTS: Final = (
    ("max_client_conn)", Refusal.POOLER_FULL),
    ("max_db_client_connections)", Refusal.POOLER_DATABASE_LIMIT),
    ("max_user_client_connections)", Refusal.POOLER_ROLE_LIMIT),
    ("query_wait_timeout", Refusal.POOLER_WAIT),
)
_ERRNOS: Final = {
    EMFILE: Refusal.CLIENT_FILES,
    ENFILE: Refusal.CLIENT_FILES,
    EADDRNOTAVAIL: Refusal.CLIENT_PORTS,
    ECONNREFUSED: Refusal.NOT_LISTENING,
    ENOENT: Refusal.NOT_LISTENING,  # there is no such unix socket
}
_POOLER_SQLSTATES: Final = ("08P01", "53300", "57014")
_DENIED: Final = ("28", "3D")


def refusal_of(evidence: Evidence, *, role: str = "", database: str = "") -> Refusal:
    """The reason why a connection as *role* to *database* was refused."""
    sqlstate = evidence.sqlstate
    if sqlstate is None:
        if evidence.errno in _ERRNOS:
            return _ERRNOS[evidence.errno]
        return Refusal.TIMEOUT if evidence.is_timeout else Refusal.OTHER
    if sqlstate in _POOLER_SQLSTATES and (found := _by_text(evidence.message, _POOLER_TEXTS)):
        return found
    if sqlstate == "53300":
        return (
            _ROUTINES.get(evidence.routine or "")
            or _by_text(evidence.message, _TEXTS)
            or _by_name(evidence.message, role, database)
        )
    if sqlstate == "57P03":
        return Refusal.STARTING
    return Refusal.DENIED if sqlstate.startswith(_DENIED) else Refusal.OTHER


def label_of(evidence: Evidence, refusal: Refusal) -> str:
    """What results count it as: ``53300.server_full``, ``client_files``."""
    return f"{evidence.sqlstate}.{refusal.value}" if evidence.sqlstate else refusal.value


def is_limit(label: str) -> bool:
    """Whether *label* is of a refusal that fewer connections would not have met."""
    return label.rpartition(".")[2] in {refusal.value for refusal in LIMITS}


def _by_text(message: str, texts: tuple[tuple[str, Refusal], ...]) -> Refusal | None:
    return next((refusal for text, refusal in texts if text in message), None)


def _by_name(message: str, role: str, database: str) -> Refusal:
    """Of the four messages two quote a name, whatever marks the language quotes with."""
    names_role, names_database = (
        bool(name) and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", message) is not None for name in (role, database)
    )
    if names_role == names_database:  # neither, or both are called the same
        return Refusal.SERVER_LIMIT
    return Refusal.ROLE_LIMIT if names_role else Refusal.DATABASE_LIMIT
