"""When a rate allows the next grant."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

from dbpool.errors import SettingsError
from dbpool.settings import positive_seconds, whole_number

MOST = 1e9  # beyond what a clock of nanoseconds can tell apart
LATE_S = 0.01  # how late the timer of a busy event loop fires on a bad day


@dataclass(frozen=True, slots=True)
class Rate:
    """At most *n* grants in *per* seconds over time, *burst* of them at once after a pause.

    Raises:
        SettingsError: a value is not a finite number above 0, or the grants come less than once in 1e9 s.
    """

    n: float
    per: float = 1.0
    burst: int = 1

    def __post_init__(self) -> None:
        _check_number(self.n)
        positive_seconds(self.per, "a rate's per")
        positive_seconds(self.per / self.n, "a rate's per / n, the time from one grant to the next,")
        if whole_number(self.burst, "a rate's burst", 1) > MOST:
            raise SettingsError(f"a rate's burst must be at most 1e9, not {self.burst!r}")

    def __str__(self) -> str:
        return f"{self.n:g} per {self.per:g} s"

    @property
    def interval_s(self) -> float:
        """From one grant to the next."""
        return self.per / self.n


def _check_number(n: object) -> None:
    if isinstance(n, bool) or not isinstance(n, (int, float)) or not 0 < n <= MOST:
        raise SettingsError(f"a rate's n must be a finite number above 0, at most 1e9, not {n!r}")


class Pace:
    """The grants of one rate so far: the generic cell rate algorithm (GCRA, ITU-T I.371), on a grid.

    Its theoretical arrival time is not a sum of intervals, which would drift, but grid point ``_count`` of a grid that
    begins at ``_start``. A grant may come ``burst - 1`` points early. One that comes later than its point begins a new
    grid, unless somebody waited for it and the timer was a little late: the points that passed are then made up for.

    In any w seconds there are never more than ``burst + (w + slack_s) * n / per`` grants; ``slack_s`` is one interval
    or LATE_S, whichever is longer, so up to a hundred grants a second that is ``burst + 1 + w * n / per``.
    """

    __slots__ = ("_count", "_early", "_n", "_per", "_start", "rate", "slack_s")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._n = rate.n
        self._per = rate.per
        self._early = rate.burst - 1
        self._start = -inf
        self._count = 0
        self.slack_s = max(rate.interval_s, LATE_S)

    def __str__(self) -> str:
        return str(self.rate)

    def next_at(self, now: float, ahead: int = 0) -> float:
        """When the next grant may happen, or the one after *ahead* others; *now*, if at once."""
        due = self._start + (self._count + ahead - self._early) * self._per / self._n
        return max(due, now)

    def take(self, now: float, *, waited: bool) -> None:
        """Record a grant at *now*, not before ``next_at``; *waited*: its caller, or one before it, was in line."""
        late_s = now - (self._start + self._count * self._per / self._n)
        if late_s > (self.slack_s if waited else 0.0):
            self._start = now
            self._count = 0
        self._count += 1
