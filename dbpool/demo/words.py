"""Numbers as a person reads them."""

from __future__ import annotations


def seconds(value: float) -> str:
    """Such as ``0.17 ms``, ``0.32 s`` or ``12.3 s``."""
    if value < 0.01:
        return milliseconds(value * 1000)
    return f"{value:.2f} s" if value < 10 else f"{value:,.1f} s"


def milliseconds(value: float) -> str:
    """Such as ``0.42 ms`` or ``163 ms``."""
    return f"{value:.2f} ms" if value < 10 else f"{value:,.0f} ms"


def money(cents: int) -> str:
    """Such as ``1,234.50``."""
    return f"{cents / 100:,.2f}"


def percent(share: float) -> str:
    """Such as ``24.8 %``, from 0.248."""
    return f"{share * 100:.1f} %"


def count(number: int, thing: str) -> str:
    """Such as ``1 connection`` or ``2,000 callers``."""
    return f"{number:,} {thing}{'' if number == 1 else 's'}"
