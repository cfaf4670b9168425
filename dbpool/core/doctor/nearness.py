"""How far the server is: round trips, clocks; and dbpool's own tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from dbpool.core.doctor.facts import Facts
from dbpool.core.doctor.findings import Finding, Level, ok, unknown

FAR_MS: Final = 10.0  # a page of thirty statements then waits 0.3 s for the network alone
SKEW_S: Final = 1.0


def look_at_nearness(facts: Facts) -> Iterator[Finding]:
    """Round trip and clock."""
    if facts.round_trip_ms is None:
        yield unknown("network.round_trip", "how long a round trip takes")
    elif facts.round_trip_ms > FAR_MS:
        yield Finding(
            "network.round_trip",
            Level.ADVICE,
            f"a round trip takes {facts.round_trip_ms:.1f} ms",
            "Each statement waits at least so long, and in a transaction each holds its connection meanwhile.",
            "Run the application nearer to the server; fewer statements: db.map, db.insert, fetch_all, joins",
        )
    else:
        yield ok("network.round_trip", f"a round trip takes {facts.round_trip_ms:.2f} ms")
    if facts.clock is None:
        yield unknown("network.clock", "how far the clocks are apart")
    elif abs(facts.clock.skew_s) - facts.clock.off_s > SKEW_S:
        way = "ahead of" if facts.clock.skew_s > 0 else "behind"
        yield Finding(
            "network.clock",
            Level.WARNING,
            f"the server's clock is {abs(facts.clock.skew_s):.1f} s {way} this machine's",
            "Times that the one writes and the other compares are wrong by that: expiry, leases, 'newer than'.",
            "Have both set by NTP (chrony, systemd-timesyncd)",
        )
    else:
        yield ok(
            "network.clock",
            f"the clocks agree to {max(abs(facts.clock.skew_s) + facts.clock.off_s, 0.001) * 1000:.0f} ms",
        )


def look_at_tables(facts: Facts) -> Iterator[Finding]:
    """Whether db.job() finds its tables."""
    tables = facts.tables
    if tables is None:
        yield unknown("tables.jobs", "dbpool's own tables")
    elif not tables.are_there:
        yield ok("tables.jobs", "dbpool's tables are not here; only db.job() needs them (dbpool migrate up)")
    elif tables.revision is None or tables.newest is None:
        yield unknown("tables.jobs", "dbpool's tables are here, but at which revision they are")
    elif tables.revision < tables.newest:
        yield Finding(
            "tables.jobs",
            Level.WARNING,
            f"dbpool's tables are at revision {tables.revision}, this version has {tables.newest}",
            "Jobs may not find what they need.",
            "dbpool migrate up",
        )
    elif tables.revision > tables.newest:
        yield Finding(
            "tables.jobs",
            Level.WARNING,
            f"dbpool's tables are at revision {tables.revision}, newer than this version's {tables.newest}",
            "A newer dbpool works with this database; this one may not know its tables.",
            "pip install --upgrade dbpool",
        )
    else:
        yield ok("tables.jobs", f"dbpool's tables are at revision {tables.revision}, the newest")
