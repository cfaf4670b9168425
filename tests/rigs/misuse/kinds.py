"""The kinds of pools that faults are made on, each with a role of its own that may have just so many sessions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, eq=False)
class Kind:
    """A pool's settings, and how many ordinary callers use it while a fault is made."""

    name: str
    bound: int
    callers: int = 0
    options: dict[str, Any] = field(default_factory=dict)
    is_asyncpgs: bool = False
    """It is made by ``create_pool``, with hooks."""
    asks_for_password: bool = False
    ends_idle_sessions: bool = False
    """The server does."""


CROWD = Kind("crowd", 4, callers=2)
PAIR = Kind("pair", 2, callers=1)
LONE = Kind("lone", 1)
FRUGAL = Kind("frugal", 1, callers=1, options={"statement_cache_size": 5})
IDLERS = Kind("idlers", 1, options={"server_settings": {"idle_session_timeout": "20ms"}}, ends_idle_sessions=True)
ASKED = Kind(
    "asked",
    1,
    options={"credentials_ttl": 1e-6, "connect_timeout": 0.05, "outage_patience": 0.02, "max_idle": 60.0},
    asks_for_password=True,
)
WATCHED = Kind("watched", 2)  # one of them is for somebody beside the pool
HOOKED = Kind("hooked", 2, is_asyncpgs=True)
KINDS = (CROWD, PAIR, LONE, FRUGAL, IDLERS, ASKED, WATCHED, HOOKED)
