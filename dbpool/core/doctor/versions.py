"""Until when PostgreSQL's versions get fixes: https://www.postgresql.org/support/versioning/ (as of 2026-11)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from typing import Final

from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding, Level, ok, unknown

FINAL_RELEASE: Final = {
    10: date(2022, 11, 10),
    11: date(2023, 11, 9),
    12: date(2024, 11, 21),
    13: date(2025, 11, 13),
    14: date(2026, 11, 12),
    15: date(2027, 11, 11),
    16: date(2028, 11, 9),
    17: date(2029, 11, 8),
    18: date(2030, 11, 14),
}
_SOON_DAYS: Final = 180


def look_at_version(facts: Facts) -> Iterator[Finding]:
    """Whether the major version still gets fixes; which minor version is the newest cannot be known from here."""
    major = facts.version_number // 10_000
    name, last = f"PostgreSQL {facts.version}", FINAL_RELEASE.get(major)
    if major < min(FINAL_RELEASE):
        last = min(FINAL_RELEASE.values())
    if last is None:
        yield unknown("version.support", f"{name}: until when it is supported is not known to this version of dbpool")
        return
    left = (last - facts.today).days
    if left < 0:
        yield Finding(
            "version.support",
            Level.WARNING,
            f"{name} has had no fixes since {last:%Y-%m-%d}",
            "Holes that are found in it stay open.",
            "Upgrade to a supported major version (pg_upgrade, or logical replication).",
        )
    elif left < _SOON_DAYS:
        yield Finding(
            "version.support",
            Level.ADVICE,
            f"{name} gets its last fixes on {last:%Y-%m-%d}",
            "After that day holes that are found in it stay open.",
            "Plan the upgrade to a newer major version.",
        )
    else:
        yield ok("version.support", f"{name}, supported until {last:%Y-%m-%d}")
