"""Addresses with a password in them, good and broken in every way that people break them."""

from __future__ import annotations

import random
from typing import Final

CANARY: Final = "Zk7Qx9hunter2canary"
"""A password that nothing else would ever say."""

_SCHEMES = (
    "postgresql://",
    "postgres://",
    "postgresql+asyncpg://",
    "postgresql:",
    "postgresql:/",
    "mysql://",
    "",
    "://",
)
_USERS = ("app", "app%40x", "", "ü", "a b")
_BEFORE = (
    "",
    "p",
    "@",
    "/",
    "?",
    "#",
    ":",
    "%",
    "%zz",
    "%40",
    "[",
    "]",
    "é",
    "\n",
    "\0",
    "\ud800",
    "&",
    "=",
    " ",
    "\\",
)
_HOSTS = (
    "127.0.0.1:1",
    "localhost:1",
    "[::1]:1",
    "",
    "127.0.0.1:1,127.0.0.1:2",
    "127.0.0.1:port",
    "[::1",
    "127.0.0.1:99999",
)
_PATHS = ("/shop", "", "/", "/shop/x", "/%2F", "/shop?", "/shop#x")
_OPTIONS = (
    "sslmode=disable", "sslmode=nope", "sslmode=", "application_name=x", "options=-c%20a%3Db", "x", "=", "&&", "port=x",
    "target_session_attrs=any", "target_session_attrs=nope", "load_balance_hosts=nope", "sslrootcert=/nowhere/ca.pem",
    "sslmode=verify-full", "command_timeout=5", "host=127.0.0.1&port=1", "user=app", "service=none", "passfile=/x",
    "ssl_min_protocol_version=SSLv3", "krbsrvname=x", "gsslib=x", "sslnegotiation=x", "sslpassword={}", "password={}",
    "PASSWORD={}", "password={}%zz", "user={}&port={}", "host={}:{}", "port={}", "sslmode={}", "dbname={}", "{}={}",
)  # fmt: skip


def address(rng: random.Random) -> str:
    """One with the canary in it at least once, whole."""
    secret = "".join((rng.choice(_BEFORE), CANARY, rng.choice(_BEFORE)))
    userinfo = rng.choice(
        (f"{rng.choice(_USERS)}:{secret}@", f"{secret}@", f":{secret}@", f"app:{secret}", f"{secret}:")
    )
    options = "&".join(rng.choice(_OPTIONS).replace("{}", secret) for _ in range(rng.choice((0, 0, 1, 2))))
    path = rng.choice(_PATHS)
    text = "".join((rng.choices(_SCHEMES, (12, 4, 4, 1, 1, 1, 1, 1))[0], userinfo, rng.choice(_HOSTS), path))
    if options:
        text += ("&" if "?" in path else "?") + options
    for _ in range(rng.choice((0, 0, 0, 1, 2))):
        text = _spoilt(text, rng)
    return text


def good(rng: random.Random, port: int = 1) -> str:
    """One that every driver can read, of a server at *port* of loopback."""
    more = rng.choice(("", "?sslmode=disable", "?application_name=x", "?sslmode=prefer"))
    if rng.random() < 0.3:
        return f"postgresql://app@127.0.0.1:{port}/shop{more}{'&' if more else '?'}password={CANARY}"
    return f"postgresql://app:{CANARY}@127.0.0.1:{port}/shop{more}"


def _spoilt(text: str, rng: random.Random) -> str:
    """With one character more or less, outside the canary."""
    at = rng.randrange(len(text) + 1)
    place = text.find(CANARY)
    if place < at < place + len(CANARY):
        at = place
    if rng.random() < 0.5:
        return text[:at] + rng.choice("@/?#:[]%&=,\\ \t\n'\"é\0") + text[at:]
    return text if text[at : at + 1] == CANARY[0] else text[:at] + text[at + 1 :]
