"""Numbers in sentences."""

from __future__ import annotations


def counted(number: int, noun: str) -> str:
    """As ``1 lease`` or ``2 leases``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
