"""Who may look: this machine, or whoever has the token."""

from __future__ import annotations

from enum import Enum
from hashlib import sha256
from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import Final

from dbpool.core.loopback import host_of, is_loopback
from dbpool.errors import SettingsError
from dbpool.web.asgi import Scope, headers_named

SHORTEST: Final = 16  # characters of a token: too many to be guessed, so that tries need no limit
FORWARDED: Final = ("forwarded", "via", "x-real-ip", "x-client-ip", "true-client-ip", "cf-connecting-ip")
"""Headers, beside ``x-forwarded-...``, by which a proxy says whom it asks for."""


class Admission(Enum):
    """Whether one may look, and why not."""

    GRANTED = ""
    ELSEWHERE = (
        "Without a token this page is shown only to a browser on the machine itself, and this request came from "
        "elsewhere or through a proxy: give status_app a token."
    )
    MISSING = "This page needs a token."
    WRONG = "That is not the token."


class Access:
    """Decides who may look, by *token*, or without one by where a request comes from.

    Raises:
        SettingsError: the token is shorter than 16 characters or not printable ASCII.
    """

    def __init__(self, token: str | None) -> None:
        given: object = token  # which not everybody has checked
        if given is not None and not (isinstance(given, str) and given.isascii() and given.isprintable()):
            raise SettingsError("token must be a str of printable ASCII characters")
        if token is not None and (len(token) < SHORTEST or " " in token):
            raise SettingsError(
                f"token must have at least {SHORTEST} characters and no space: secrets.token_urlsafe() makes one"
            )
        self._token = None if token is None else sha256(token.encode()).digest()
        # Not the token itself: who sees the cookie cannot use it elsewhere. The name tells apart the cookies of two
        # pages on one host, as browsers do not tell its ports apart.
        self._cookie_name = (
            "" if token is None else f"dbpool_{hmac_digest(token.encode(), b'name', 'sha256').hex()[:8]}"
        )
        self._cookie = "" if token is None else hmac_digest(token.encode(), b"cookie", "sha256").hex()

    @property
    def has_token(self) -> bool:
        return self._token is not None

    def admission(self, scope: Scope) -> Admission:
        """Whether the request may be answered with what is the page's."""
        if self._token is None:
            return Admission.GRANTED if _is_local(scope) else Admission.ELSEWHERE
        for value in headers_named(scope, b"authorization"):
            kind, _, given = value.partition(" ")
            if kind.lower() == "bearer":
                return self.admission_by(given.strip())
        is_known = any(compare_digest(value.encode(), self._cookie.encode()) for value in self._cookies(scope))
        return Admission.GRANTED if is_known else Admission.MISSING

    def admission_by(self, given: str) -> Admission:
        """Whether *given* is the token; how long it takes says nothing of the token."""
        if self._token is None or not compare_digest(sha256(given.encode("utf-8", "replace")).digest(), self._token):
            return Admission.WRONG
        return Admission.GRANTED

    def cookie(self, scope: Scope) -> str:
        """What sets the cookie, for the folder that the page is in and for as long as the browser runs."""
        secure = "; Secure" if scope.get("scheme") == "https" else ""
        return f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Strict{secure}"

    def _cookies(self, scope: Scope) -> list[str]:
        found = []
        for header in headers_named(scope, b"cookie"):
            for part in header.split(";"):  # a browser may have one for each folder above
                name, _, value = part.strip().partition("=")
                if name == self._cookie_name:
                    found.append(value)
        return found


def _is_local(scope: Scope) -> bool:
    """Whether a client on this machine asks for itself.

    A proxy on this machine makes every client look local. Those that say whom they ask for are known by that, others
    by the name that was asked for, or by HTTP/1.0, which nginx speaks unless told otherwise. That name also keeps out
    pages of others that have a name of theirs point here (DNS rebinding).
    """
    client, server = scope.get("client"), scope.get("server")
    if not client or not server or not is_loopback(client[0]) or not is_loopback(server[0]):
        return False
    names = {name.decode("latin-1").lower() for name, _ in scope["headers"]}
    if any(name.startswith("x-forwarded") or name in FORWARDED for name in names):
        return False
    hosts = headers_named(scope, b"host")
    return len(hosts) == 1 and is_loopback(host_of(hosts[0])) and scope.get("http_version", "1.1") != "1.0"
