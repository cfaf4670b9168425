"""Numbers in sentences, addresses out of them."""

from __future__ import annotations

import re


def counted(number: int, noun: str) -> str:
    """As ``1 lease`` or ``2 leases``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def without_addresses(text: str) -> str:
    """*text* with URL for each server's address in it: it may hold a password."""
    return re.sub(r"(?i)postgres(?:ql)?(?:\+\w+)?://(?:\S*@)?[^\s'\"]*", "URL", text)
