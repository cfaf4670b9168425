"""The servers that an address names, and what kind of server will do."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple, overload
from urllib.parse import quote, unquote, urlsplit

from dbpool.errors import SettingsError

TARGET, ORDER = "target_session_attrs", "load_balance_hosts"  # as settings and in an address


class Target(Enum):
    """What a server must be for a connection to it to be used: libpq's ``target_session_attrs``."""

    ANY = "any"
    READ_WRITE = "read-write"  # sessions there can write: no standby, nor read-only by default
    READ_ONLY = "read-only"
    PRIMARY = "primary"
    STANDBY = "standby"
    PREFER_STANDBY = "prefer-standby"  # a standby if one can be had, else whatever there is

    def unsuited(self, *, in_recovery: bool, reads_only: bool) -> str | None:
        """Why a server will not do, in words; None if it will. *reads_only*: by default, or as a standby must."""
        found = "a standby" if in_recovery else "a primary that is read-only by default" if reads_only else "a primary"
        match self:
            case Target.READ_WRITE:
                suits = not in_recovery and not reads_only
            case Target.READ_ONLY:
                suits = in_recovery or reads_only
            case Target.PRIMARY:
                suits = not in_recovery
            case Target.STANDBY | Target.PREFER_STANDBY:
                suits = in_recovery
            case _:
                suits = True
        return None if suits else f"it is {found}"

    @property
    def is_of_no_primary(self) -> bool:
        """Whether a server that takes no writes is what is asked for."""
        return self in (Target.READ_ONLY, Target.STANDBY, Target.PREFER_STANDBY)

    @property
    def is_of_a_primary(self) -> bool:
        """Whether no standby will do."""
        return self in (Target.READ_WRITE, Target.PRIMARY)


class Order(Enum):
    """In which order the servers of an address are tried: libpq's ``load_balance_hosts``."""

    DISABLE = "disable"  # the one that answered last, then as they stand in the address
    RANDOM = "random"  # anew for each connection, which spreads them evenly


class Host(NamedTuple):
    """A server's name or the directory of its socket, and its port; None: the driver's default."""

    name: str
    port: int | None

    def __str__(self) -> str:
        name = f"[{self.name}]" if ":" in self.name else self.name
        return name if self.port is None else f"{name}:{self.port}"


class Named(NamedTuple):
    """What an address says of its servers."""

    hosts: tuple[Host, ...]  # in order; none: the driver finds one
    target: Target | None
    order: Order | None


def named_by(netloc: str, query: Mapping[str, str]) -> Named | str:
    """What an address names, by what stands before its path and behind its ``?``; or what is wrong with it, in words.

    The words quote nothing of it.
    """
    target, order = query.get(TARGET), query.get(ORDER)
    if target is not None and target not in {each.value for each in Target}:
        return f"{TARGET} is none of {', '.join(each.value for each in Target)}"
    if order is not None and order not in {each.value for each in Order}:
        return f"{ORDER} is none of {', '.join(each.value for each in Order)}"
    try:
        hosts = _hosts_of(netloc, query)
    except ValueError:
        return "its ports do not fit its hosts: there must be one, or one for each host"
    if len(hosts) > 1 and not all(host.name for host in hosts):
        return "one of its hosts is empty: a comma too many, or a name too few"
    return Named(hosts, None if target is None else Target(target), None if order is None else Order(order))


def without_order(query: str) -> str:
    """What stands behind an address's ``?`` but for ``load_balance_hosts``."""
    return "&".join(part for part in query.split("&") if unquote(part.partition("=")[0]) != ORDER)


@overload
def chosen(setting: object, of_address: Target | None) -> Target | None: ...
@overload
def chosen(setting: object, of_address: Order | None, kind: type[Order]) -> Order | None: ...
def chosen(
    setting: object, of_address: Target | Order | None, kind: type[Target] | type[Order] = Target
) -> Target | Order | None:
    """What a setting says, else the address.

    Raises:
        SettingsError: the setting is none of *kind*.
    """
    try:
        return of_address if setting is None else kind(setting)
    except ValueError:
        name = TARGET if kind is Target else ORDER
        known = ", ".join(repr(each.value) for each in kind)
        raise SettingsError(f"{name} must be one of {known}, not {setting!r}") from None


def _hosts_of(netloc: str, query: Mapping[str, str]) -> tuple[Host, ...]:
    texts, ports = (netloc, "") if netloc else (query.get("host", ""), query.get("port", ""))  # as the driver has it
    if not texts:
        return ()
    named = [_parts(text) for text in texts.split(",")]
    given = ports.split(",") if ports else [port for _, port in named]
    if len(given) == 1:
        given = given * len(named)
    return tuple(Host(name, int(port) if port else None) for (name, _), port in zip(named, given, strict=True))


def _parts(text: str) -> tuple[str, str]:
    """A host and its port; IPv6 addresses stand in brackets."""
    if text.startswith("/"):
        return text, ""
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return name, rest.removeprefix(":")
    name, _, port = text.partition(":")
    return unquote(name), port


def address_of(address: str, host: Host) -> str:
    """The same address for one of its servers alone, of which nothing is asked."""
    parts = urlsplit(address)
    who, at, _ = parts.netloc.rpartition("@")
    dropped = {"host", "port", TARGET, ORDER}
    query = "&".join(part for part in parts.query.split("&") if unquote(part.partition("=")[0]) not in dropped)
    if host.name.startswith("/"):
        where = "host=" + quote(host.name, safe="") + ("" if host.port is None else f"&port={host.port}")
        return parts._replace(netloc=who + at, query=f"{query}&{where}".removeprefix("&")).geturl()
    return parts._replace(netloc=f"{who}{at}{host}", query=query).geturl()
