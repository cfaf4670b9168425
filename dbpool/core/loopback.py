"""Names that can mean nothing but this machine."""

from __future__ import annotations

from ipaddress import ip_address


def host_of(authority: str) -> str:
    """``[::1]:80`` without its port, and without brackets."""
    if authority.startswith("["):
        return authority[1:].partition("]")[0]
    return authority.partition(":")[0]


def is_loopback(host: str) -> bool:
    """Whether *host* can be nothing but this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
