"""How often all connections to a server may be replaced because it is of the wrong kind."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_S, LONGEST_S = 1.0, 60.0


@dataclass(slots=True)
class Evictions:
    """At once, then at ever longer intervals while it does not help: the new ones may lead to the same server."""

    pause_s: float = FIRST_S
    next_at: float = 0.0

    def allows(self, now: float) -> bool:
        """Whether to do it *now*, in seconds of any clock; then it counts as done."""
        if now < self.next_at:
            return False
        has_rested = now >= self.next_at + 2 * self.pause_s
        self.pause_s = FIRST_S if has_rested else min(2 * self.pause_s, LONGEST_S)
        self.next_at = now + self.pause_s
        return True
