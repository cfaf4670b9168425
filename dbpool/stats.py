"""The numbers of a pool at one moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from dbpool.core.permits import Line


@dataclass(frozen=True, slots=True)
class LaneStats:
    """The same for the callers of one lane."""

    at_most: int | None
    reserved: int
    held: int
    waiting: int
    granted_total: int
    waited_total: int
    waited_s_total: float
    timeouts_total: int
    refused_total: int

    @classmethod
    def of(cls, line: Line) -> Self:
        return cls(**{name: getattr(line, name) for name in cls.__slots__})


@dataclass(frozen=True, slots=True)
class PoolStats:
    """A snapshot. Gauges are nouns; counters, since the pool was opened, end in ``_total``."""

    name: str
    capacity: int
    """Permits, which is also the most connections the server ever sees."""
    limit: int
    """Permits in use: fewer than the capacity where that is ``adaptive``."""
    held: int
    """Permits held: by callers, and by cleanups after them."""
    idle: int
    """Connections open with nobody using them."""
    waiting: int
    """Callers in line for a permit."""
    opening: int
    """Connects under way."""
    connections: int
    """Connections open now."""
    zombies: int
    """Connections that were cut off, or whose opening was given up, while their backends may live on. Each of them
    keeps the place of a connection until its backend has ended, at most ``quarantine_timeout`` seconds."""
    oldest_wait_s: float
    granted_total: int
    waited_total: int
    """Of ``granted_total``, those who had to stand in line."""
    waited_s_total: float
    timeouts_total: int
    refused_total: int
    """Refused at once: ``max_waiting`` callers were in line."""
    handed_on_total: int
    """Connections that went straight from one caller to the next."""
    coalesced_total: int
    """Calls that were answered together with others, by ``batches_total`` statements."""
    batches_total: int
    resets_total: int
    discarded_total: int
    """Connections closed: too old, broken, or found dead."""
    connects_total: int
    connect_failures_total: int
    last_connect_error: str | None
    lanes: Mapping[str, LaneStats]
    """By name; the callers that come by no lane are in the totals only."""
    pooler: str = "none"
    """What is between the pool and the server: ``none``, ``session`` or ``transaction``; ``report()`` says more."""
