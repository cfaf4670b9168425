"""How well a connection must be protected, by where it goes and by what was asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from dbpool.core.loopback import is_loopback

SAFE: Final = "verify-full"
# Nobody stands between two ends on one machine, and servers there seldom have TLS: as libpq does.
NEAR: Final = "prefer"

_WEAKER: Final = {
    "verify-ca": "the name in the server's certificate is not checked: whoever has one of the same authority can pose "
    "as the server",
    "require": "they are encrypted, but the server's certificate is not checked: whoever can redirect them can pose "
    "as the server, and be sent all that it would be",
}
_UNPROTECTED: Final = "whoever is on the way can read and change what goes over them, and pose as the server"


def is_near(host: str) -> bool:
    """Whether *host* is a unix socket's folder, or can be nothing but this machine.

    A name that only resolves to it, but for ``localhost``, is another's tomorrow; a private address is another machine.
    """
    return host.startswith("/") or is_loopback(host)


def mode_for(hosts: Iterable[str]) -> str:
    """The sslmode where none is asked for: it holds for all of *hosts*, so the farthest decides."""
    return NEAR if all(map(is_near, hosts)) else SAFE


def is_unprotected(mode: str) -> bool:
    """Whether *mode* keeps nobody out."""
    return mode in ("disable", "allow", "prefer")


def weakness(mode: str, hosts: Iterable[str], said_by: str) -> str | None:
    """What *mode* leaves open on the way to those of *hosts* that are another machine; None: nothing.

    Args:
        said_by: where it was asked for.
    """
    far = [host for host in hosts if not is_near(host)]
    if mode == SAFE or not far:
        return None
    open_to = _WEAKER.get(mode, _UNPROTECTED)
    return f"connections to {', '.join(far)} are weaker than {SAFE} ({said_by} says {mode}): {open_to}"
