"""What a fake server is to do, and how long it takes."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

NEVER = 1e9  # seconds: longer than any time limit


@dataclass(slots=True)
class Reply:
    """How the server answers one statement."""

    after_s: float = 0.001
    rows: Sequence[Any] | None = None
    """None: one row with the arguments, if there are any, so that each caller knows its own answer."""
    status: str = ""
    """What the server calls it when it is done; empty: by the statement and the rows."""
    error: Exception | None = None
    kills: bool = False
    """The connection is cut in mid statement."""
    takes: type = object
    """What each argument must be; others do not fit."""
    begins: bool = False
    """A transaction is open afterwards."""


@dataclass(slots=True)
class Script:
    """How long everything takes, in seconds, and what goes wrong. May be changed at any time."""

    connect_s: float = 0.01
    clean_s: float = 0.002
    ping_s: float = 0.001
    discard_s: float = 0.002
    cancel_s: float = 0.003
    """Until a cancelled statement has ended; NEVER: the cancel is not acknowledged."""
    stop_s: float = 0.0
    lingers_s: float = 0.0
    """For so long the server's end of a connection outlives the cut, and of a connect its being given up."""
    connect_error: Exception | None = None
    connect_faults: deque[Exception | float | None] = field(default_factory=deque)
    """For the next connects: an error, a time in seconds instead of ``connect_s``, or None."""
    clean_error: Exception | None = None
    replies: dict[str, Reply] = field(default_factory=dict)
    """By SQL text; any other gets ``Reply()``. ``sets`` and ``begin`` need no entry."""
