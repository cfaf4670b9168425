"""What a pool is told once, checked at once."""

from __future__ import annotations

import os
import ssl
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import Any, TypeAlias

from dbpool.dsn import SSL_MODES, Dsn, is_printable
from dbpool.errors import SettingsError
from dbpool.hosts import Order, Target, chosen
from dbpool.poolermode import Pooler, pooler_named
from dbpool.variables import number, refuse_misspelt, strings_by_name, switch

LONGEST_S = 1e9  # thirty years: what an event loop's clock can surely add

Login: TypeAlias = str | tuple[str, str]  # a password, or user and password
AskCredentials: TypeAlias = Callable[[], Login | Awaitable[Login]]


def positive_seconds(value: object, what: str) -> float:
    """Check a time-out: a finite number of seconds above zero.

    Raises:
        SettingsError: it is zero, negative, NaN, infinite, a bool or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value <= LONGEST_S:
        raise SettingsError(f"{what} must be a finite number of seconds above 0, at most 1e9, not {value!r}")
    return float(value)


def seconds_from_zero(value: object, what: str) -> float:
    """Check a number of seconds that may be 0.

    Raises:
        SettingsError: it is negative, NaN, infinite, a bool or not a number.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= LONGEST_S:
        raise SettingsError(f"{what} must be a finite number of seconds, 0 to 1e9, not {value!r}")
    return float(value)


def whole_number(value: object, what: str, at_least: int) -> int:
    """Check a count.

    Raises:
        SettingsError: it is not an int, or less than *at_least*.
    """
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise SettingsError(f"{what} must be a whole number of at least {at_least}, not {value!r}")
    return value


