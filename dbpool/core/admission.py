"""Whether a newcomer would be served in time."""

from __future__ import annotations

ENOUGH = 10  # samples before anybody is refused
MEMORY = 32  # samples: the weight of the latest is 1/32, so the estimate of random times is off by about 12 %
OUTLIER = 10  # times the mean
ALWAYS_S = 0.001  # so short a time is no outlier, and the first estimates have something to grow from


class Admission:
    """Expects everyone to hold as long as those before did, on average.

    A line moves at the mean, not at the median: rare long calls block it too. But a single call that hung must not
    refuse everybody after it, so no sample counts for more than OUTLIER times the mean so far. Calls that are clearly
    more than one in OUTLIER count in full all the same, for the mean grows until nothing of them is cut off; rarer and
    longer ones count for too little: then some are admitted who time out in line.
    """

    __slots__ = ("_samples", "hold_s")

    def __init__(self) -> None:
        self.hold_s = 0.0
        self._samples = 0

    def left(self, hold_s: float) -> None:
        """Learn from a holder that left after *hold_s*."""
        if self._samples < MEMORY:
            self._samples += 1
        mean_s = self.hold_s
        most_s = mean_s * OUTLIER + ALWAYS_S
        if hold_s > most_s:
            hold_s = most_s
        self.hold_s = mean_s + (hold_s - mean_s) / self._samples

    def wait_s(self, position: int, permits: int) -> float:
        """How long the caller at *position* in line, from 1, waits for one of *permits*, all of them held."""
        return position * self.hold_s / permits

    def retry_after_s(self, position: int, permits: int, remaining_s: float, paced_s: float = 0.0) -> float | None:
        """When to come again, if a permit would come after *remaining_s*: by then the line will have moved enough.

        Args:
            paced_s: how long it waits for its turn at the line's rate at least, which need not be learnt.
        Returns: None to admit, as everyone with time for that is until ENOUGH have left.
        """
        wait_s = self.wait_s(position, permits) if self._samples >= ENOUGH else 0.0
        late_s = max(wait_s, paced_s) - remaining_s
        return late_s if late_s > 0 else None
