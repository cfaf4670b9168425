"""The life of a pool."""

from __future__ import annotations

from enum import Enum


class Phase(Enum):
    """Where a pool is in its life; each is the reason why a call is refused, but for OPEN."""

    NEW = "is not open: use 'async with DatabasePool(...)', or await open() first"
    OPENING = "is being opened by another task: use it when open() has returned"
    OPEN = "belongs to another event loop: make a pool for each loop"
    CLOSED = "is closed: make a new one"
    FORKED = "was open when this process was forked, and is of no use in the child: make a pool after the fork"
