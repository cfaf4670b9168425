"""How many chunks of a job one transaction stores."""

from __future__ import annotations

from typing import Final

MOST: Final = 8  # BEGIN and COMMIT, two round trips, are a few per cent of what so many chunks take
SHORT_S, LONG_S = 0.025, 0.100  # below, more of them cost nobody anything; above, others wait for their rows too long


class Grouping:
    """Grows while transactions are short, shrinks where they are long or fail: 1 to MOST chunks."""

    __slots__ = ("now",)

    def __init__(self) -> None:
        self.now = 1

    def stored(self, chunks: int, seconds: float) -> None:
        """A transaction of so many *chunks* took so long."""
        if seconds > LONG_S:
            self.now = max(1, min(self.now, chunks) // 2)
        elif seconds < SHORT_S and chunks >= self.now:
            self.now = min(MOST, self.now * 2)

    def failed(self) -> None:
        """A transaction had to be taken apart, or met a conflict."""
        self.now = 1
