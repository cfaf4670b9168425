"""How many items the next batch has."""

from __future__ import annotations

FIRST = (8, 64)  # a bad plan shows itself at once, and costs little
SHORTEST_S, LONGEST_S = 0.005, 0.020  # nothing is gained below; above, others wait for the connection
MOST_ROWS = 5_000  # about a megabyte of records: the loop stands still while they are made
RECOVERED = 20  # clean batches after which one that was halved doubles again


class BatchSize:
    """Grows and shrinks so that a batch takes 5 to 20 ms and returns a megabyte at the most."""

    __slots__ = ("_ceiling", "_clean", "_count", "_size", "most")

    def __init__(self, most: int) -> None:
        self.most = most
        self._size = float(most)
        self._ceiling = most  # lower after a failure
        self._count = self._clean = 0

    @property
    def leaps(self) -> bool:
        """Whether the next batch may have more items than all before it: it waits for what the last one teaches."""
        return 0 < self._count <= len(FIRST) and self.most > FIRST[self._count - 1]

    def next(self) -> int:
        """Items for the batch that is to be sent now, >= 1."""
        first = FIRST[self._count] if self._count < len(FIRST) else self.most
        self._count += 1
        return max(1, min(first, round(self._size), self._ceiling))

    def learn(self, items: int, rows: int, seconds: float, *, failed: bool) -> None:
        """What became of a batch of *items*."""
        if failed:
            self._clean = 0
            self._ceiling = max(1, min(self._ceiling, items) // 2)
            return
        self._clean += 1
        if self._clean % RECOVERED == 0 and self._ceiling < self.most:
            self._ceiling = min(self.most, self._ceiling * 2)
        if seconds > LONGEST_S or rows > MOST_ROWS:
            self._size = max(1.0, items * min(LONGEST_S / max(seconds, 1e-9), MOST_ROWS / max(rows, 1)))
        elif seconds < SHORTEST_S and items >= round(self._size):
            self._size = min(float(self.most), self._size * 2)
