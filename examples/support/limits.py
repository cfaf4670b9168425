"""What a service on the network forbids: too many requests at once, or too many (or too large ones) a second."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


class Refused(Exception):
    """429: *retry_after* is in seconds."""

    def __init__(self, limit: str, retry_after: float) -> None:
        super().__init__(f"too many {limit}: try again in {retry_after:.2f} s")
        self.limit, self.retry_after = limit, retry_after


@dataclass
class Bucket:
    """Holds what *per_s* brings in *seconds*; taking more than there is has to wait."""

    per_s: float
    seconds: float = 0.25
    left: float = field(init=False)
    at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.left = self.per_s * self.seconds

    def missing_s(self, amount: float) -> float:
        """Seconds until *amount* is there."""
        now = time.monotonic()
        self.left = min(self.per_s * self.seconds, self.left + (now - self.at) * self.per_s)
        self.at = now
        return max(0.0, (amount - self.left) / self.per_s)


@dataclass
class Limits:
    """A service's limits; ``seen`` counts what it saw, ``most_at_once`` how busy it was."""

    at_once: int
    requests: Bucket
    tokens: Bucket = field(default_factory=lambda: Bucket(1e9))
    seen: Counter[str] = field(default_factory=Counter)
    most_at_once: int = 0
    now: int = 0

    @contextmanager
    def admitted(self, tokens: int = 0) -> Iterator[None]:
        """Serve one request in the block, or raise Refused."""
        self.seen["requests"] += 1
        for limit, wait_s in (
            ("requests at once", 0.5 if self.now >= self.at_once else 0.0),
            ("requests a second", self.requests.missing_s(1)),
            ("tokens a second", self.tokens.missing_s(tokens)),
        ):
            if wait_s:
                self.seen["refused"] += 1
                raise Refused(limit, wait_s)
        self.requests.left -= 1
        self.tokens.left -= tokens
        self.now += 1
        self.most_at_once = max(self.most_at_once, self.now)
        try:
            yield
        finally:
            self.now -= 1