class Reset(Enum):
    """When a connection gets its session state back before the next caller sees it."""

    SMART = "smart"  # when a statement was not proven unable to change it
    ALWAYS = "always"
    NEVER = "never"  # the caller promises to leave no state behind


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolSettings:
    """Everything a pool can be told. Times are seconds; every one of them is finite.

    Raises:
        SettingsError: a value is out of range, or two contradict each other.
    """

    dsn: Dsn = field(repr=False)
    """The server's address: ``postgresql://user:password@host:5432/database``."""
    target_session_attrs: Target | str | None = None
    """Which server will do: ``any``, ``read-write``, ``primary``, ``standby`` ...; None: as the address says."""
    load_balance_hosts: Order | str | None = None
    """``random``: its servers are tried in random order; ``disable``: in its own; None: as the address says."""
    credentials: AskCredentials | None = field(default=None, repr=False)
    """Asked for the password, or for (user, password), when a connection is opened; may be a coroutine function."""
    credentials_ttl: float = 900.0
    """How long an answer is used again; one that the server refuses is asked for anew at once."""
    max_connections: int = 5
    """The bound; ``listen`` has one more, ``replicas`` its own, and a look for another server one for a moment."""
    min_connections: int = 0
    """Connections opened by ``open`` (at least one is) and kept when idle."""
    max_waiting: int | None = None
    """Callers in line before newcomers are refused with LineFull; None: no limit."""
    fleet_budget: int | None = None
    """Connections that all processes with a pool of this ``name`` on this database share; None: each has its own."""
    fleet_members: int = 8
    """Such processes at the most: of the budget each has one connection to see the others by."""
    name: str = ""
    """Stands in every message and in ``application_name``'s default; the database's name when empty."""

    acquire_timeout: float = 30.0
    """For a permit and a connection, when a call has no ``timeout`` of its own."""
    query_timeout: float = 60.0
    """For each statement, when a call has no ``timeout`` of its own."""
    connect_timeout: float = 10.0
    """For each attempt to open a connection."""
    reset_timeout: float = 5.0
    """For a session's reset, a ROLLBACK, or the answer to a cancel, before the connection is closed instead."""
    close_timeout: float = 10.0
    """For ``close`` to let leases end before they are cut off."""
    quarantine_timeout: float = 10.0
    """For the backend of a connection that was cut off to end, before its permit is free all the same."""
    outage_patience: float = 1.0
    """How long connecting must have failed before callers are refused at once with the cause."""

    max_connecting: int = 3
    """Connections being opened at the same time."""
    max_lifetime: float = 3600.0
    """A connection older than this (less up to 10 % at random) is closed when it is next idle."""
    max_idle: float = 300.0
    """A connection above ``min_connections`` that nobody used for so long is closed."""
    keepalive: float = 60.0
    """An idle connection of which nothing was heard for so long is asked whether it lives."""
    leak_after: float | None = None
    """A lease held for longer is reported, with where it was asked for and where its task stands; None: none is."""
    slow_query: float | None = None
    """A statement that takes longer is told as SlowQuery, with where it was asked for; None: none is."""
    slow_acquire: float | None = None
    """A caller that waits longer for a connection is told as SlowAcquire; None: none is."""

    deadline_aware: bool = False
    """Refuse a caller with Overloaded at once if, at the pace of the holders, it would wait for longer than it may."""
    adaptive: bool = False
    """Use fewer connections than ``max_connections`` while that gets as much or more done; found by trying."""
    coalesce: bool = False
    """Answer reading calls of one text that wait in line by one statement together."""
    warn_nested: bool = False
    """Warn (NestedAcquire) of a task that asks for a connection while one is out that it asked for."""

    reset: Reset = Reset.SMART
    """``smart``: when a statement was not proven unable to change the session; ``always``; ``never``."""
    trusted_functions: frozenset[str] = frozenset()
    """Functions of yours that change no session state, as ``"name"`` or ``"schema.name"``."""
    statement_cache_size: int = 100
    """Prepared statements kept for each connection; none behind a pooler that cannot keep them."""
    pooler: Pooler | None = None
    """What is in between, as PgBouncer is: ``transaction``, ``session``, ``none``; None: found out by trying."""
    server_settings: Mapping[str, str] = field(default_factory=dict)
    """Parameters of each session, such as ``statement_timeout``; in a variable, a JSON object."""
    ssl: ssl.SSLContext | str | bool | None = None
    """TLS: ``disable`` to ``verify-full``, or a context; None: as the address says, else by where it leads."""

    def __post_init__(self) -> None:
        put = object.__setattr__  # frozen: only here
        if not isinstance(self.dsn, Dsn):
            put(self, "dsn", Dsn(self.dsn))
        self._check_numbers()
        try:
            put(self, "reset", Reset(self.reset))
        except ValueError:
            raise SettingsError(f"reset must be 'smart', 'always' or 'never', not {self.reset!r}") from None
        put(self, "pooler", pooler_named(self.pooler))
        put(self, "target_session_attrs", chosen(self.target_session_attrs, self.dsn.named.target))
        put(self, "load_balance_hosts", chosen(self.load_balance_hosts, self.dsn.named.order, Order))
        self._check_fleet()
        put(self, "trusted_functions", _names(self.trusted_functions, "trusted_functions"))
        if not isinstance(self.server_settings, Mapping):
            raise SettingsError(f"server_settings must map names to strings, not {type(self.server_settings).__name__}")
        for text in _names([*self.server_settings, *self.server_settings.values()], "server_settings"):
            if not is_printable(text):
                raise SettingsError("server_settings hold a control character or a lone surrogate")
        if "" in self.server_settings:
            raise SettingsError("server_settings hold an empty name")
        if not isinstance(self.name, str):
            raise SettingsError(f"name must be a str, not {self.name!r}")
        put(self, "name", self.name or self.dsn.database or "default")

    def _check_fleet(self) -> None:
        """Each server keeps the locks of its own sessions only: members at several would each have the whole budget."""
        target = self.target_session_attrs
        is_of_one = len(self.dsn.named.hosts) < 2 or (isinstance(target, Target) and target.is_of_a_primary)
        if self.fleet_budget is not None and not is_of_one:
            raise SettingsError(
                "fleet_budget needs one server for all members: with an address of several it needs "
                "target_session_attrs='read-write' or 'primary'"
            )

    def _check_numbers(self) -> None:
        put = object.__setattr__
        if self.credentials is not None and not callable(self.credentials):
            raise SettingsError(f"credentials must be a function, not {type(self.credentials).__name__}")
        whole_number(self.max_connections, "max_connections", 1)
        whole_number(self.min_connections, "min_connections", 0)
        whole_number(self.max_connecting, "max_connecting", 1)
        whole_number(self.statement_cache_size, "statement_cache_size", 0)
        if self.max_waiting is not None:
            whole_number(self.max_waiting, "max_waiting", 0)
        whole_number(self.fleet_members, "fleet_members", 1)
        budget = self.fleet_budget
        if budget is not None and whole_number(budget, "fleet_budget", 3) <= 2 * self.fleet_members:
            raise SettingsError(
                f"fleet_budget ({budget}) must be more than twice fleet_members ({self.fleet_members}): each has one "
                f"connection to see the others by and one for its callers, and one is kept for a newcomer"
            )
        for name in _SECONDS:
            put(self, name, positive_seconds(getattr(self, name), name))
        for name in _SWITCHES:
            if not isinstance(getattr(self, name), bool):
                raise SettingsError(f"{name} must be True or False, not {getattr(self, name)!r}")
        for name in _OPTIONAL_SECONDS:
            if getattr(self, name) is not None:
                put(self, name, positive_seconds(getattr(self, name), name))
        if self.min_connections > self.max_connections:
            raise SettingsError(
                f"min_connections ({self.min_connections}) is above max_connections ({self.max_connections})"
            )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, prefix: str = "") -> PoolSettings:
        """Settings from a mapping of the field names above, as a configuration file or a settings model gives.

        Args:
            values: ``dsn`` may be pydantic's PostgresDsn or SecretStr, or SQLAlchemy's URL; one that names a driver, as
                ``postgresql+asyncpg://`` does, is taken without it.
            prefix: if given, only names that begin with it are read, as ``db_`` of ``db_max_connections``.
        Raises:
            SettingsError: an unknown name, or ``dsn`` is missing.
        """
        values = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            known = ", ".join(sorted(f.name for f in fields(cls)))
            named = ", ".join(repr(prefix + name) for name in unknown)
            raise SettingsError(f"unknown setting {named}; known are: {known}")
        if not isinstance(values.get("dsn"), str) or "+" in values["dsn"].partition(":")[0]:
            from dbpool.addresses import plain_address

            values["dsn"] = plain_address(values.get("dsn"))
        if not values["dsn"]:
            raise SettingsError("no DSN: give postgresql://user:password@host:5432/database, or set DATABASE_URL")
        return cls(**values)

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        prefix: str = "DBPOOL_",
        url: str = "DATABASE_URL",
        defaults: Mapping[str, Any] | None = None,
    ) -> PoolSettings:
        """Settings from ``DATABASE_URL`` and, for every other field, ``DBPOOL_`` and its name in capitals.

        A variable that is empty counts as unset. Numbers are seconds or counts; switches are true or false, yes or no,
        on or off, 1 or 0; trusted functions have commas between; server settings are a JSON object.

        Args:
            environ: None: the process's.
            prefix: of the variables, for the second pool of a program.
            url: the variable with the address.
            defaults: values by field name, for what no variable says; ``credentials`` can only be given here.
        Raises:
            SettingsError: the address is missing, a value does not parse, or a name is nearly that of a setting.
        """
        environ = os.environ if environ is None else environ
        variables = {prefix + f.name.upper(): f.name for f in fields(cls)}
        values: dict[str, Any] = dict(defaults or {})
        if address := environ.get(url, "").strip():  # files and secrets end with a line break
            values["dsn"] = address
        for variable, text in environ.items():
            if (name := variables.get(variable)) is not None:
                if text.strip():
                    values[name] = _read(text.strip(), variable, name, url)
            elif variable.startswith(prefix):
                refuse_misspelt(variable, list(variables))
        if not values.get("dsn"):
            raise SettingsError(f"no DSN: set {url} to postgresql://user:password@host:5432/database")
        return cls.from_mapping(values)


