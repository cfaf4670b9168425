"""The address of a database, which keeps its password to itself."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from dbpool.errors import SettingsError
from dbpool.hosts import named_by, without_order

SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


def is_printable(text: str) -> bool:
    """Whether *text* has neither control characters nor lone surrogates."""
    return not any(ord(c) < 32 or 0xD800 <= ord(c) <= 0xDFFF for c in text)


def parameters_of(query: str) -> dict[str, str]:
    """What stands behind an address's ``?``, as the driver reads it: the last value that is not empty, if any.

    Raises:
        ValueError: it cannot be read.
    """
    said = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    return dict(sorted(said, key=lambda each: each[1] != ""))


class Dsn:
    """A ``postgresql://`` address that never prints its password.

    Raises:
        SettingsError: it cannot be parsed; the message does not quote it.
    """

    __slots__ = ("_text", "database", "host", "named", "parameters", "user")

    def __init__(self, text: str) -> None:
        if not isinstance(text, str):
            raise SettingsError(
                f"the DSN must be a str like postgresql://user@host/database, not {type(text).__name__}"
            )
        self._text = text
        problem = self._read(text)
        if problem is not None:
            raise SettingsError(
                f"malformed DSN: {problem}. It looks like postgresql://user:password@host:5432/database"
            )

    def reveal(self) -> str:
        """The whole address, password included: for the driver only."""
        return self._text

    def _read(self, text: str) -> str | None:
        """Fill the public parts; return what is wrong, in words that quote nothing."""
        if not is_printable(text):
            return "it has a control character or a lone surrogate"
        try:
            parts = urlsplit(text)
            query = parameters_of(parts.query)
        except ValueError:
            return "it is not a URL"
        if parts.scheme not in ("postgresql", "postgres"):
            return "it must begin with postgresql:// or postgres://"
        if not text.startswith(f"{parts.scheme}://"):
            return "two slashes must follow the scheme"
        userinfo, _, hosts = parts.netloc.rpartition("@")
        if "#" in text or "@" in userinfo + parts.path + parts.query:
            return "a reserved character stands where it cannot: write '@' as %40, '/' as %2F, '?' as %3F, '#' as %23"
        for host in hosts.split(","):
            port = host.rpartition("]")[2].partition(":")[2] if "[" in host else host.partition(":")[2]
            if port and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
                return "a port is not a number from 1 to 65535; in a password write '@' as %40, '/' as %2F"
        if query.get("sslmode", "prefer").replace("_", "-") not in SSL_MODES:
            return f"sslmode is none of {', '.join(SSL_MODES)}"
        named = named_by(hosts, query)
        if isinstance(named, str):
            return named
        self.named = named
        if named.order is not None:  # the driver would take it for a parameter of the server
            self._text = parts._replace(query=without_order(parts.query)).geturl()
        self.parameters = frozenset(query)
        self.user = unquote(userinfo.partition(":")[0]) or query.get("user", "")
        self.host = unquote(hosts) or query.get("host", "")
        self.database = unquote(parts.path[1:]) or query.get("dbname", query.get("database", "")) or self.user
        return None

    def __repr__(self) -> str:
        return f"<Dsn of {self.database or 'the default database'} at {self.host or 'the default host'}>"

    def __reduce__(self) -> tuple[Any, ...]:
        raise TypeError("a Dsn holds a password and cannot be pickled")
