"""What was found out about a server; None is not known, and never guessed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from dbpool.core.loadtest.budget import Slots


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of ``pg_settings``: *raw* counts in the parameter's own unit, *shown* has a unit, as ``5min``."""

    raw: str
    shown: str

    @property
    def number(self) -> int | None:
        """None: it is no whole number."""
        return int(self.raw) if self.raw.lstrip("-").isdigit() else None


@dataclass(frozen=True, slots=True)
class Role:
    """Who we are, as ``pg_roles`` has it; *owned_tables* are those of this database, *owns_database* this database."""

    is_superuser: bool
    bypasses_rls: bool
    creates_roles: bool
    creates_databases: bool
    replicates: bool
    owns_database: bool | None = None
    owned_tables: int | None = None


@dataclass(frozen=True, slots=True)
class Transport:
    """Our own connection; *tls* is its version, as ``TLSv1.3``, None: not encrypted.

    Args:
        is_local: a unix socket, or this machine's loopback: nobody else hears it.
        is_certified: the other side's certificate was checked; *is_named*: the host's name in it, too.
        behind_pooler_tls: whether the pooler's own connection to the server is encrypted.
    """

    is_unix: bool
    is_local: bool
    tls: str | None = None
    is_certified: bool = False
    is_named: bool = False
    behind_pooler_tls: bool | None = None


@dataclass(frozen=True, slots=True)
class Pooler:
    """What stands between; *is_shared*: its server connections are shared between clients after each transaction.

    Args:
        keeps_prepared: it follows prepared statements from one server connection to the other.
        takes_transactions: False: it shares them after each statement already, and refuses BEGIN.
    """

    is_shared: bool | None = None
    keeps_prepared: bool | None = None
    takes_transactions: bool | None = None


@dataclass(frozen=True, slots=True)
class Tables:
    """dbpool's own tables; *revision* is where they are, *newest* what this version of dbpool has."""

    are_there: bool
    revision: str | None
    newest: str | None


@dataclass(frozen=True, slots=True)
class Clock:
    """*skew_s*: how far the server's clock is before ours, known to *off_s*."""

    skew_s: float
    off_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All of it.

    Args:
        is_pooled: another's server process answers than the one that the connection was told of.
        files: what this process may have open.
        round_trip_ms: median of a few statements; *connect_ms* for one connect.
    """

    version: str
    version_number: int
    role: str
    database: str
    today: date
    transport: Transport
    is_pooled: bool | None = None
    pooler: Pooler | None = None
    slots: Slots | None = None
    attributes: Role | None = None
    settings: Mapping[str, Setting] = field(default_factory=dict)
    is_standby: bool | None = None
    encoding: str | None = None
    has_jit: bool | None = None
    files: int | None = None
    tables: Tables | None = None
    clock: Clock | None = None
    round_trip_ms: float | None = None
    connect_ms: float | None = None

    def number(self, name: str) -> int | None:
        """A setting's number in its own unit; None: not there, or not visible."""
        found = self.settings.get(name)
        return None if found is None else found.number

    def text(self, name: str) -> str | None:
        """A setting as the server shows it."""
        found = self.settings.get(name)
        return None if found is None else found.shown