_TEXTS = ("load_balance_hosts", "name", "pooler", "reset", "ssl", "target_session_attrs")
_SECONDS = tuple(f.name for f in fields(PoolSettings) if f.type == "float")
_OPTIONAL_SECONDS = tuple(f.name for f in fields(PoolSettings) if f.type == "float | None")
_SWITCHES = tuple(f.name for f in fields(PoolSettings) if f.type == "bool")
_COUNTS = tuple(f.name for f in fields(PoolSettings) if f.type in ("int", "int | None"))


def _names(values: object, what: str) -> frozenset[str]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise SettingsError(f"{what} must be a collection of strings, not {type(values).__name__}")
    names = list(values)
    for name in names:
        if not isinstance(name, str):
            raise SettingsError(f"{what} must hold strings only, not {type(name).__name__}")
    return frozenset(names)


def _read(text: str, variable: str, name: str, url: str) -> object:
    """The value of a setting as a variable says it."""
    if name == "dsn":
        raise SettingsError(f"{variable} is not read: the DSN goes into {url}")
    if name == "credentials":
        raise SettingsError(f"{variable} is not read: credentials are a function, given in the program")
    if name in _SWITCHES:
        return switch(text, variable)
    if name == "trusted_functions":
        return frozenset(filter(None, map(str.strip, text.split(","))))
    if name == "server_settings":
        return strings_by_name(text, variable)
    if name == "ssl" and text not in SSL_MODES:
        raise SettingsError(f"{variable} must be one of {', '.join(SSL_MODES)}, not {text!r}")
    return text if name in _TEXTS else number(text, variable, is_whole=name in _COUNTS)
