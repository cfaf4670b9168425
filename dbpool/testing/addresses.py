"""DSNs that differ in one part."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, parse_qsl, quote, urlencode, urlsplit


def dsn_of_database(dsn: str, database: str) -> str:
    """The same DSN for another database."""
    return re.sub(r"^(\w+://[^/?]*)(/[^?]*)?", lambda found: f"{found[1]}/{quote(database, safe='')}", dsn)


def dsn_with(dsn: str, *, user: str = "", password: str = "", address: str = "") -> str:
    """The same DSN for another user, or by way of another ``host:port``."""
    parts = urlsplit(dsn)
    who, _, where = parts.netloc.rpartition("@")
    if user:
        who = quote(user, safe="") + (":" + quote(password, safe="") if password else "")
    if address and "host=" in parts.query:  # it would be a second one
        rest = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("host", "port")]
        parts = parts._replace(query=urlencode(rest))
    return parts._replace(netloc=f"{who}@{address or where}").geturl()


def address_of(parts: SplitResult) -> tuple[str, int] | Path:
    """Where the server of a DSN is: host and port, or the path of its unix socket."""
    asked = parse_qs(parts.query)
    host = (asked.get("host") or [parts.hostname or "127.0.0.1"])[0]
    port = int((asked.get("port") or [str(parts.port or 5432)])[0])
    return Path(host) / f".s.PGSQL.{port}" if host.startswith("/") else (host, port)
