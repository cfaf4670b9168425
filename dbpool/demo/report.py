"""The numbers of one showing, with the verdict whether the pool kept its word.

``dbpool demo --json`` prints the fields of all classes below in one flat object, under their names, which stay as they
are; before them ``ok``, true if ``problems`` is empty. ``_s`` is seconds, ``_ms`` milliseconds, ``_per_s`` a rate,
``_share`` a part of one, ``_cents`` money.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What was shown, and on what."""

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
    """From the start of the command until all was shown, cleaning up excluded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSet:
    """What was loaded, as the server counts it."""

    orders: int
    customers: int
    load_s: float
    """From the first row until everything is stored, numbered and analyzed."""
    load_rows_per_s: float
    """Orders a second, indexes and foreign keys included."""
    dataset_checksum: str
    """Of all rows as they are stored, in hexadecimal; the same for the same ``--seed`` and ``--orders``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """The parallel queries. Latencies are those that callers see, with the wait for a connection."""

    queries: int
    queries_s: float
    """How long they took together; the last of them was asked before ``--seconds`` were over."""
    throughput_per_s: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    longest_ms: float
    waited: int
    """Queries that had to stand in line."""
    waited_share: float
    """Of all the time that callers spent on queries, the part in line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speeds:
    """Lookups of single orders by their keys, on the same connections."""

    lookups_alone_per_s: float
    """By all callers, a statement each."""
    lookups_coalesced_per_s: float
    """By all callers, those that wait answered together."""
    lookups_mapped_per_s: float
    """By one ``db.map_row``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """What the pool needed for all of it."""

    server_connections_max: int
    """The most connections of the pool that the server itself counted, in ``pg_stat_activity``."""
    server_connections_looks: int
    """How often it was asked, beginning before the pool's first query."""
    handed_on: int
    """Connections that went straight from one caller to the next."""
    resets: int
    """Times that a session was reset, because a statement might have changed it."""
    connects: int
    discarded: int
    """Connections closed before the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """The transfers between two accounts."""

    transfers: int
    transfer_retries: int
    """Transactions run again, because they had conflicted with another one."""
    balance_before_cents: int
    balance_after_cents: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """What callers of an exhausted pool are told, word by word."""

    acquire_timeout_message: str
    acquire_timeout_s: float
    line_full_message: str
    line_full_s: float
    served_in_line: int
    """Callers who were in line when the connections came back, and got one."""
    deadlock_message: str
    deadlock_s: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything together."""

    setting: Setting
    data: DataSet
    work: Work
    speeds: Speeds
    pool: Pool
    money: Money
    refusals: Refusals

    def problems(self) -> list[str]:
        """What went against the pool's promises, a sentence each."""
        found = []
        if self.pool.server_connections_max > self.setting.bound:
            found.append(
                f"The server counted {self.pool.server_connections_max} connections; the bound is {self.setting.bound}."
            )
        if self.money.balance_after_cents != self.money.balance_before_cents:
            found.append(
                f"The accounts held {self.money.balance_before_cents} cents before the transfers and "
                f"{self.money.balance_after_cents} after them."
            )
        return found

    def as_json(self) -> str:
        """One document; no number has more than six decimal places."""
        parts = (self.setting, self.data, self.work, self.speeds, self.pool, self.money, self.refusals)
        numbers = {name: value for part in parts for name, value in asdict(part).items()}
        rounded = {name: round(value, 6) if isinstance(value, float) else value for name, value in numbers.items()}
        problems = self.problems()
        return json.dumps({"ok": not problems, "problems": problems, **rounded}, indent=2)
