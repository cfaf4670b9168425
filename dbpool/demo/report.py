"""The numbers of one showing, and whether the pool kept its word."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What ``dbpool demo --json`` prints, under the names of these fields; they stay as they are.

    ``_s`` is seconds, ``_ms`` milliseconds, ``_per_s`` a rate, ``_share`` a part of one, ``_cents`` money. The document
    begins with ``ok``, true if ``problems`` is empty.
    """

    dbpool_version: str
    server_version: str
    embedded: bool
    """Whether the server was started for this showing."""
    seed: int
    bound: int
    """The most connections that the pool may have: ``--connections``."""
    callers: int

    first_result_s: float
    """From the start of the command to the rows of a first query."""
    total_s: float
    """From the start of the command until everything was shown, before cleaning up."""

    orders: int
    customers: int
    load_s: float
    load_rows_per_s: float
    dataset_checksum: str
    """Of what the server has stored, in hexadecimal; the same for the same ``--seed`` and ``--orders``."""

    queries: int
    queries_s: float
    """How long the parallel queries took; the last of them began before ``--seconds`` were over."""
    throughput_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    longest_ms: float
    """Latencies as a caller sees them, waiting for a connection included."""
    waited: int
    """Queries that had to stand in line."""
    waited_share: float
    """Of all the time that callers spent on queries, the part spent in line."""

    server_connections_max: int
    """The most connections of the pool that the server itself counted, in ``pg_stat_activity``."""
    server_connections_looks: int
    """How often it was asked."""
    handed_on: int
    """Connections that went straight from one caller to the next."""
    resets: int
    """Times that a session was reset, since a statement might have changed it."""
    discarded: int
    """Connections closed before the end."""

    transfers: int
    transfer_retries: int
    """Transactions run again after a conflict with another one."""
    balance_before_cents: int
    balance_after_cents: int

    acquire_timeout_message: str
    acquire_timeout_s: float
    line_full_message: str
    line_full_s: float
    served_in_line: int
    """Callers in line at the exhausted pool who got their connection afterwards."""

    expected_orders: int

    def problems(self) -> list[str]:
        """What went against the pool's promises, a sentence each."""
        found = []
        if self.server_connections_max > self.bound:
            found.append(f"The server counted {self.server_connections_max} connections; the bound is {self.bound}.")
        if self.balance_after_cents != self.balance_before_cents:
            found.append(
                f"The accounts held {self.balance_before_cents} cents before the transfers and "
                f"{self.balance_after_cents} after them."
            )
        if self.orders != self.expected_orders:
            found.append(f"{self.expected_orders} orders were sent, and the server has {self.orders}.")
        return found

    def as_json(self) -> str:
        """One document; times to a microsecond."""
        problems = self.problems()
        numbers = {name: round(value, 6) if isinstance(value, float) else value for name, value in asdict(self).items()}
        return json.dumps({"ok": not problems, "problems": problems, **numbers}, indent=2)
