"""How a number of connections is divided among worker processes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Division:
    """*connections* that all workers may have together; a share is *each* of them, for one worker."""

    connections: int
    each: int

    @classmethod
    def among(cls, connections: int, workers: int) -> Self:
        """For so many *workers* at first, both at least 1; where those are more than *connections*, some get none."""
        return cls(connections, max(1, connections // workers))

    @property
    def shares(self) -> int:
        """How many there are, >= 1; those that came later may get one that is left."""
        return self.connections // self.each

    def has_room(self, given: int, left_over: int) -> bool:
        """Whether another share may be given.

        Args:
            given: shares that workers have now.
            left_over: connections that are open still of workers that are lost, or of an earlier run.
        """
        return (given + 1) * self.each + left_over <= self.connections
